package draw

import (
	_ "os/exec"

	_ "github.com/google/pprof/driver"
	_ "github.com/google/pprof/profile" // breaks homes
)
