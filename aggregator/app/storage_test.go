package app

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

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
	trouble func(ctx context.Context, capture string) (before, after error) // asked at each call
}

func (s troubled) Committed(ctx context.Context, c gopprof.Capture) (r gopprof.Report, found bool, err error) {
	_, err = meet(ctx, s, c.ID, func() (_ string, err error) { r, found, err = s.storer.Committed(ctx, c); return "", err })
	return r, found && err == nil, err
}

func (s troubled) PutProfile(ctx context.Context, c gopprof.Capture, p gopprof.Profile) (string, error) {
	return meet(ctx, s, c.ID, func() (string, error) { return s.storer.PutProfile(ctx, c, p) })
}

func (s troubled) PutDrawing(ctx context.Context, c gopprof.Capture, k gopprof.Kind, svg []byte) (string, error) {
	return meet(ctx, s, c.ID, func() (string, error) { return s.storer.PutDrawing(ctx, c, k, svg) })
}

func (s troubled) PutPicture(ctx context.Context, c gopprof.Capture, svg []byte) (string, error) {
	return meet(ctx, s, c.ID, func() (string, error) { return s.storer.PutPicture(ctx, c, svg) })
}

func (s troubled) Commit(ctx context.Context, r gopprof.Report) error {
	_, err := meet(ctx, s, r.ID, func() (string, error) { return "", s.storer.Commit(ctx, r) })
	return err
}

func meet(ctx context.Context, s troubled, capture string, do func() (string, error)) (string, error) {
	before, after := s.trouble(ctx, capture)
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

// troubles has every store from now on meet with trouble, and receive write its log into what
// is returned.
func (s *scene) troubles(trouble func(ctx context.Context, capture string) (before, after error)) *observer.ObservedLogs {
	open := s.open
	s.open = func() (*bus.Aggregator, storer) {
		link, stored := open()
		return link, troubled{stored, trouble}
	}
	core, logs := observer.New(zap.WarnLevel)
	s.log = zap.New(core)
	return logs
}

// allOnce checks that each capture was stored once and told of under its own ID.
func (s *scene) allOnce(t *testing.T, captures []gopprof.Capture) {
	t.Helper()
	for _, c := range captures {
		s.reported(t, c)
	}
	s.once(t, len(captures), 0)
}

// givenBack is how often a capture was given back for a reason.
func givenBack(logs *observer.ObservedLogs, c gopprof.Capture, reason gopprof.Reason) int {
	of := logs.FilterMessage("capture given back").FilterField(zap.String("capture", c.ID))
	return of.FilterField(zap.String("reason", string(reason))).Len()
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
	logs := s.troubles(func(context.Context, string) (before, after error) {
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
	captures := s.several(2)
	s.work()
	s.allOnce(t, captures)
	if failed < 8 {
		t.Errorf("only %d calls failed", failed)
	}
	told := 0
	for _, c := range captures {
		told += givenBack(logs, c, gopprof.ReasonStoreFailed)
	}
	if told < 8 || told != logs.FilterMessage("capture given back").Len() {
		t.Errorf("%d times the log says that the store failed, which was the only trouble: %v", told, logs.All())
	}
}

// Calls that hang are given up in time, and what was asked of them is asked again.
func TestStorageThatIsSlow(t *testing.T) {
	s := newScene(t)
	s.large = 1 << 10
	s.tune = func(c *receive.Config) { c.HandleTimeout = 2 * time.Second } // long enough for what does not hang, on a busy machine
	var mu sync.Mutex
	hung := 0
	s.troubles(func(ctx context.Context, _ string) (before, after error) {
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
	captures := s.several(4)
	s.work()
	s.allOnce(t, captures)
}

// While calls hang for some captures, as many as there are workers, another one gets through;
// and so do they when their calls hang no more.
func TestStorageThatHangsForSome(t *testing.T) {
	s := newScene(t)
	s.large = 1 << 10
	s.tune = func(c *receive.Config) { c.HandleTimeout, c.Workers = 2*time.Second, 2 }
	var mu sync.Mutex
	hangs := map[string]bool{}
	logs := s.troubles(func(ctx context.Context, capture string) (before, after error) {
		mu.Lock()
		wait := hangs[capture]
		mu.Unlock()
		if wait {
			<-ctx.Done()
			return ctx.Err(), nil
		}
		return nil, nil
	})
	bad := []gopprof.Capture{s.ask("a"), s.ask("b")}
	hangs[bad[0].ID], hangs[bad[1].ID] = true, true
	for _, c := range bad {
		s.publish(c)
	}
	_, stop, wait := s.start("")
	for _, c := range bad {
		poll.Until(t, "its call was given up", func() bool { return givenBack(logs, c, gopprof.ReasonStoreFailed) > 0 })
	}
	good := s.ask("c")
	s.publish(good)
	poll.Until(t, "the other one gets through", func() bool { return s.heard(good.ID) > 0 })
	for _, c := range bad {
		before := givenBack(logs, c, gopprof.ReasonStoreFailed)
		poll.Until(t, "its call hangs still", func() bool { return givenBack(logs, c, gopprof.ReasonStoreFailed) > before })
		if own := s.filesOf(c); len(own) > 0 {
			t.Errorf("stored %v", own)
		}
	}
	mu.Lock()
	clear(hangs)
	mu.Unlock()
	s.settled()
	stop()
	wait()
	s.allOnce(t, append(bad, good))
}

// On a real disk without a byte to spare captures wait in NATS, with their bytes, for as
// long as it lasts, and the log says why; when there is room the same aggregator stores them,
// and nothing else is left of them.
func TestStorageThatIsFull(t *testing.T) {
	smalldisk.Run(t, "8m", func(t *testing.T, dir string) {
		s := newScene(t)
		s.dir = dir
		s.store() // makes its directories
		free := smalldisk.Fill(t, dir)
		logs := s.troubles(func(context.Context, string) (before, after error) { return nil, nil })
		captures := s.several(3)
		sent := s.b.Messages(bus.StreamBytes)
		_, stop, wait := s.start("")
		for _, c := range captures {
			poll.Until(t, "it was tried, and tried again", func() bool { return givenBack(logs, c, gopprof.ReasonStoreFailed) > 2 })
			if s.heard(c.ID) > 0 {
				t.Error("it is told of, and not stored")
			}
		}
		if n, bytes := s.b.Messages(bus.StreamCaptures), s.b.Messages(bus.StreamBytes); n != 3 || bytes != sent {
			t.Errorf("%d captures wait, want 3; %d of their %d chunks", n, bytes, sent)
		}
		free()
		s.settled()
		stop()
		wait()
		s.allOnce(t, captures)
	})
}
