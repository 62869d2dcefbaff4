package accept

import (
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	outcomes *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_agent_requests_total",
			Help: "Requests from the aggregator, by verb and reason: empty when accepted.",
		}, []string{"verb", "reason"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_agent_requested_captures_total",
			Help: "Accepted capture requests that ended, by reason: empty when the capture was published.",
		}, []string{"reason"}),
	}
	reg.MustRegister(m.requests, m.outcomes)
	return m
}

func (m *metrics) answered(verb string, r gopprof.CaptureReply) {
	m.requests.WithLabelValues(verb, string(r.Reason)).Inc()
}
