package siblings

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// lookWithin bounds the looking for siblings whose end was not written down: a report is never
// held up by it.
const lookWithin = 5 * time.Second

// Ready returns how much longer a capture's report should wait for its siblings: 0 when all
// have ended, or there are none. It falls to 0 with time, whatever else happens.
func (k *Keeper) Ready(ctx context.Context, c gopprof.Capture) time.Duration {
	if !k.compared(c) {
		return 0
	}
	now := k.deps.Now()
	r, _, err := k.read(ctx, c.Incident)
	if err != nil && !errors.Is(err, bus.ErrNoKey) {
		return k.unknown(c, now)
	}
	h := r.hotOne(c.ID, c.Target)
	if h == nil || !slices.ContainsFunc(r.of(*h), func(a asked) bool { return a.State == gopprof.SiblingAsked }) {
		return 0
	}
	return h.left(now)
}

// compared tells whether a capture may have siblings: those that somebody asked for have none.
func (k *Keeper) compared(c gopprof.Capture) bool {
	return k.cfg.PerCapture > 0 && c.Trigger.Kind == gopprof.TriggerRule
}

// unknown is how long to wait while nobody can say for whom: as for siblings that do not
// come, by the capture's own clock, and not at all when that is ahead of ours.
func (k *Keeper) unknown(c gopprof.Capture, now time.Time) time.Duration {
	longest := k.cfg.Wait
	for _, p := range c.Profiles {
		longest = max(longest, k.cfg.Wait+seconds(min(p.Seconds, maxSeconds)))
	}
	left := c.Start.Add(longest).Sub(now)
	if left < 0 || left > longest {
		return 0
	}
	return left
}

// Of returns what a capture's report says of its siblings, and what was known of the
// workload's pods when its rule fired; nil when nothing was. Those that are still asked for
// came too late: no report of theirs is stored, whether or not their record could be written.
// When the hot capture's record cannot be read, the report says nothing of them.
func (k *Keeper) Of(ctx context.Context, c gopprof.Capture) (*gopprof.Fleet, []gopprof.Sibling) {
	if !k.compared(c) {
		return nil, nil
	}
	r, _, err := k.read(ctx, c.Incident)
	if err != nil {
		if !errors.Is(err, bus.ErrNoKey) {
			k.log.Warn("siblings are not known, the report is made without", zap.String("incident", c.Incident), zap.String("capture", c.ID), zap.Error(err))
		}
		return nil, nil
	}
	h := r.hotOne(c.ID, c.Target)
	if h == nil {
		return nil, nil
	}
	var out []gopprof.Sibling
	looking, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	for _, a := range r.of(*h) {
		if k.came(looking, c.Incident, a) {
			a.State, a.Reason, a.Detail = gopprof.SiblingStored, "", ""
		}
		if a.State == gopprof.SiblingAsked {
			k.metrics.late.Inc()
		}
		out = append(out, a.Sibling)
	}
	return &h.Fleet, out
}

// came tells whether a sibling's report is stored though its record does not say so: that may
// not have been written yet, and an agent that did not answer may have begun all the same.
func (k *Keeper) came(ctx context.Context, incident string, a asked) bool {
	open := a.State == gopprof.SiblingAsked || a.State == gopprof.SiblingFailed && a.Reason == gopprof.ReasonNoAnswer
	if !open || k.deps.Reports == nil {
		return false
	}
	r, found, err := k.deps.Reports.Committed(ctx, gopprof.Capture{ID: a.Capture, Target: a.Target})
	if err != nil {
		k.log.Warn("it is not known whether a sibling's report is stored", zap.String("incident", incident), zap.String("capture", a.Capture), zap.Error(err))
		return false
	}
	c := r.Capture
	return found && c.Trigger.Kind == gopprof.TriggerSibling && c.Incident == incident && c.Target.Cluster == a.Target.Cluster && c.Target.Node == a.Target.Node
}
