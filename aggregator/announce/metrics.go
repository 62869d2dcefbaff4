package announce

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	announced prometheus.Counter
	failures  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	const ns, sub = "gopprof", "aggregator_announce"
	m := &metrics{
		announced: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "reports_total",
			Help: "Reports announced, repeats included."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "failures_total",
			Help: "Reports that NATS did not take."}),
	}
	reg.MustRegister(m.announced, m.failures)
	return m
}
