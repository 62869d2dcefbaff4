package notify

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
)

const (
	// mostForgotten is how many records go at a time when the bucket is full, and roomPause how
	// long to wait before more of them do.
	mostForgotten = 1000
	roomPause     = time.Minute
	// forgottenAfter is how long, beyond the time at which everything is given up, a record must
	// have had its end: until then its report may come again, for the sake of another receiver.
	forgottenAfter = time.Hour
)

// noteFull has room made when a record found none, and returns err.
func (n *Notifier) noteFull(err error) error {
	if errors.Is(err, bus.ErrFull) {
		select {
		case n.full <- struct{}{}:
		default:
		}
	}
	return err
}

// keepRoom forgets what had its end long ago whenever the bucket is full, until ctx ends:
// nobody could be told of anything until it has forgotten that by itself.
func (n *Notifier) keepRoom(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.full:
		}
		switch forgotten, err := n.makeRoom(ctx); {
		case err != nil && ctx.Err() == nil:
			n.log.Warn("no room made for records of what is told", zap.Error(err))
		case forgotten > 0:
			n.log.Info("old records of what was told forgotten to make room", zap.Int("records", forgotten))
		}
		pause(ctx, roomPause)
	}
}

// makeRoom forgets the oldest records that had their end long ago, and says how many.
func (n *Notifier) makeRoom(ctx context.Context) (forgotten int, err error) {
	before := n.deps.Now().Add(-n.cfg.GiveUpAfter - forgottenAfter)
	return forget(ctx, n.deps.Told, func(key string, value []byte) bool {
		at := n.endedAt(key, value)
		return !at.IsZero() && at.Before(before)
	})
}

// forgetting is a bucket that forgets what it is told to.
type forgetting interface {
	watched
	ForgetUpTo(ctx context.Context, key string, revision uint64) error
}

// forget has a bucket forget those of its oldest records that may go, and says how many.
func forget(ctx context.Context, bucket forgetting, may func(key string, value []byte) bool) (forgotten int, err error) {
	type past struct {
		key      string
		revision uint64
	}
	looking, stop := context.WithCancel(ctx)
	defer stop()
	var old []past
	err = bucket.Watch(looking, func(key string, value []byte, revision uint64) { // in the order in which they were written
		if len(old) < mostForgotten && may(key, value) {
			old = append(old, past{key, revision})
		}
	}, stop)
	if err != nil {
		return 0, err
	}
	for _, p := range old {
		if err := bucket.ForgetUpTo(ctx, p.key, p.revision); err != nil {
			return forgotten, err
		}
		forgotten++
	}
	return forgotten, nil
}

// endedAt is when a record had its end; zero when it had none, or is not ours.
func (n *Notifier) endedAt(key string, value []byte) time.Time {
	if strings.HasPrefix(key, groupPrefix) {
		if g := groupOf(value); g.Receiver != "" && g.decide(n.deps.Now(), n.lease()).act == actNothing {
			return later(g.Last, g.ToldAt)
		}
		return time.Time{}
	}
	if r := recordOf(value); r.State == stateTold || r.State == stateGaveUp {
		return r.At
	}
	return time.Time{}
}
