package ops

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// diary notes what happened, in its order.
type diary struct {
	mu    sync.Mutex
	notes []string
}

func (d *diary) note(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, s)
}

func (d *diary) expect(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.notes, want) {
		t.Errorf("notes %q, want %q", d.notes, want)
	}
}

// loop is a part that works until it is told to stop, and then takes some time.
func (d *diary) loop(name string, drains time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		time.Sleep(drains) // in synctest's time
		d.note(name)
		return ctx.Err()
	}
}

func (d *diary) closer(name string, err error) func(context.Context) error {
	return func(context.Context) error { d.note(name); return err }
}

func TestTheNewestPartStopsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		s := NewStages(zap.NewNop(), time.Minute)
		s.Closer("nats", d.closer("nats", nil))
		s.Go("publish", d.loop("publish", time.Second))
		s.Go("take", d.loop("take", 20*time.Second))
		s.Go("watch", d.loop("watch", 0))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Wait(ctx) }()
		synctest.Wait()
		d.expect(t)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		d.expect(t, "watch", "take", "publish", "nats")
	})
}

func TestAPartThatFailsStopsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		broken := errors.New("disk full")
		s := NewStages(zap.NewNop(), time.Minute)
		s.Go("publish", d.loop("publish", 0))
		s.Go("idle", func(context.Context) error { return nil }) // has nothing to do: no failure
		s.Go("store", func(context.Context) error { time.Sleep(time.Hour); return broken })
		err := s.Wait(t.Context())
		if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "store: ") {
			t.Errorf("err %v", err)
		}
		d.expect(t, "publish")
	})
}

func TestAllStopsShareOneDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		released := make(chan struct{})
		defer close(released)
		s := NewStages(zap.NewNop(), 30*time.Second)
		s.Closer("nats", d.closer("nats", errors.New("away")))
		s.Closer("deaf closer", func(context.Context) error { <-released; return nil })
		s.Go("deaf", func(context.Context) error { <-released; return nil })
		s.Go("watch", d.loop("watch", 20*time.Second))
		began := time.Now()
		err := s.Stop()
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("took %s", took)
		}
		for _, want := range []string{"stopping deaf: still running at the deadline", "stopping deaf closer: still running at the deadline"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("err %v, want %q in it", err, want)
			}
		}
		synctest.Wait()
		d.expect(t, "watch", "nats") // what is late does not keep the rest from stopping
	})
}

func TestStoppingTwiceStopsOnce(t *testing.T) {
	var d diary
	s := NewStages(zap.NewNop(), time.Minute)
	s.Closer("nats", d.closer("nats", errors.New("away")))
	first, second := s.Stop(), s.Stop()
	if first == nil || first.Error() != "stopping nats: away" || !errors.Is(second, first) {
		t.Errorf("first %v, second %v", first, second)
	}
	d.expect(t, "nats")
}
