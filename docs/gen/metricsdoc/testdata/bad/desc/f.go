package bad

import "github.com/prometheus/client_golang/prometheus"

var _ = prometheus.NewDesc("gopprof_desc", "Desc.", nil, nil)
