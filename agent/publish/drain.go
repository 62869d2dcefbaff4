package publish

import (
	"context"
)

// tellMoved wakes whoever waits for attempts to end. p.mu is held.
func (p *Publisher) tellMoved() {
	close(p.moved)
	p.moved = make(chan struct{})
}

// Drain has everything that waits sent now, regardless of back-off, and returns when each
// of these captures was tried once more, or when ctx ends. It needs Run to be running: call
// it at shutdown, after the last Publish and before Run's context ends. What could not be
// sent stays in the spool (see Pending) for the next start.
func (p *Publisher) Drain(ctx context.Context) {
	goal := p.hurry()
	p.signal()
	for {
		p.mu.Lock()
		moved, left := p.moved, p.untried(goal)
		p.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return
		}
	}
}

// hurry makes every entry due and returns how often each was tried.
func (p *Publisher) hurry() map[uint64]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	goal := make(map[uint64]int, len(p.index.entries))
	now := p.now()
	p.gate.until = now
	for _, e := range p.index.entries {
		goal[e.seq] = e.attempts
		if e.next.After(now) {
			e.next = now
		}
	}
	return goal
}

// untried counts the entries that have not been tried since hurry. p.mu is held.
func (p *Publisher) untried(goal map[uint64]int) int {
	n := 0
	for _, e := range p.index.entries {
		if tries, asked := goal[e.seq]; asked && e.attempts == tries {
			n++
		}
	}
	return n
}
