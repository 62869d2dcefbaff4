package operations

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// lookAgain is how often a followed operation is read though nothing was told of it: the
// time that is left changes, and a replica's own list may be late.
const lookAgain = 2 * time.Second

// readAgain is how long an operation that was read once may be unreadable.
const readAgain = 30 * time.Second

// maxFollowers bounds who follows operations at the same time.
const maxFollowers = 1000

// showAgain is how long a follower is shown nothing at most: who hears nothing for longer
// cannot tell a long wait from a lost connection.
const showAgain = 15 * time.Second

// Follow shows an operation whenever it changes, the first time at once, and now and then
// while it does not, until it has ended, show returns false or ctx ends. An unknown operation is a *gopprof.Error with
// reason unknown.
func (k *Keeper) Follow(ctx context.Context, id string, show func(gopprof.Operation) bool) error {
	changed := make(chan struct{}, 1)
	if !k.follow(id, changed) {
		return &gopprof.Error{Reason: gopprof.ReasonBudget, Detail: fmt.Sprintf("%d already follow operations: ask for its state instead", maxFollowers)}
	}
	defer k.unfollow(id, changed)
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	var last gopprof.Operation
	var shown, read time.Time
	for {
		op, err := k.Operation(ctx, id)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && (read.IsZero() || time.Since(read) > readAgain || gopprof.ReasonOf(err) == gopprof.ReasonUnknown) {
			return err
		}
		if err != nil { // whoever keeps the records is away for a moment
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
			continue
		}
		read = time.Now()
		if now := time.Now(); !reflect.DeepEqual(op, last) || now.Sub(shown) >= showAgain {
			if shown = now; !show(op) {
				return nil
			}
		}
		if last = op; op.Ended() {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-tick.C:
		}
	}
}

func (k *Keeper) follow(id string, changed chan struct{}) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, f := range k.followers {
		n += len(f)
	}
	if n >= maxFollowers {
		return false
	}
	if k.followers[id] == nil {
		k.followers[id] = map[chan struct{}]bool{}
	}
	k.followers[id][changed] = true
	return true
}

func (k *Keeper) unfollow(id string, changed chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.followers[id], changed)
	if len(k.followers[id]) == 0 {
		delete(k.followers, id)
	}
}
