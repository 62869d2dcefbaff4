package receive

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// company notes, for each capture, who was being handled while it was.
type company struct {
	mu     sync.Mutex
	here   map[string]bool
	beside map[string]bool // captures that were not alone
}

func (c *company) handle(ctx context.Context, cap gopprof.Capture) error {
	c.change(cap.ID, true)
	defer c.change(cap.ID, false)
	return slow(time.Minute).handle(ctx, cap)
}

func (c *company) change(id string, here bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !here {
		delete(c.here, id)
		return
	}
	c.here[id] = true
	if len(c.here) > 1 {
		for other := range c.here {
			c.beside[other] = true
		}
	}
}

// Captures that a worker died with are handled one at a time and with nothing beside them,
// so that the next death is the deed of the one capture that is there; all others go on
// together, before and after.
func TestWhatAWorkerDiedWithIsHandledAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &company{here: map[string]bool{}, beside: map[string]bool{}}
		first, second, once, twice := delivery("first"), delivery("second"), delivery("once"), delivery("twice")
		once.starts, twice.starts = 1, 2
		ctx, cancel := context.WithCancel(t.Context())
		r := New(DefaultConfig(), fakeHandler{handle: c.handle}, zap.NewNop(), prometheus.NewRegistry())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx, fakeSource{first, second, once, twice}) }()
		time.Sleep(5 * time.Minute) // synctest's time
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for _, d := range []*fakeDelivery{first, second, once, twice} {
			if got := strings.Join(d.log(), ", "); got != "started, fetch, remove bytes, finished, ack" {
				t.Errorf("%s: %s", d.capture.ID, got)
			}
		}
		if c.beside["once"] || c.beside["twice"] {
			t.Errorf("not alone: %v", c.beside)
		}
		if n := testutil.ToFloat64(r.metrics.alone); n != 2 {
			t.Errorf("%g counted as handled alone, want 2", n)
		}
	})
}

// Who waits to be alone when the aggregator stops is given back, and what is known of its
// deaths is kept.
func TestWaitingToBeAloneIsNoStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long, suspect := delivery("long"), delivery("suspect")
		suspect.starts = 1
		r := New(DefaultConfig(), slow(time.Hour), zap.NewNop(), prometheus.NewRegistry())
		life, end := context.WithCancel(t.Context())
		running := make(chan error, 1)
		go func() { running <- r.Run(life, fakeSource{long}) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx, fakeSource{suspect}) }()
		synctest.Wait()
		cancel() // the other one goes on: its end would make room in the same moment
		<-ended
		end()
		<-running
		if got := strings.Join(suspect.log(), ", "); got != "nak 0s" {
			t.Errorf("suspect: %s", got)
		}
	})
}

// What has ended here counts as no worker's death though NATS, which comes and goes, could not
// be told; deaths do, and what was told is forgotten.
func TestEndsThatNATSWasNotToldOf(t *testing.T) {
	r := New(DefaultConfig(), fakeHandler{}, zap.NewNop(), prometheus.NewRegistry())
	received := func(starts int, fails map[string]error) string {
		d := delivery("x")
		d.starts, d.fails = starts, fails
		r.receive(t.Context(), t.Context(), d)
		return strings.Join(d.log(), ", ")
	}
	const handled, buried = "started, fetch, remove bytes, finished, ack", "dead letter worker_died, finished"
	for starts := range 5 {
		if got := received(starts, map[string]error{"finished": bus.ErrAway, "ack": bus.ErrAway}); got != handled {
			t.Errorf("%d starts: %s", starts, got)
		}
	}
	if n := testutil.ToFloat64(r.metrics.alone); n != 0 {
		t.Errorf("%g counted as handled alone, want none", n)
	}
	if got := received(5+r.cfg.MaxStarts, nil); got != buried {
		t.Errorf("three deaths beside: %s", got)
	}
	if got := received(r.cfg.MaxStarts, nil); got != buried {
		t.Errorf("three deaths after: %s", got)
	}
}
