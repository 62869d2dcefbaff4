package helper

import "github.com/prometheus/client_golang/prometheus"

type side string

const left side = "left"

func Left()  { both(left) }
func Right() { both("right") }

func both(s side) {
	gauge("depth", []string{"kind"}, s)
}

func gauge(name string, labels []string, s side) prometheus.Collector {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gopprof_" + string(s) + "_" + (name), Help: "Both."}, labels)
}
