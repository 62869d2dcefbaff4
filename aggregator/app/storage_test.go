package app

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/receive"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
	"github.com/gopprof/gopprof/test/smalldisk"
)

// troubled is a real store whose calls meet with trouble: before they have an effect, or
// after it.
type troubled struct {
	storer
	trouble func(ctx context.Context) (before, after error) // asked at each call
}

func (s troubled) Committed(ctx context.Context, c gopprof.Capture) (r gopprof.Report, found bool, err error) {
	_, err = meet(ctx, s, func() (_ string, err error) { r, found, err = s.storer.Committed(ctx, c); return "", err })
	return r, found && err == nil, err
}

func (s troubled) PutProfile(ctx context.Context, c gopprof.Capture, p gopprof.Profile) (string, error) {
	return meet(ctx, s, func() (string, error) { return s.storer.PutProfile(ctx, c, p) })
}

func (s troubled) PutDrawing(ctx context.Context, c gopprof.Capture, k gopprof.Kind, svg []byte) (string, error) {
	return meet(ctx, s, func() (string, error) { return s.storer.PutDrawing(ctx, c, k, svg) })
}

func (s troubled) PutPicture(ctx context.Context, c gopprof.Capture, svg []byte) (string, error) {
	return meet(ctx, s, func() (string, error) { return s.storer.PutPicture(ctx, c, svg) })
}

func (s troubled) Commit(ctx context.Context, r gopprof.Report) error {
	_, err := meet(ctx, s, func() (string, error) { return "", s.storer.Commit(ctx, r) })
	return err
}

func meet(ctx context.Context, s troubled, do func() (string, error)) (string, error) {
	before, after := s.trouble(ctx)
	if before != nil {
		return "", before
	}
	key, err := do()
	if err == nil {
		err = after
	}
	return key, err
}

var errTrouble = errors.New("the storage says 503")

// through gives captures to aggregators over such a store until nothing waits any more, and
// checks that each was stored once and told of under its own ID.
func (s *scene) through(t *testing.T, captures []gopprof.Capture, trouble func(ctx context.Context) (before, after error)) {
	t.Helper()
	if trouble != nil {
		open := s.open
		s.open = func() (*bus.Aggregator, storer) {
			link, stored := open()
			return link, troubled{stored, trouble}
		}
	}
	s.work()
	for _, c := range captures {
		s.reported(t, c)
	}
	if n := s.b.Messages(bus.StreamReports); n != uint64(len(captures)) {
		t.Errorf("%d reports in the stream, want %d: each once", n, len(captures))
	}
	if n := s.b.Messages(bus.StreamDead); n != 0 {
		t.Errorf("%d dead letters of a trouble that passes", n)
	}
}

// several asks for captures and publishes them.
func (s *scene) several(n int) (captures []gopprof.Capture) {
	for i := range n {
		c := s.ask(string(rune('a' + i)))
		s.publish(c)
		captures = append(captures, c)
	}
	return captures
}

// Half of all calls fail, some of them after they had their effect: nobody knows whether
// they had one.
func TestStorageThatFailsHalfOfItsCalls(t *testing.T) {
	s := newScene(t)
	var mu sync.Mutex
	random, failed := rand.New(rand.NewPCG(1, 2)), 0
	s.through(t, s.several(2), func(context.Context) (before, after error) {
		mu.Lock()
		defer mu.Unlock()
		switch random.IntN(4) {
		case 0:
			failed++
			return errTrouble, nil
		case 1:
			failed++
			return nil, errTrouble
		}
		return nil, nil
	})
	if failed < 8 {
		t.Errorf("only %d calls failed", failed)
	}
}

// Calls that hang are given up in time, and what was asked of them is asked again; they
// hold up nobody for longer than that.
func TestStorageThatIsSlow(t *testing.T) {
	s := newScene(t)
	s.tune = func(c *receive.Config) { c.HandleTimeout = 2 * time.Second } // long enough for what does not hang, on a busy machine
	var mu sync.Mutex
	hung := 0
	s.through(t, s.several(4), func(ctx context.Context) (before, after error) {
		mu.Lock()
		hung++
		hangs := hung%5 == 1 && hung < 60
		mu.Unlock()
		if hangs {
			<-ctx.Done()
			return nil, ctx.Err() // it did it all the same, and too late
		}
		return nil, nil
	})
}

// On a real disk without a byte to spare captures wait in NATS, with their bytes, for as
// long as it lasts; when there is room they are stored, and nothing else is left of them.
func TestStorageThatIsFull(t *testing.T) {
	smalldisk.Run(t, "8m", func(t *testing.T, dir string) {
		s := newScene(t)
		s.dir = dir
		s.store() // makes its directories
		free := smalldisk.Fill(t, dir)
		var mu sync.Mutex
		calls := 0
		open := s.open
		s.open = func() (*bus.Aggregator, storer) {
			link, stored := open()
			return link, troubled{stored, func(context.Context) (before, after error) {
				mu.Lock()
				defer mu.Unlock()
				calls++
				return nil, nil
			}}
		}
		captures := s.several(3)
		_, stop, wait := s.start("")
		poll.Until(t, "each was tried, and tried again", func() bool { mu.Lock(); defer mu.Unlock(); return calls > 20 })
		stop()
		wait()
		if n := s.b.Messages(bus.StreamCaptures); n != 3 {
			t.Errorf("%d captures wait, want 3", n)
		}
		free()
		s.through(t, captures, nil)
	})
}
