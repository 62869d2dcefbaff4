package publish

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestRefusedItemHoldsNobodyUp(t *testing.T) {
	n := &nats{}
	cfg := testConfig(t.TempDir())
	cfg.Senders = 1
	p := open(t, cfg, n)
	bad := capture(newID(), 100)
	n.set(func(_ context.Context, c gopprof.Capture) error {
		if c.ID == bad.ID {
			return errors.New("refused")
		}
		return nil
	})
	mustPublish(t, p, bad)
	run(t, p)
	poll(t, "the bad one was refused thrice", func() bool { return n.tried(bad.ID) >= 3 })
	for range 5 {
		mustPublish(t, p, capture(newID(), 100))
	}
	poll(t, "the others are sent", func() bool { return len(n.ids()) == 5 })
	n.set(nil)
	poll(t, "the spool is empty", empty(p))
	if got := testutil.ToFloat64(p.metrics.sent); got != 6 {
		t.Errorf("%v counted as published, want 6", got)
	}
}

func TestHangingItemHoldsNobodyUp(t *testing.T) {
	n := &nats{}
	p := open(t, testConfig(t.TempDir()), n)
	hangs := capture(newID(), 100)
	n.set(func(ctx context.Context, c gopprof.Capture) error {
		if c.ID == hangs.ID {
			<-ctx.Done()
		}
		return ctx.Err()
	})
	mustPublish(t, p, hangs)
	stop := run(t, p)
	poll(t, "it hangs", func() bool { return n.tried(hangs.ID) == 1 })
	mustPublish(t, p, capture(newID(), 100), capture(newID(), 100))
	poll(t, "the others are sent", func() bool { return len(n.ids()) == 2 })
	stop() // also while it hangs
	if count, _ := p.Pending(); count != 1 {
		t.Errorf("%d wait, want the one that hangs", count)
	}
	if got := testutil.ToFloat64(p.metrics.attempts); got != 0 {
		t.Errorf("%v failures counted, want none: the attempt was ended by the stop", got)
	}
}

func TestBackOffGrowsPerItemAndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig(t.TempDir())
		cfg.RetryMin, cfg.RetryMax = time.Second, 8*time.Second
		var at []time.Duration
		start := time.Now()
		n := &nats{refuse: func(context.Context, gopprof.Capture) error {
			at = append(at, time.Since(start))
			return errAway
		}}
		p := open(t, cfg, n)
		p.jitter = func(d time.Duration) time.Duration { return d }
		mustPublish(t, p, capture(newID(), 10))
		stop := run(t, p)
		time.Sleep(40 * time.Second) // the bubble's clock, not the machine's
		stop()
		want := []time.Duration{0, 1, 3, 7, 15, 23, 31, 39}
		if len(at) != len(want) {
			t.Fatalf("tried at %v, want at %v seconds", at, want)
		}
		for i := range want {
			if at[i] != want[i]*time.Second {
				t.Errorf("try %d at %v, want %ds", i, at[i], want[i])
			}
		}
	})
}

func TestAttemptIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nats{refuse: func(ctx context.Context, _ gopprof.Capture) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		p := open(t, testConfig(t.TempDir()), n)
		c := capture(newID(), 10)
		mustPublish(t, p, c)
		stop := run(t, p)
		time.Sleep(3 * p.cfg.SendTimeout)
		stop()
		if tries := n.tried(c.ID); tries != 3 {
			t.Errorf("%d tries in three time-outs, want 3", tries)
		}
	})
}

