package notify

import (
	"testing"
	"time"
)

// What was read of a record before it changed does not put off, or forget, what the change
// said: another replica may be the one that wrote it, and stop.
func TestStaleReadingsPutNothingOff(t *testing.T) {
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	p := newPending()
	p.set("ops", "k", now, 7)
	p.set("ops", "k", now.Add(time.Hour), 6)
	p.forget("ops", "k", 6)
	if keys, _ := p.at("ops", now); len(keys) != 1 {
		t.Errorf("due: %v", keys)
	}
	p.set("ops", "k", now.Add(time.Minute), 8)
	if keys, next := p.at("ops", now); len(keys) != 0 || !next.Equal(now.Add(time.Minute)) {
		t.Errorf("due: %v, next at %v", keys, next)
	}
	p.set("ops", "k", now, 0) // whatever the record says, it is looked at
	if keys, _ := p.at("ops", now); len(keys) != 1 {
		t.Errorf("due: %v", keys)
	}
	p.forget("ops", "k", 8)
	if keys, next := p.at("ops", now); len(keys) != 0 || !next.IsZero() {
		t.Errorf("due: %v, next at %v", keys, next)
	}
}
