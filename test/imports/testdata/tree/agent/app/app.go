package app

import (
	_ "github.com/gopprof/gopprof/agent/judge"
	_ "github.com/gopprof/gopprof/agent/observe"
	_ "github.com/gopprof/gopprof/agent/observe/cadvisor"

	_ "github.com/google/cadvisor/lib/model" // breaks homes
)
