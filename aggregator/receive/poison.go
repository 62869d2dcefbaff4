package receive

import (
	"errors"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// poison is an error that no further try can mend.
type poison struct {
	reason gopprof.Reason
	err    error
}

// Poison marks an error as final: the capture goes to the dead letters under the reason
// instead of being tried again.
func Poison(reason gopprof.Reason, err error) error { return &poison{reason, err} }

// Poisoned tells whether an error was marked as final.
func Poisoned(err error) bool {
	_, ok := errors.AsType[*poison](err)
	return ok
}

func (p *poison) Error() string { return p.err.Error() }

func (p *poison) Unwrap() error { return p.err }
