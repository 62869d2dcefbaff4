package store

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	writes     *prometheus.CounterVec
	writeBytes *prometheus.CounterVec
	failures   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	broken     prometheus.Counter
	indexed    prometheus.Gauge
	stored     prometheus.Gauge
	reports    prometheus.Gauge
	swept      *prometheus.CounterVec
	sweptBytes prometheus.Counter
	sweepEnd   prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	const ns, sub = "gopprof", "aggregator_store"
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help})
	}
	m := &metrics{
		writes:     counter("writes_total", "Blobs written, by what they are (profile, drawing, picture, report).", "blob"),
		writeBytes: counter("write_bytes_total", "Bytes written, by what they are.", "blob"),
		failures:   counter("failures_total", "Operations that failed, by operation.", "operation"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: ns, Subsystem: sub, Name: "operation_seconds", Help: "How long operations took, by operation.",
			Buckets: []float64{.001, .005, .02, .1, .5, 2, 10, 60, 600},
		}, []string{"operation"}),
		broken: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "broken_reports_total",
			Help: "Stored reports that were skipped because their report.json cannot be understood."}),
		indexed: gauge("indexed_reports", "Reports held in memory."),
		stored:  gauge("stored_bytes", "Bytes found in the store by the last sweep, after it."),
		reports: gauge("stored_reports", "Reports found in the store by the last sweep, after it."),
		swept:   counter("swept_total", "Reports and leftovers deleted, by cause (age, bytes, orphan).", "cause"),
		sweptBytes: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "swept_bytes_total",
			Help: "Bytes deleted by sweeps."}),
		sweepEnd: gauge("last_sweep_timestamp_seconds", "When the last complete sweep ended, in seconds since 1970."),
	}
	reg.MustRegister(m.writes, m.writeBytes, m.failures, m.duration, m.broken, m.indexed,
		m.stored, m.reports, m.swept, m.sweptBytes, m.sweepEnd)
	return m
}
