package bad

import "github.com/prometheus/client_golang/prometheus"

func labels() []string { return nil }

var _ = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gopprof_labels", Help: "Labels."}, labels())