// A NATS that takes two seconds for each chunk, as a slow disk makes it, gets large captures too,
// by the first attempt: a further one begins with the first chunk again.
func TestLargeCaptureHasTheTimeItNeeds(t *testing.T) {
	const chunk, each = 512 << 10, 2 * time.Second
	synctest.Test(t, func(t *testing.T) {
		n := &nats{refuse: func(ctx context.Context, c gopprof.Capture) error {
			select {
			case <-time.After(each * time.Duration(1+c.Profiles[0].SizeBytes/chunk)):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		cfg := testConfig(t.TempDir())
		cfg.SendTimeout, cfg.MaxBytes = DefaultConfig().SendTimeout, DefaultConfig().MaxBytes
		p := open(t, cfg, n)
		c := capture(newID(), 20<<20)
		mustPublish(t, p, c)
		stop := run(t, p)
		time.Sleep(10 * time.Minute)
		stop()
		if left, _ := p.Pending(); left != 0 || n.tried(c.ID) != 1 {
			t.Errorf("%d captures left after %d attempts", left, n.tried(c.ID))
		}
	})
}

func TestJitterSpreads(t *testing.T) {
	p := open(t, testConfig(t.TempDir()), &nats{})
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := p.jitter(time.Second)
		low, high = min(low, d), max(high, d)
	}
	if low < 500*time.Millisecond || high > 1500*time.Millisecond || high-low < 800*time.Millisecond {
		t.Errorf("one second became %v to %v, want half to one and a half", low, high)
	}
}

func TestDrainTriesEverythingOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig(t.TempDir())
		cfg.RetryMin, cfg.RetryMax = time.Hour, time.Hour
		n := &nats{refuse: away}
		p := open(t, cfg, n)
		stays, goes := capture(newID(), 10), capture(newID(), 10)
		mustPublish(t, p, stays, goes)
		run(t, p)
		synctest.Wait()
		n.set(func(_ context.Context, c gopprof.Capture) error {
			if c.ID == stays.ID {
				return errAway
			}
			return nil
		})
		start := time.Now()
		p.Drain(t.Context())
		if d := time.Since(start); d != 0 {
			t.Errorf("took %v, want no back-off", d)
		}
		wantIDs(t, n.ids(), goes.ID)
		if count, _ := p.Pending(); count != 1 {
			t.Errorf("%d wait, want 1", count)
		}
	})
}

func TestDrainEndsWithItsContext(t *testing.T) {
	p := open(t, testConfig(t.TempDir()), &nats{})
	mustPublish(t, p, capture(newID(), 10))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.Drain(ctx) // nothing runs that would send
}

// A capture that is being sent when the spool overflows is not dropped under the sender's
// hands: it is either delivered or counted as dropped.
func TestOverflowSparesWhatIsBeingSent(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.MaxBytes, cfg.Senders = 1<<20, 1
	release := make(chan struct{})
	n := &nats{refuse: func(ctx context.Context, _ gopprof.Capture) error {
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	p := open(t, cfg, n)
	sending, middle, newest := capture(newID(), 600<<10), capture(newID(), 300<<10), capture(newID(), 400<<10)
	mustPublish(t, p, sending)
	run(t, p)
	poll(t, "it is being sent", func() bool { return n.tried(sending.ID) == 1 })
	mustPublish(t, p, middle, newest)
	close(release)
	poll(t, "the spool is empty", empty(p))
	wantIDs(t, n.ids(), sending.ID, newest.ID)
	wantDropped(t, p, gopprof.ReasonSpoolFull, 1)
}

// What was spared because it was being sent is the oldest still: when that failed, it goes.
func TestOverflowAfterAnAttemptThatFailed(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.MaxBytes, cfg.Senders = 1<<20, 1
	release := make(chan struct{})
	n := &nats{refuse: func(context.Context, gopprof.Capture) error { <-release; return errAway }}
	p := open(t, cfg, n)
	sending, newest := capture(newID(), 600<<10), capture(newID(), 600<<10)
	mustPublish(t, p, sending)
	run(t, p)
	poll(t, "it is being sent", func() bool { return n.tried(sending.ID) == 1 })
	mustPublish(t, p, newest)
	close(release)
	poll(t, "the newest is tried", func() bool { return n.tried(newest.ID) > 1 })
	if _, size := p.Pending(); size > cfg.MaxBytes || p.Waits(sending.ID) || !p.Waits(newest.ID) {
		t.Errorf("%d bytes wait, of at most %d; the oldest among them: %v", size, cfg.MaxBytes, p.Waits(sending.ID))
	}
	wantDropped(t, p, gopprof.ReasonSpoolFull, 1)
}

// What NATS will never take is put aside with its name, instead of being tried for ever.
func TestWhatCanNeverBeSentIsPutAside(t *testing.T) {
	for reason, refusal := range map[gopprof.Reason]error{gopprof.ReasonTooLarge: bus.ErrTooLarge, gopprof.ReasonBadInput: bus.ErrInvalid} {
		n, cfg := &nats{}, testConfig(t.TempDir())
		p := open(t, cfg, n)
		bad, good := capture(newID(), 100), capture(newID(), 100)
		n.set(func(_ context.Context, c gopprof.Capture) error {
			if c.ID == bad.ID {
				return fmt.Errorf("sending: %w", refusal)
			}
			return nil
		})
		mustPublish(t, p, bad, good)
		stop := run(t, p)
		poll(t, "nothing waits", empty(p))
		stop()
		wantIDs(t, n.ids(), good.ID)
		wantDropped(t, p, reason, 1)
		if got := files(t, filepath.Join(cfg.Dir, asideDir)); n.tried(bad.ID) != 1 || len(got) != 1 {
			t.Errorf("%s: tried %d times, %q aside", reason, n.tried(bad.ID), got)
		}
	}
}
