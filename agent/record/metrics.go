package record

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	points   prometheus.Counter
	failures *prometheus.CounterVec
	dropped  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		points: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_agent_record_points_total",
			Help: "Points in Heapster's schema that InfluxDB took.",
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_agent_record_failures_total",
			Help: "What was not recorded, by reason: whole or half batches that InfluxDB did not take (series_unreachable), targets or values that its line protocol cannot hold (bad_input).",
		}, []string{"reason"}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_agent_record_dropped_total",
			Help: "Batches of points that were dropped, oldest first, because InfluxDB was too slow.",
		}),
	}
	reg.MustRegister(m.points, m.failures, m.dropped)
	return m
}
