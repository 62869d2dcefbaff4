package wire

import (
	_ "github.com/gopprof/gopprof/pkg/config" // breaks below
	_ "github.com/gopprof/gopprof/pkg/gopprof"

	_ "github.com/gopprof/gopprof/agent/take" // breaks up
)
