package gopprof

import (
	_ "fmt"
	_ "net/http" // breaks nouns
	_ "time"

	_ "go.uber.org/zap" // breaks nouns

	_ "github.com/gopprof/gopprof/pkg/wire" // breaks nouns, below
)
