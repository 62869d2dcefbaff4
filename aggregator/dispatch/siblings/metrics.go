package siblings

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	asked      *prometheus.CounterVec
	ended      *prometheus.CounterVec
	late       prometheus.Counter
	unrecorded prometheus.Counter
	conflicts  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		asked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_siblings_asked_total",
			Help: "Quiet pods that were asked for a capture beside a hot one, by the reason of the refusal; reason is empty for those whose agent accepted.",
		}, []string{"reason"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_siblings_ended_total",
			Help: "Captures of siblings that came to their end, by state (stored, failed).",
		}, []string{"state"}),
		late: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_aggregator_siblings_late_total",
			Help: "Siblings that a report was made without, because they had not come in time.",
		}),
		unrecorded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_aggregator_siblings_unrecorded_total",
			Help: "Hot captures that were made without siblings, because these could not be written down in time.",
		}),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_aggregator_siblings_conflicts_total",
			Help: "Changes tried again because another replica was faster.",
		}),
	}
	reg.MustRegister(m.asked, m.ended, m.late, m.unrecorded, m.conflicts)
	return m
}
