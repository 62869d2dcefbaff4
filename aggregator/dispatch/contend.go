package dispatch

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopprof/gopprof/pkg/bus"
)

// Contend tries a change of what several replicas share, again from the start when another one
// was faster (bus.ErrConflict), which it counts, and at most so many times.
func Contend(attempts int, conflicts prometheus.Counter, try func() error) (err error) {
	for range attempts {
		if err = try(); !errors.Is(err, bus.ErrConflict) {
			return err
		}
		conflicts.Inc()
	}
	return fmt.Errorf("%d times in a row: %w", attempts, err)
}
