package good

import "github.com/prometheus/client_golang/prometheus"

var _ = prometheus.NewGauge(prometheus.GaugeOpts{Name: "gopprof_of_a_test", Help: "Not told."})
