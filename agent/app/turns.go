package app

import (
	"context"
	"sync"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// turns lets the captures of one target follow each other. Two rules often fire together,
// as cpu and throttled do; take would refuse the second capture, when it has cost a place
// in the aggregator's budget already.
type turns struct {
	mu   sync.Mutex               // guards held
	held map[string]chan struct{} // by target key; closed when its holder leaves
}

// enter waits for the target's turn, for as long as a capture may still start. leave may be
// called more than once.
func (t *turns) enter(ctx context.Context, key string) (leave func(), err error) {
	late := time.NewTimer(triggerLifetime)
	defer late.Stop()
	for {
		before, mine := t.hold(key)
		if before == nil {
			return sync.OnceFunc(func() { t.leave(key, mine) }), nil
		}
		select {
		case <-before:
		case <-late.C:
			return nil, &gopprof.Error{Reason: gopprof.ReasonCapturing, Detail: "another rule's capture of the target did not end in time"}
		case <-ctx.Done():
			return nil, &gopprof.Error{Reason: gopprof.ReasonCancelled}
		}
	}
}

// hold takes the turn, or returns what is closed when it is free.
func (t *turns) hold(key string) (before, mine chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if before = t.held[key]; before != nil {
		return before, nil
	}
	if t.held == nil {
		t.held = map[string]chan struct{}{}
	}
	mine = make(chan struct{})
	t.held[key] = mine
	return nil, mine
}

func (t *turns) leave(key string, mine chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.held, key)
	close(mine)
}
