package app

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
)

// telling keeps how the last telling of the node's state went. States are told every half
// minute: what is logged is that it goes wrong, and that it goes well again.
type telling struct {
	log      *zap.Logger
	failures prometheus.Counter
	trouble  string // of the last one; empty: told as a whole
}

// What may be wrong with a telling.
const (
	notTold    = "state not told"
	toldPartly = "state told without some targets"
)

func newTelling(log *zap.Logger, reg prometheus.Registerer) *telling {
	t := &telling{log: log, failures: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "gopprof_agent_state_failures_total",
		Help: "States of the node that were not told to the aggregator, or without some targets; the log says why.",
	})}
	reg.MustRegister(t.failures)
	return t
}

// note takes down what became of a state.
func (t *telling) note(err error) {
	trouble := ""
	switch {
	case errors.Is(err, bus.ErrPartly):
		trouble = toldPartly
	case err != nil:
		trouble = notTold
	}
	if err != nil {
		t.failures.Inc()
	}
	switch {
	case trouble == t.trouble:
	case err != nil:
		t.log.Warn(trouble, zap.Error(err))
	default:
		t.log.Info("state told as a whole again")
	}
	t.trouble = trouble
}
