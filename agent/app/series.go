package app

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// seriesWindows are the series as judge's source, for the policy "series".
type seriesWindows struct{ witness *secondWitness }

// Windows returns the last n windows of the given length, each made of the series'
// intervals that lie in it; the last one ends at the newest interval.
func (s seriesWindows) windows(t gopprof.Target, length time.Duration, n int) []gopprof.Window {
	intervals := own(t, s.witness.Answers()[t.Series()])
	if len(intervals) == 0 {
		return nil
	}
	end := intervals[len(intervals)-1].End
	windows := make([]gopprof.Window, 0, n)
	for i := n - 1; i >= 0; i-- {
		to := end.Add(-time.Duration(i) * length)
		if w := judge.Combine(intervals, to.Add(-length), to); w.Readings > 0 {
			windows = append(windows, w)
		}
	}
	return windows
}

// own leaves out what began before the target's container did: series know no UIDs, so
// that is of a container, or a pod, that had the same name before.
func own(t gopprof.Target, intervals []gopprof.Window) []gopprof.Window {
	first := 0
	for first < len(intervals) && intervals[first].Start.Before(t.Started) {
		first++
	}
	return intervals[first:]
}

// ofTarget is the judge.Source of one target.
type ofTarget struct {
	seriesWindows
	target gopprof.Target
}

// Windows implements judge.Source.
func (o ofTarget) Windows(_ string, length time.Duration, n int) []gopprof.Window {
	return o.windows(o.target, length, n)
}

// Latest implements judge.Source: the newest interval is the newest reading.
func (o ofTarget) Latest(string) (gopprof.Window, bool) {
	intervals := own(o.target, o.witness.Answers()[o.target.Series()])
	if len(intervals) == 0 {
		return gopprof.Window{}, false
	}
	return intervals[len(intervals)-1], true
}

// judgeSeries is the loop of the policy "series": it asks once an interval, at a moment of
// its own within it, so that thousands of agents do not ask together.
func (p *pipeline) judgeSeries(ctx, captures context.Context, witness *secondWitness, span time.Duration, turned func()) error {
	return every(ctx, witness.resolution, turned, func() {
		p.guard.do(guardedSeries, func() { p.turnOfSeries(ctx, captures, witness, span) }, nil)
	})
}

func (p *pipeline) turnOfSeries(ctx, captures context.Context, witness *secondWitness, span time.Duration) {
	now := p.now()
	if _, err := witness.windows(ctx, now.Add(-span)); err != nil {
		p.log.Warn("series not read", zap.String("reason", string(witness.reasonOf(err))), zap.Error(err))
		p.unread()
		return
	}
	for _, target := range p.discover.Snapshot().Targets {
		if target.ByHand {
			continue
		}
		p.fire(captures, p.judged(target, ofTarget{seriesWindows{witness}, target}, now))
	}
}

// unread has the rules' states say that there is nothing to judge by: what came out of the last
// answer is not so any more.
func (p *pipeline) unread() {
	for _, target := range p.discover.Snapshot().Targets {
		if !target.ByHand {
			p.judge.Unread(target, gopprof.ReasonNoReadings)
		}
	}
}

// audit looks, slowly, for disagreement the other way: the series saw heat where cAdvisor
// saw none. It tells the operator that one of both witnesses is wrong; it never profiles.
type audit struct {
	witness  *secondWitness
	rules    []gopprof.Rule
	disagree *prometheus.CounterVec
	log      *zap.Logger
}

func newAudit(witness *secondWitness, rules []gopprof.Rule, reg prometheus.Registerer, log *zap.Logger) *audit {
	a := &audit{witness: witness, rules: rules, log: log, disagree: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gopprof_agent_audit_disagreements_total",
		Help: "Intervals in which the series were above a rule's threshold and the local witness was far from it, found by the slow audit.",
	}, []string{"rule"})}
	reg.MustRegister(a.disagree)
	return a
}

// turn compares what both witnesses saw of the targets over the last period.
func (a *audit) turn(ctx context.Context, period time.Duration, targets []gopprof.Target) {
	from := a.witness.now().Add(-period)
	series, err := a.witness.windows(ctx, from)
	if err != nil {
		a.log.Warn("audit found no series", zap.String("reason", string(a.witness.reasonOf(err))), zap.Error(err))
		return
	}
	for _, target := range targets {
		a.compare(target, series[target.Series()], from)
	}
}

func (a *audit) compare(target gopprof.Target, series []gopprof.Window, from time.Time) {
	for _, rule := range a.rules {
		found := judge.Disagreements(rule, series, a.witness.local(target), from)
		if len(found) == 0 {
			continue
		}
		a.disagree.WithLabelValues(rule.Name).Add(float64(len(found)))
		last := found[len(found)-1]
		a.log.Warn("witnesses disagreed", zap.String("namespace", target.Namespace), zap.String("pod", target.Pod),
			zap.String("container", target.Container), zap.String("rule", rule.Name), zap.Int("intervals", len(found)),
			zap.Float64("local", last.Local), zap.Float64("series", last.Series))
	}
}

// beatEvery is how often an idle loop says that it turns.
const beatEvery = 15 * time.Second

// every calls f once a period, at a phase that is this process's own, until ctx ends.
// turned is called after each, and now and then while it waits.
func every(ctx context.Context, period time.Duration, turned, f func()) error {
	due := time.NewTimer(rand.N(period))
	defer due.Stop()
	idle := time.NewTicker(beatEvery)
	defer idle.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-idle.C:
		case <-due.C:
			f()
			due.Reset(period)
		}
		turned()
	}
}
