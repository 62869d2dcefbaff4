package bustest

import (
	_ "testing"

	_ "github.com/nats-io/nats-server/v2/server" // breaks homes
	_ "github.com/nats-io/nats.go"

	_ "github.com/gopprof/gopprof/pkg/bus"
)
