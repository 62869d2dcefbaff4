package judge

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

type metrics struct {
	decisions *prometheus.CounterVec
	refusals  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_agent_judge_decisions_total",
			Help: "Decisions of a rule on a target, by what came out; reason fired means that the rule fired.",
		}, []string{"rule", "reason"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_agent_judge_refused_firings_total",
			Help: "Firings that became no capture, by reason.",
		}, []string{"rule", "reason"}),
	}
	reg.MustRegister(m.decisions, m.refusals)
	return m
}

func (m *metrics) decided(rule string, reason gopprof.Reason) {
	m.decisions.WithLabelValues(rule, string(reason)).Inc()
}

func (m *metrics) refused(rule string, reason gopprof.Reason) {
	m.refusals.WithLabelValues(rule, string(reason)).Inc()
}
