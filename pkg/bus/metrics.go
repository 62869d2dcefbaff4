package bus

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// side is whose connection it is: the middle of the metrics' names.
type side string

const (
	sideAgent      side = "agent"
	sideAggregator side = "aggregator"
)

type metrics struct {
	connected prometheus.Gauge
	lost      prometheus.Counter
	denied    prometheus.Counter
	refused   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, s side) *metrics {
	m := &metrics{
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gopprof_" + string(s) + "_bus_connected",
			Help: "Whether there is a connection to NATS (0 or 1).",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_" + string(s) + "_bus_lost_total",
			Help: "Connections to NATS that were lost.",
		}),
		denied: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gopprof_" + string(s) + "_bus_denied_total",
			Help: "Subjects that NATS did not allow us.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_" + string(s) + "_bus_messages_refused_total",
			Help: "Messages from NATS that were not believed, or a node's state not all of it, by reason.",
		}, []string{"reason"}),
	}
	reg.MustRegister(m.connected, m.lost, m.denied, m.refused)
	return m
}

func (m *metrics) refuse(r gopprof.Reason) { m.refused.WithLabelValues(string(r)).Inc() }
