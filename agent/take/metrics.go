package take

import (
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	captures  *prometheus.CounterVec
	profiles  *prometheus.CounterVec
	bytes     *prometheus.HistogramVec
	running   prometheus.Gauge
	contended prometheus.Counter
	counts    *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		captures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_agent_captures_total",
			Help: "Captures that ended, by reason: empty when at least one profile was taken.",
		}, []string{"reason"}),
		profiles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_agent_profiles_total",
			Help: "Profiles that were asked for, by kind and reason: empty when it was taken.",
		}, []string{"kind", "reason"}),
		bytes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gopprof_agent_profile_bytes",
			Help:    "Size of the profiles taken, as they came.",
			Buckets: prometheus.ExponentialBuckets(1<<10, 4, 9),
		}, []string{"kind"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gopprof_agent_captures_running",
			Help: "Captures that run now, those waiting for their turn included.",
		}),
		contended: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_agent_profiler_contended_total",
			Help: "Attempts that found the target's profiler held by somebody else.",
		}),
		counts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_agent_request_counts_total",
			Help: "Readings of targets' own counters of requests, by reason: empty when it could be read.",
		}, []string{"reason"}),
	}
	reg.MustRegister(m.captures, m.profiles, m.bytes, m.running, m.contended, m.counts)
	return m
}

func (m *metrics) taken(p gopprof.Profile) {
	m.profiles.WithLabelValues(string(p.Kind), "").Inc()
	m.bytes.WithLabelValues(string(p.Kind)).Observe(float64(p.SizeBytes))
}

func (m *metrics) failed(f gopprof.Failure) {
	m.profiles.WithLabelValues(string(f.Kind), string(f.Reason)).Inc()
}
