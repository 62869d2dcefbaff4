package views

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	opened   prometheus.Counter
	open     prometheus.Gauge
	ended    *prometheus.CounterVec
	failures *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		opened: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_aggregator_views_opened_total",
			Help: "Processes started for pprof views.",
		}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gopprof_aggregator_views_open",
			Help: "Processes of pprof views that run.",
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_views_ended_total",
			Help: "Processes of pprof views that ended, by cause: idle, old, room (closed for another view), refused (its profile cannot be shown), timeout, died, closed (the aggregator stopped).",
		}, []string{"cause"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_views_failures_total",
			Help: "Pages of pprof views that could not be shown, by reason.",
		}, []string{"reason"}),
	}
	reg.MustRegister(m.opened, m.open, m.ended, m.failures)
	return m
}
