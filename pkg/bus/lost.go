package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	// lookEvery is the time between two looks at whether the streams are still there.
	lookEvery = time.Minute
	// lookAgain is how long a stream must be missing: a cluster that has just elected may not
	// know of it yet.
	lookAgain = 10 * time.Second
)

// look is how Lost looks.
type look struct {
	every, again time.Duration
	done         atomic.Uint64 // how often it did
}

// streamID tells one stream from another that has its name later.
type streamID struct {
	what    string // as people call it
	created time.Time
}

// Lost returns nil when ctx ends, and ErrLost when a stream or bucket that EnsureStreams made
// is not there any more: NATS has lost its files, or somebody has deleted it, and another
// aggregator may have made it anew. It looks after every reconnection and once a minute.
//
// Revisions begin again with the new one, so that whatever was known of the old misleads:
// the caller should end and start again, which makes what is missing.
func (a *Aggregator) Lost(ctx context.Context) error {
	back := a.nc.StatusChanged(nats.CONNECTED)
	defer a.nc.RemoveStatusListener(back)
	tick := time.NewTicker(a.look.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-back:
		case <-tick.C:
		}
		what := a.missing(ctx)
		if what == "" {
			continue
		}
		a.log.Warn("streams are not what they were, looking again", zap.String("what", what))
		pause(ctx, a.look.again)
		if what = a.missing(ctx); what != "" {
			return fmt.Errorf("%w: %s; what waited there is lost, and a new start makes what is missing", ErrLost, what)
		}
	}
}

// missing tells of the first stream that is not what EnsureStreams made; empty when all are,
// or NATS does not say.
func (a *Aggregator) missing(ctx context.Context) string {
	a.look.done.Add(1)
	a.mu.Lock()
	made := maps.Clone(a.made)
	a.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(made)) {
		if what := a.differs(ctx, name, made[name]); what != "" {
			return what
		}
	}
	return ""
}

func (a *Aggregator) differs(ctx context.Context, name string, was streamID) string {
	if !a.nc.IsConnected() {
		return ""
	}
	ctx, done := a.guard(ctx, "", ackWait)
	defer done()
	s, err := a.js.Stream(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return was.what + " is gone"
	case err == nil && !s.CachedInfo().Created.Equal(was.created):
		return was.what + " was made anew"
	}
	return ""
}
