package e2e

import (
	_ "github.com/gopprof/gopprof/agent/app"
	_ "github.com/gopprof/gopprof/aggregator/app"
	_ "github.com/nats-io/nats.go"
)
