package kubernetes

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

type metrics struct {
	targets  prometheus.Gauge
	refused  *prometheus.GaugeVec
	failures prometheus.Counter
	away     prometheus.Gauge
}

// reasons are those for which pods are refused here.
func reasons() []gopprof.Reason {
	return []gopprof.Reason{
		gopprof.ReasonTerminating, gopprof.ReasonNotStarted, gopprof.ReasonEnded, gopprof.ReasonNoAddress, gopprof.ReasonHostNetwork,
		gopprof.ReasonAmbiguousContainer, gopprof.ReasonNoContainer, gopprof.ReasonInvalidEndpoint, gopprof.ReasonBadInput,
	}
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		targets: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gopprof_agent_kubernetes_targets",
			Help: "Opted-in pods of this node that may be profiled.",
		}),
		refused: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gopprof_agent_kubernetes_refused",
			Help: "Opted-in pods of this node that may not be profiled now, by reason.",
		}, []string{"reason"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_agent_kubernetes_request_failures_total",
			Help: "Requests to list or watch pods that the API server did not answer.",
		}),
		away: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gopprof_agent_kubernetes_api_away",
			Help: "1 while the API server does not answer and the last list of pods is kept, else 0.",
		}),
	}
	reg.MustRegister(m.targets, m.refused, m.failures, m.away)
	m.count(nil)
	return m
}

// count sets the gauges.
func (m *metrics) count(all map[string]found) {
	refused := map[gopprof.Reason]int{}
	for _, f := range all {
		refused[f.reason]++
	}
	m.targets.Set(float64(refused[""]))
	for _, reason := range reasons() {
		m.refused.WithLabelValues(string(reason)).Set(float64(refused[reason]))
	}
}
