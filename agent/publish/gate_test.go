package publish

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// reachable is a Sender that knows whether it reaches NATS.
type reachable struct {
	nats
	away atomic.Bool
}

func (r *reachable) Reached() error {
	if r.away.Load() {
		return errAway
	}
	return nil
}

func noRoom(context.Context, gopprof.Capture) error { return fmt.Errorf("sending: %w", bus.ErrFull) }

// sent is how often a capture was sent, with whatever end.
func (n *nats) sent() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.tries)
}

// slow is a spool whose entries wait for hours once they were refused.
func slow(t *testing.T) Config {
	t.Helper()
	cfg := testConfig(t.TempDir())
	cfg.RetryMin, cfg.RetryMax = time.Hour, 10*time.Hour
	return cfg
}

func hold(t *testing.T, p *Publisher, n int) (all []string) {
	t.Helper()
	for range n {
		c := capture(newID(), 10)
		mustPublish(t, p, c)
		all = append(all, c.ID)
	}
	return all
}

// While the sender reaches nobody the spool is not read, though its entries are due again and
// again; when it does, everything goes out at once.
func TestSpoolIsNotReadWhileNATSIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &reachable{}
		n.away.Store(true)
		cfg := testConfig(t.TempDir())
		cfg.RetryMin, cfg.RetryMax = time.Second, 10*time.Hour
		p := open(t, cfg, n)
		ids := hold(t, p, 20)
		hidden := entryPath(cfg, ids[0]) + ".hidden" // whoever reads it now takes it for lost
		if err := os.Rename(entryPath(cfg, ids[0]), hidden); err != nil {
			t.Fatal(err)
		}
		run(t, p)
		time.Sleep(24 * time.Hour) // the bubble's clock, not the machine's
		if tries := testutil.ToFloat64(p.metrics.attempts); tries < 3*20 || n.sent() != 0 {
			t.Errorf("%v attempts counted and %d captures sent, want three of each and none", tries, n.sent())
		}
		if err := os.Rename(hidden, entryPath(cfg, ids[0])); err != nil {
			t.Fatal(err)
		}
		n.away.Store(false)
		time.Sleep(time.Second)
		if got := len(n.ids()); got != len(ids) {
			t.Errorf("%d of %d captures sent within a second of the way back", got, len(ids))
		}
		wantDropped(t, p, gopprof.ReasonSpoolTorn, 0)
	})
}

// The way back is not missed by what is refused in the same moment.
func TestWayBackInTheMomentOfARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &reachable{}
		p := open(t, slow(t), n)
		asked := 0
		p.reached = func() error {
			if asked++; asked == 1 {
				return errAway
			}
			return nil
		}
		ids := hold(t, p, 1)
		run(t, p)
		time.Sleep(time.Second)
		wantIDs(t, n.ids(), ids...)
	})
}

// A full stream is asked with one capture at a time, and in ever longer intervals, however
// many wait; when there is room they go out at once.
func TestFullStreamIsAskedWithOneCapture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		n := &nats{refuse: func(ctx context.Context, c gopprof.Capture) error {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			time.Sleep(100 * time.Millisecond)
			return noRoom(ctx, c)
		}}
		cfg := testConfig(t.TempDir())
		cfg.RetryMin, cfg.RetryMax, cfg.Senders = time.Second, 30*time.Second, 4
		p := open(t, cfg, n)
		p.jitter = func(d time.Duration) time.Duration { return d }
		ids := hold(t, p, 50)
		run(t, p)
		time.Sleep(10 * time.Second)
		most.Store(0)
		before := n.sent()
		time.Sleep(10 * time.Minute)
		if tries := n.sent() - before; tries < 15 || tries > 25 || most.Load() != 1 {
			t.Errorf("%d captures sent in ten minutes, %d at once; want one every 30 s", tries, most.Load())
		}
		n.set(nil)
		time.Sleep(31 * time.Second)
		if got := len(n.ids()); got != len(ids) {
			t.Errorf("%d of %d captures sent when there was room again", got, len(ids))
		}
	})
}

// Those for which there never is room hold the others up for a while only: each look is
// another's.
func TestCapturesWithoutRoomHoldNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nats{}
		cfg := testConfig(t.TempDir())
		cfg.RetryMin, cfg.RetryMax = time.Second, 30*time.Second
		p := open(t, cfg, n)
		huge := hold(t, p, 3)
		n.set(func(ctx context.Context, c gopprof.Capture) error {
			if slices.Contains(huge, c.ID) {
				return noRoom(ctx, c)
			}
			return nil
		})
		run(t, p)
		for range 10 {
			time.Sleep(5 * time.Minute)
			hold(t, p, 5)
			before := len(n.ids())
			time.Sleep(46 * time.Second) // the longest wait for the next look
			if got := len(n.ids()) - before; got != 5 {
				t.Errorf("%d of 5 sent beside them within one look", got)
			}
		}
	})
}

// At a shutdown a full stream is asked once more, and not waited for.
func TestDrainAsksAFullStreamOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nats{refuse: noRoom}
		p := open(t, slow(t), n)
		ids := hold(t, p, 10)
		run(t, p)
		synctest.Wait()
		start, before := time.Now(), n.sent()
		p.Drain(t.Context())
		if tries := n.sent() - before; tries != 1 {
			t.Errorf("%d captures sent to a full stream, want 1", tries)
		}
		n.set(nil)
		p.Drain(t.Context())
		if got := len(n.ids()); got != len(ids) {
			t.Errorf("%d of %d captures sent when there was room", got, len(ids))
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("took %v, want no back-off", d)
		}
	})
}
