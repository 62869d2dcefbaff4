package notify

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	told       *prometheus.CounterVec
	failed     *prometheus.CounterVec
	gaveUp     *prometheus.CounterVec
	repeats    *prometheus.CounterVec
	duplicates *prometheus.CounterVec
	silent     *prometheus.CounterVec
	messages   *prometheus.CounterVec
	gathered   *prometheus.CounterVec
	template   *prometheus.CounterVec
	recipients *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gopprof_aggregator_notify_" + name, Help: help}, labels)
	}
	m := &metrics{
		told:       counter("told_total", "Messages that a receiver took.", "receiver"),
		failed:     counter("failures_total", "Attempts that failed and are made again; contended, internal, no_answer, store_failed and too_large may also be that a report's record was not read or not written.", "receiver", "reason"),
		gaveUp:     counter("gave_up_total", "Reports, or groups of them, given up: refused for good, failed for too long, or their receiver is not in the configuration any more.", "receiver", "reason"),
		repeats:    counter("repeats_total", "Reports that came again after they were told or given up; nothing was posted.", "receiver"),
		duplicates: counter("possible_duplicates_total", "Messages posted again because the fate of an earlier post is unknown.", "receiver"),
		silent:     counter("silent_total", "Reports told to nobody, by cause: contradicted, trigger, no_receiver or silenced.", "cause"),
		messages:   counter("messages_total", "Messages about groups of reports that a receiver took, by kind: first, more, repeat, ended, digest or test.", "receiver", "kind"),
		gathered:   counter("gathered_total", "Reports written down to be told with others of their group.", "receiver"),
		template:   counter("template_failures_total", "Messages that a receiver's template could not write: told in gopprof's own words, or to a webhook in smaller ones, or given up.", "receiver"),
		recipients: counter("recipients_refused_total", "Recipients to whom a mail server refused a message for good.", "receiver"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gopprof_aggregator_notify_post_seconds", Help: "How long posts took.",
			Buckets: []float64{.01, .05, .1, .5, 1, 2.5, 5, 10},
		}, []string{"receiver"}),
	}
	reg.MustRegister(m.told, m.failed, m.gaveUp, m.repeats, m.duplicates, m.silent, m.messages, m.gathered, m.template, m.recipients, m.seconds)
	return m
}
