package dispatch

import (
	"context"
	"fmt"
)

// Ended gives a capture's place in the budget back. Doing so again changes nothing, as does
// the end of a capture that nobody granted. After an error it must be called again.
func (d *Dispatcher) Ended(ctx context.Context, capture string) error {
	if err := d.changeLedger(ctx, func(l ledger) (ledger, bool) { return l.ended(capture, d.deps.Now()) }); err != nil {
		return fmt.Errorf("closing capture %q: %w", capture, err)
	}
	return nil
}
