package observe

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

type metrics struct {
	targets  *prometheus.GaugeVec
	readings prometheus.Counter
	failures *prometheus.CounterVec
	restarts prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		targets: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gopprof_agent_observe_targets",
			Help: "Targets whose cgroups are read, by how often: warm or quiet.",
		}, []string{"pace"}),
		readings: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_agent_observe_readings_total",
			Help: "Cgroups that were looked at.",
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_agent_observe_failures_total",
			Help: "Cgroups that could not be read: gone, or no_readings when they exist.",
		}, []string{"reason"}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_agent_observe_restarts_total",
			Help: "Targets whose history began anew because their counters did.",
		}),
	}
	reg.MustRegister(m.targets, m.readings, m.failures, m.restarts)
	return m
}

// reasonOf names a failed reading.
func reasonOf(err error) gopprof.Reason {
	if errors.Is(err, ErrGone) {
		return gopprof.ReasonGone
	}
	return gopprof.ReasonNoReadings
}
