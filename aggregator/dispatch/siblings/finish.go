package siblings

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// ending is what becomes of a sibling.
type ending struct {
	state   gopprof.SiblingState
	reason  gopprof.Reason
	detail  string
	replace bool // it is known that its pod is not captured: another one may be asked instead
}

// Stored marks a sibling whose report is stored. Doing so again changes nothing, as does any
// capture that was not asked for as a sibling, and a record for which there is no room. After
// an error it must be called again.
func (k *Keeper) Stored(ctx context.Context, r gopprof.Report) error {
	return k.closed(ctx, r.Capture, ending{state: gopprof.SiblingStored})
}

// Failed marks a sibling whose capture came to nothing, with the reason that its agent named,
// and has another pod asked instead where there is time. After an error it must be called
// again.
func (k *Keeper) Failed(ctx context.Context, c gopprof.Capture) error {
	e := ending{state: gopprof.SiblingFailed, reason: gopprof.ReasonInternal, detail: "the agent sent no profile and no reason", replace: true}
	if len(c.Failures) > 0 {
		e.reason, e.detail = c.Failures[0].Reason, c.Failures[0].Detail
	}
	return k.closed(ctx, c, e)
}

// GivenUp marks a sibling whose capture went to the dead letters. It may still be stored,
// when somebody replays it: nobody is asked instead. After an error it must be called again.
func (k *Keeper) GivenUp(ctx context.Context, c gopprof.Capture, reason gopprof.Reason, detail string) error {
	return k.closed(ctx, c, ending{state: gopprof.SiblingFailed, reason: reason, detail: fmt.Sprintf("the capture lies among the dead letters: %.400s", detail)})
}

func (k *Keeper) closed(ctx context.Context, c gopprof.Capture, e ending) error {
	if c.Trigger.Kind != gopprof.TriggerSibling {
		return nil
	}
	next, err := k.end(ctx, c.Incident, c, e)
	if next != nil {
		k.asking.Go(func() { k.ask(context.WithoutCancel(ctx), c.Incident, *next) })
	}
	return err
}

// end writes down what became of a sibling, and returns who is to be asked instead, or nil.
func (k *Keeper) end(ctx context.Context, incident string, c gopprof.Capture, e ending) (next *asked, err error) {
	ended := false
	err = k.change(ctx, incident, false, func(r *record) bool {
		ended, next = r.end(c, e), nil
		if ended && e.replace {
			k.replace(r, c.ID)
		}
		if e.replace {
			next = r.standIn(c.ID, k.deps.Now())
		}
		return ended
	})
	switch {
	case errors.Is(err, bus.ErrNoKey):
		return nil, nil
	case errors.Is(err, bus.ErrFull): // for hours perhaps: who waits for it waits to the end of its time, and no longer
		k.log.Warn("end of a sibling not written, the bucket is full", zap.String("incident", incident), zap.String("capture", c.ID))
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("closing sibling %q: %w", c.ID, err)
	}
	if ended {
		k.metrics.ended.WithLabelValues(string(e.state)).Inc()
	}
	return next, nil
}
