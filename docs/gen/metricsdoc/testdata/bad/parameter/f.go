package bad

import "github.com/prometheus/client_golang/prometheus"

// Name is called by nobody in this package.
func Name(name string) { prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "Parameter."}) }
