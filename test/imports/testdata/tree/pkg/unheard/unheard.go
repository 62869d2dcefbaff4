package unheard

import (
	_ "github.com/gopprof/gopprof/pkg/gopprof" // breaks below
)
