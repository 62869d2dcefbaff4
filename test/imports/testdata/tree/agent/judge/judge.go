package judge

import (
	_ "log"     // breaks homes
	_ "os/exec" // breaks homes
	_ "testing" // breaks tests

	_ "github.com/gopprof/gopprof/agent/app"                // breaks app
	_ "github.com/gopprof/gopprof/agent/observe"            // breaks stages
	_ "github.com/gopprof/gopprof/aggregator/store"         // breaks programs
	_ "github.com/gopprof/gopprof/aggregator/store/badtest" // breaks programs, tests
	_ "github.com/gopprof/gopprof/test/parts"               // breaks tests
)
