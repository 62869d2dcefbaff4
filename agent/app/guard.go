package app

import (
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// guard keeps a panic, which is a defect of ours that one target's values brought to light,
// from ending the agent: the work in hand is given up under the reason internal, counted
// and logged, and the loop goes on.
type guard struct {
	log    *zap.Logger
	panics *prometheus.CounterVec
}

// The work that is guarded.
const (
	guardedTurn    = "turn"
	guardedJudge   = "judge"
	guardedCapture = "capture"
	guardedSeries  = "series"
	guardedAudit   = "audit"
	guardedRecord  = "record"
	guardedState   = "state"
	guardedHistory = "history"
)

func newGuard(log *zap.Logger, reg prometheus.Registerer) *guard {
	g := &guard{log: log, panics: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gopprof_agent_panics_total",
		Help: "Panics that cost the work in hand and not the agent, by that work. Each one is a defect of gopprof: please report it, with the stack in the log.",
	}, []string{"work"})}
	for _, work := range []string{guardedTurn, guardedJudge, guardedCapture, guardedSeries, guardedAudit, guardedRecord, guardedState, guardedHistory} {
		g.panics.WithLabelValues(work)
	}
	reg.MustRegister(g.panics)
	return g
}

// do calls f. When that panics, it says so and calls each of after.
func (g *guard) do(work string, f func(), log []zap.Field, after ...func()) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		g.panics.WithLabelValues(work).Inc()
		g.log.Error("work panicked", append([]zap.Field{
			zap.String("work", work), zap.String("reason", string(gopprof.ReasonInternal)),
			zap.Any("error", cause), zap.ByteString("stack", debug.Stack()),
		}, log...)...)
		for _, end := range after {
			end()
		}
	}()
	f()
}

// fieldsOf names a target in the log.
func fieldsOf(t gopprof.Target) []zap.Field {
	return []zap.Field{zap.String("namespace", t.Namespace), zap.String("pod", t.Pod), zap.String("container", t.Container)}
}
