package dispatch

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// DecideWithin is how long a decision may take, with all that must happen before it is
// told: agents wait for a second.
const DecideWithin = 900 * time.Millisecond

// Decide answers a firing agent. The same capture gets the same answer again, from every
// replica, and costs the budget once. When the budget cannot be read or written in time
// the answer is no_answer: the agent acts as if nobody had answered.
func (d *Dispatcher) Decide(ctx context.Context, f gopprof.Firing) gopprof.Decision {
	ctx, cancel := context.WithTimeout(ctx, DecideWithin)
	defer cancel()
	answer := gopprof.Decision{Reason: gopprof.ReasonBadInput}
	if d.deps.Paused() {
		answer.Reason = gopprof.ReasonPaused
	} else if err := gopprof.CheckID(f.Capture); err == nil {
		err = d.changeLedger(ctx, func(l ledger) (ledger, bool) {
			now := d.deps.Now()
			var g *grant
			if answer, g = decide(d.cfg, l, f, now, d.deps.NewID); g == nil {
				return l, false
			}
			return l.with(*g, d.cfg, now), true
		})
		d.noteBudget(err)
		if err != nil {
			answer = gopprof.Decision{Reason: gopprof.ReasonNoAnswer}
		}
	}
	d.metrics.decided(answer)
	d.logDecision(f, answer)
	return answer
}

// noteBudget logs when the budget stops or starts to be reachable.
func (d *Dispatcher) noteBudget(err error) {
	if was := d.budgetLost.Swap(err != nil); err != nil && !was {
		d.log.Error("budget became unreachable, firing agents are on their own", zap.Error(err))
	} else if err == nil && was {
		d.log.Info("budget became reachable again")
	}
}

func (d *Dispatcher) logDecision(f gopprof.Firing, a gopprof.Decision) {
	fields := []zap.Field{
		zap.String("node", f.Target.Node), zap.String("namespace", f.Target.Namespace), zap.String("pod", f.Target.Pod),
		zap.String("container", f.Target.Container), zap.String("capture", f.Capture), zap.String("rule", f.Rule),
	}
	if a.Go {
		d.log.Info("capture granted", append(fields, zap.String("incident", a.Incident))...)
		return
	}
	d.log.Debug("capture refused", append(fields, zap.String("reason", string(a.Reason)))...)
}
