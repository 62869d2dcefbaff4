package static

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	targets  prometheus.Gauge
	refused  *prometheus.GaugeVec
	reloads  prometheus.Counter
	failures prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		targets: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gopprof_agent_static_targets",
			Help: "Targets of the targets file that may be profiled.",
		}),
		refused: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gopprof_agent_static_refused",
			Help: "Targets of the targets file that may not be profiled now, by reason.",
		}, []string{"reason"}),
		reloads: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_agent_static_reloads_total",
			Help: "Times that a changed targets file was taken over.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_agent_static_reload_failures_total",
			Help: "Times that a changed targets file was refused; the former list stays.",
		}),
	}
	reg.MustRegister(m.targets, m.refused, m.reloads, m.failures)
	return m
}
