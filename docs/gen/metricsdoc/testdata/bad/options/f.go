package bad

import "github.com/prometheus/client_golang/prometheus"

func f(o prometheus.GaugeOpts) { prometheus.NewGauge(o) }
