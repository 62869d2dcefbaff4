package kubernetes

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	tokens    *prometheus.CounterVec
	refreshes *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_agent_tokens_total",
			Help: "Service-account tokens with which somebody wanted to be an agent: accepted, or why not (malformed, signature, issuer, audience, expired, account, no_node, unavailable).",
		}, []string{"result"}),
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_token_keys_refreshed_total",
			Help: "Questions to the API server for the keys that sign tokens, by result (ok, failed).",
		}, []string{"result"}),
	}
	reg.MustRegister(m.tokens, m.refreshes)
	return m
}

func (m *metrics) token(r result) { m.tokens.WithLabelValues(string(r)).Inc() }

func (m *metrics) refreshed(err error) { m.refreshes.WithLabelValues(outcome(err)).Inc() }

func outcome(err error) string {
	if err != nil {
		return "failed"
	}
	return "ok"
}
