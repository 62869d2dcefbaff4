package publish

import (
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	spooled  prometheus.Counter
	refused  *prometheus.CounterVec
	sent     prometheus.Counter
	attempts prometheus.Counter
	dropped  *prometheus.CounterVec
	wait     prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, pending func() (int, int64)) *metrics {
	m := &metrics{
		spooled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_agent_spooled_total",
			Help: "Captures written to the spool.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_agent_spool_refused_total",
			Help: "Captures that could neither be spooled nor sent, by reason. They are lost.",
		}, []string{"reason"}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_agent_captures_published_total",
			Help: "Captures that NATS has acknowledged.",
		}),
		attempts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_agent_publish_failures_total",
			Help: "Attempts to send a capture that failed and will be repeated.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_agent_spool_dropped_total",
			Help: "Captures lost from the spool, by reason.",
		}, []string{"reason"}),
		wait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "gopprof_agent_spool_wait_seconds",
			Help:    "Time from spooling to NATS's acknowledgement.",
			Buckets: []float64{.1, 1, 10, 60, 600, 3600, 36000},
		}),
	}
	for _, reason := range []gopprof.Reason{gopprof.ReasonSpoolFull, gopprof.ReasonSpoolTorn} {
		m.dropped.WithLabelValues(string(reason))
	}
	entries := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gopprof_agent_spool_captures",
		Help: "Captures in the spool.",
	}, func() float64 { n, _ := pending(); return float64(n) })
	size := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gopprof_agent_spool_bytes",
		Help: "Size of the captures in the spool.",
	}, func() float64 { _, b := pending(); return float64(b) })
	reg.MustRegister(m.spooled, m.refused, m.sent, m.attempts, m.dropped, m.wait, entries, size)
	return m
}
