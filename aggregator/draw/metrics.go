package draw

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	seconds  prometheus.Histogram
	failures *prometheus.CounterVec
	started  prometheus.Counter
	busy     prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "gopprof_aggregator_draw_seconds",
			Help:    "Time that one call graph took, made or failed, without waiting for a free worker.",
			Buckets: []float64{0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30},
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_draw_failures_total",
			Help: "Call graphs that could not be made, by reason.",
		}, []string{"reason"}),
		started: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_aggregator_draw_workers_started_total",
			Help: "Worker processes started; more than the configured number means that some were replaced.",
		}),
		busy: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gopprof_aggregator_draw_busy",
			Help: "Call graphs that are being made.",
		}),
	}
	reg.MustRegister(m.seconds, m.failures, m.started, m.busy)
	return m
}
