package bad

import . "github.com/prometheus/client_golang/prometheus"

var _ = NewGauge(GaugeOpts{Name: "a", Help: "h"})
