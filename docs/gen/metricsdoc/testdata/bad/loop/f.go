package bad

import "github.com/prometheus/client_golang/prometheus"

func f(names []string) {
	for _, n := range names {
		prometheus.NewGauge(prometheus.GaugeOpts{Name: n, Help: "Loop."})
	}
}
