package browser

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// unseen is how often a wait looks again though the browser told nothing: a script that sets
// a field's value, for one, is no event.
const unseen = 100 * time.Millisecond

// Until waits until the condition holds. It is asked again after whatever happens in the
// browser.
func (b *Browser) Until(what string, holds func() bool) {
	b.t.Helper()
	b.until(what, func() error {
		if !holds() {
			return errors.New("it does not hold")
		}
		return nil
	})
}

// until waits until try returns no error, and ends the test with its last one.
func (b *Browser) until(what string, try func() error) {
	b.t.Helper()
	if err := b.wait(try); err != nil {
		b.t.Fatalf("waiting for %s: %v%s", what, err, b.state())
	}
}

func (b *Browser) wait(try func() error) error {
	ctx, cancel := context.WithTimeout(b.ctx, b.options.Patience)
	defer cancel()
	look := time.NewTicker(unseen)
	defer look.Stop()
	for {
		b.mu.Lock()
		changed := b.changed
		b.mu.Unlock()
		err := try()
		if err == nil || errors.Is(err, errClosed) || errors.As(err, new(hopeless)) {
			return err
		}
		select {
		case <-changed:
		case <-look.C:
		case <-b.conn.closed:
			return errClosed
		case <-ctx.Done():
			return err
		}
	}
}

// hopeless is an error that waiting does not mend.
type hopeless struct{ error }

// state tells, for a test that failed, where the tabs are and what the browser complained about.
func (b *Browser) state() string {
	var s strings.Builder
	for _, tab := range b.Tabs() {
		var address string
		if tab.eval("location.href", &address) == nil {
			fmt.Fprintf(&s, "\n\ttab: %s", address)
		}
	}
	for _, m := range b.Errors() {
		fmt.Fprintf(&s, "\n\t%s", m)
	}
	return s.String()
}
