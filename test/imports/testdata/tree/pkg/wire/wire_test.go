package wire

import (
	_ "testing"

	_ "github.com/gopprof/gopprof/aggregator/store" // breaks up
	_ "github.com/gopprof/gopprof/pkg/config"
	_ "github.com/gopprof/gopprof/test/parts"
)
