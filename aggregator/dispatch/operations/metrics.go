package operations

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

type metrics struct {
	requests  *prometheus.CounterVec
	captures  *prometheus.CounterVec
	conflicts prometheus.Counter
	live      prometheus.Gauge
	paused    prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_operations_requests_total",
			Help: "Requests for captures by hand, by the reason of their refusal; reason is empty for those that became an operation.",
		}, []string{"reason"}),
		captures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_operations_captures_total",
			Help: "Captures that an agent was asked for by hand, by the reason of its refusal; reason is empty for those that it accepted.",
		}, []string{"reason"}),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_aggregator_operations_conflicts_total",
			Help: "Changes tried again because somebody else was faster.",
		}),
		live: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gopprof_aggregator_operations",
			Help: "Operations that have not ended.",
		}),
		paused: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gopprof_aggregator_paused",
			Help: "1 while somebody has paused all profiling.",
		}),
	}
	reg.MustRegister(m.requests, m.captures, m.conflicts, m.live, m.paused)
	return m
}

func (m *metrics) requested(err error) {
	reason := gopprof.ReasonOf(err)
	if err != nil && reason == "" { // or it would count as taken in
		reason = gopprof.ReasonInternal
	}
	m.requests.WithLabelValues(string(reason)).Inc()
}

func (m *metrics) began(oc gopprof.OperationCapture) {
	m.captures.WithLabelValues(string(oc.Reason)).Inc()
}
