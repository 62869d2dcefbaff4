package receive

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	captures      *prometheus.CounterVec
	seconds       *prometheus.HistogramVec
	dead          *prometheus.CounterVec
	running       prometheus.Gauge
	alone         prometheus.Counter
	notInProgress prometheus.Counter
	unsettled     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	const ns, sub = "gopprof", "aggregator_receive"
	m := &metrics{
		captures: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "captures_total",
			Help: "Deliveries of captures, by how they ended (stored, resumed, waiting, retried, panicked, drained, dead)."}, []string{"outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: ns, Subsystem: sub, Name: "capture_seconds",
			Help:    "How long deliveries took, by how they ended.",
			Buckets: []float64{.01, .05, .2, 1, 5, 20, 60, 300}}, []string{"outcome"}),
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "dead_letters_total",
			Help: "Captures put among the dead letters, by reason."}, []string{"reason"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: "running",
			Help: "Captures being worked on."}),
		alone: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "alone_total",
			Help: "Captures worked on alone, because a worker died with them before."}),
		notInProgress: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "in_progress_failures_total",
			Help: "Times NATS could not be told that a capture is worked on."}),
		unsettled: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "unsettled_total",
			Help: "Times NATS could not be told how a delivery ended; it comes again."}),
	}
	reg.MustRegister(m.captures, m.seconds, m.dead, m.running, m.alone, m.notInProgress, m.unsettled)
	return m
}
