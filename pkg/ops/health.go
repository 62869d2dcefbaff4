package ops

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Health knows whether the program's loops turn and whether its parts are ready. A loop
// that stands still makes /livez fail, so that the program is restarted; a part that is
// not ready makes /readyz fail, which only keeps work and people away.
type Health struct {
	now func() time.Time

	mu     sync.Mutex // guards the fields below
	beats  []*Beat
	checks []readyCheck
}

type readyCheck struct {
	name  string
	check func() error
}

// NewHealth returns a Health without loops and parts; now is time.Now but in tests.
func NewHealth(now func() time.Time) *Health { return &Health{now: now} }

// Loop registers a loop that must turn at least once within the given time. The clock
// starts now.
func (h *Health) Loop(name string, within time.Duration) *Beat {
	b := &Beat{name: name, within: within, now: h.now, last: h.now()}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beats = append(h.beats, b)
	return b
}

// Ready registers a part; check answers at once and is called concurrently.
func (h *Health) Ready(name string, check func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, readyCheck{name, check})
}

// Live returns every loop that stands still, joined, or nil.
func (h *Health) Live() error {
	h.mu.Lock()
	beats := h.beats
	h.mu.Unlock()
	var errs []error
	for _, b := range beats {
		errs = append(errs, b.check())
	}
	return errors.Join(errs...)
}

// ReadyNow returns every part that is not ready, joined, or nil.
func (h *Health) ReadyNow() error {
	h.mu.Lock()
	checks := h.checks
	h.mu.Unlock()
	var errs []error
	for _, c := range checks {
		if err := c.check(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

// Beat is one loop's sign of life. A nil Beat is a loop that nobody watches.
type Beat struct {
	name   string
	within time.Duration
	now    func() time.Time

	mu    sync.Mutex // guards the fields below
	last  time.Time
	ended bool
}

// Turn says that the loop has turned once more.
func (b *Beat) Turn() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = b.now()
}

// End says that the loop has ended as it should and is not missed.
func (b *Beat) End() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

func (b *Beat) check() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if since := b.now().Sub(b.last); !b.ended && since > b.within {
		return fmt.Errorf("loop %s: last turned %s ago, must within %s", b.name, since.Round(time.Millisecond), b.within)
	}
	return nil
}
