package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// turns lets the captures of one target follow each other. Two rules often fire together,
// as cpu and throttled do; take would refuse the second capture, when it has cost a place
// in the aggregator's budget already.
type turns struct {
	mu   sync.Mutex       // guards held
	held map[string]*turn // by target key
}

// turn is one capture's hold on its target.
type turn struct {
	leave func() // frees the target; may be called more than once
	free  chan struct{}
	ended chan struct{}

	taken     gopprof.Capture   // written before free is closed
	agreement gopprof.Agreement // written before ended is closed, as is the next
	published bool
}

// newTurn returns a turn that nobody holds.
func newTurn() *turn {
	return &turn{leave: func() {}, free: make(chan struct{}), ended: make(chan struct{})}
}

// enter waits for the target's turn, for as long as a capture may still start. Of each
// capture that it waited for it asks enough: when that is true there is no turn and no error.
func (t *turns) enter(ctx context.Context, key string, enough func(*turn) bool) (*turn, error) {
	late := time.NewTimer(triggerLifetime)
	defer late.Stop()
	for {
		mine, before := t.hold(key)
		if before == nil {
			return mine, nil
		}
		select {
		case <-before.free:
		case <-late.C:
			return nil, &gopprof.Error{Reason: gopprof.ReasonCapturing, Detail: "another rule's capture of the target did not end in time"}
		case <-ctx.Done():
			return nil, &gopprof.Error{Reason: gopprof.ReasonCancelled}
		}
		if enough(before) {
			return nil, nil
		}
	}
}

// hold takes the turn, or returns who has it.
func (t *turns) hold(key string) (mine, before *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if before = t.held[key]; before != nil {
		return nil, before
	}
	if t.held == nil {
		t.held = map[string]*turn{}
	}
	mine = newTurn()
	mine.leave = sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.held, key)
		close(mine.free)
	})
	t.held[key] = mine
	return mine, nil
}

// holds tells whether the capture has all of these kinds.
func (t *turn) holds(kinds []gopprof.Kind) bool {
	return len(kinds) > 0 && !slices.ContainsFunc(kinds, func(k gopprof.Kind) bool {
		_, taken := t.taken.Profile(k)
		return !taken
	})
}
