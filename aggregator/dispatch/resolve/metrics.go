package resolve

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	lookups *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gopprof_aggregator_owner_lookups_total",
		Help: "Pods and namespaces looked up for the owners of reports, by result (found, absent, failed, remembered).",
	}, []string{"object", "result"})}
	reg.MustRegister(m.lookups)
	return m
}
