package judge

import (
	_ "log"
	_ "testing"

	_ "github.com/gopprof/gopprof/agent/take" // breaks stages
	_ "github.com/gopprof/gopprof/pkg/bus/bustest"
	_ "github.com/gopprof/gopprof/test/parts"
)
