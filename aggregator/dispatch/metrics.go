package dispatch

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

type metrics struct {
	decisions *prometheus.CounterVec
	conflicts prometheus.Counter
	nodes     prometheus.Gauge
	dropped   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_dispatch_decisions_total",
			Help: "Answers to firing agents; reason is fired when the capture may be made.",
		}, []string{"reason"}),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_aggregator_dispatch_conflicts_total",
			Help: "Changes tried again because another replica was faster.",
		}),
		nodes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gopprof_aggregator_dispatch_nodes",
			Help: "Nodes whose agent told its state lately.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_aggregator_dispatch_states_dropped_total",
			Help: "Node states dropped because too many nodes are known already.",
		}),
	}
	reg.MustRegister(m.decisions, m.conflicts, m.nodes, m.dropped)
	return m
}

func (m *metrics) decided(d gopprof.Decision) {
	r := d.Reason
	if d.Go {
		r = gopprof.ReasonFired
	}
	m.decisions.WithLabelValues(string(r)).Inc()
}
