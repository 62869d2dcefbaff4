package cadvisor

import (
	_ "testing"

	_ "github.com/gopprof/gopprof/agent/observe/heapster" // breaks siblings
	_ "github.com/gopprof/gopprof/agent/observe/observetest"
)
