package heapster

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	queries  prometheus.Counter
	failures *prometheus.CounterVec
	seconds  prometheus.Histogram
	points   prometheus.Counter
	dropped  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		queries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_agent_series_queries_total",
			Help: "Queries for Heapster's series that were sent to InfluxDB.",
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_agent_series_failures_total",
			Help: "Queries for Heapster's series without an answer that could be used, by reason.",
		}, []string{"reason"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "gopprof_agent_series_query_seconds",
			Help:    "Time that a query for Heapster's series took, failed ones included.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		points: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_agent_series_points_total",
			Help: "Points of Heapster's series that were received.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_agent_series_points_dropped_total",
			Help: "Points of Heapster's series that were not used, by reason: series_absurd (a value or a stamp that cannot be true), undecodable.",
		}, []string{"reason"}),
	}
	reg.MustRegister(m.queries, m.failures, m.seconds, m.points, m.dropped)
	return m
}
