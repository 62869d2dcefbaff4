package siblings

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Stored marks a sibling whose report is stored. Doing so again changes nothing, as does any
// capture that was not asked for as a sibling, and a record for which there is no room. After
// an error it must be called again.
func (k *Keeper) Stored(ctx context.Context, r gopprof.Report) error {
	return k.closed(ctx, r.Capture, gopprof.SiblingStored, "", "")
}

// Failed marks a sibling whose capture came to nothing, with the reason that its agent named.
// After an error it must be called again.
func (k *Keeper) Failed(ctx context.Context, c gopprof.Capture) error {
	reason, detail := gopprof.ReasonInternal, "the agent sent no profile and no reason"
	if len(c.Failures) > 0 {
		reason, detail = c.Failures[0].Reason, c.Failures[0].Detail
	}
	return k.closed(ctx, c, gopprof.SiblingFailed, reason, detail)
}

// GivenUp marks a sibling whose capture went to the dead letters. It may still be stored,
// when somebody replays it. After an error it must be called again.
func (k *Keeper) GivenUp(ctx context.Context, c gopprof.Capture, reason gopprof.Reason, detail string) error {
	return k.closed(ctx, c, gopprof.SiblingFailed, reason, fmt.Sprintf("the capture lies among the dead letters: %.400s", detail))
}

func (k *Keeper) closed(ctx context.Context, c gopprof.Capture, state gopprof.SiblingState, reason gopprof.Reason, detail string) error {
	if c.Trigger.Kind != gopprof.TriggerSibling {
		return nil
	}
	return k.end(ctx, c.Incident, c, state, reason, detail)
}

func (k *Keeper) end(ctx context.Context, incident string, c gopprof.Capture, state gopprof.SiblingState, reason gopprof.Reason, detail string) error {
	ended := false
	err := k.change(ctx, incident, false, func(r *record) bool {
		ended = r.end(c, state, reason, detail)
		return ended
	})
	switch {
	case errors.Is(err, bus.ErrNoKey):
		return nil
	case errors.Is(err, bus.ErrFull): // for hours perhaps: who waits for it waits to the end of its time, and no longer
		k.log.Warn("end of a sibling not written, the bucket is full", zap.String("incident", incident), zap.String("capture", c.ID))
		return nil
	case err != nil:
		return fmt.Errorf("closing sibling %q: %w", c.ID, err)
	}
	if ended {
		k.metrics.ended.WithLabelValues(string(state)).Inc()
	}
	return nil
}
