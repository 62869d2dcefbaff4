package dispatch

import (
	"context"
	"fmt"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Sibling asks for a place in the budget's totals for the capture of a sibling, and returns
// why there is none, or "". The same capture gets the same place again. Ended gives it back.
func (d *Dispatcher) Sibling(ctx context.Context, capture, incident string) (gopprof.Reason, error) {
	if d.deps.Paused() {
		return gopprof.ReasonPaused, nil
	}
	allowed := false
	err := d.changeLedger(ctx, func(l ledger) (ledger, bool) {
		now := d.deps.Now()
		var g *grant
		if allowed, g = sibling(d.cfg, l, capture, incident, now); g == nil {
			return l, false
		}
		return l.with(*g, d.cfg, now), true
	})
	switch {
	case err != nil:
		return gopprof.ReasonNoAnswer, fmt.Errorf("granting sibling %q: %w", capture, err)
	case !allowed:
		return gopprof.ReasonBudget, nil
	}
	return "", nil
}
