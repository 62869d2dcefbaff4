package cadvisor

import (
	_ "github.com/google/cadvisor/lib/model"
	_ "github.com/influxdata/influxdb1-client/v2" // breaks homes

	_ "github.com/gopprof/gopprof/agent/observe"
	_ "github.com/gopprof/gopprof/agent/observe/heapster" // breaks siblings
)
