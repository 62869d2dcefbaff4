package good

import (
	prom "github.com/prometheus/client_golang/prometheus"

	"example.org/elsewhere"
)

const ns, sub = "gopprof", "good"

type metrics struct {
	plain prom.Counter
}

func newMetrics(reg prom.Registerer, buckets elsewhere.Buckets) *metrics {
	reg.MustRegister(prom.NewGauge(prom.GaugeOpts{Name: "gopprof_plain", Help: "Plain."}))
	_ = prom.NewCounterVec(prom.CounterOpts{Namespace: ns, Subsystem: sub, Name: "parts_total", Help: "Of " + "parts | pieces."}, []string{"a", "b"})
	_ = prom.NewHistogramVec(prom.HistogramOpts{Name: ns + "_seconds", Help: `Raw.`, Buckets: buckets}, nil)
	_ = prom.NewGaugeFunc(prom.GaugeOpts{Name: "gopprof_func", Help: "Func."}, func() float64 { return 1 })
	_ = prom.NewSummary(prom.SummaryOpts{Name: "gopprof_summary", Help: "Summary."})
	counter := func(name, help string, labels ...string) *prom.CounterVec {
		return prom.NewCounterVec(prom.CounterOpts{Namespace: ns, Name: name, Help: help}, labels)
	}
	counter("one_total", "One.")
	counter("two_total", "Two.", "x", "y")
	return &metrics{plain: prom.NewCounter(prom.CounterOpts{Name: "gopprof_nested_total", Help: "Nested."})}
}

// Twice the same registerer: one set of metrics.
func New(reg prom.Registerer)   { newMetrics(reg, nil) }
func Other(reg prom.Registerer) { newMetrics(reg, nil) }
