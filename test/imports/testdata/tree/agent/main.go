package main

import (
	_ "github.com/gopprof/gopprof/agent/app"
	_ "github.com/gopprof/gopprof/aggregator/app" // breaks programs, app
	_ "github.com/gopprof/gopprof/pkg/ops"
)
