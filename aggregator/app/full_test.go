package app

import (
	"errors"
	"fmt"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// fill leaves no room in a bucket, and returns what makes it again.
func (s *scene) fill(t *testing.T, bucket string) (free func()) {
	t.Helper()
	b, err := s.bus.Bucket(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for size := 16 << 10; size > 0; size /= 2 {
		for err = nil; err == nil; {
			key := fmt.Sprintf("filler-%d", len(keys))
			if _, err = b.Create(t.Context(), key, make([]byte, size)); err == nil {
				keys = append(keys, key)
			}
		}
		if !errors.Is(err, bus.ErrFull) {
			t.Fatalf("after %d keys: %v, want that it is full", len(keys), err)
		}
	}
	return func() {
		for _, key := range keys {
			if err := b.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// newSmallBuckets is a scene whose buckets are soon full, and its warnings.
func newSmallBuckets(t *testing.T) (*scene, *observer.ObservedLogs) {
	t.Helper()
	streams := bus.DefaultStreamConfig()
	streams.BucketBytes = 128 << 10
	s := newSceneWith(t, streams)
	core, logs := observer.New(zap.WarnLevel)
	s.log = zap.New(core)
	return s, logs
}

// While a bucket that is written at the end of a capture has no room, the
// capture waits in NATS and the log says why; when there is room, it is ended as any other.
func TestBucketThatIsFull(t *testing.T) {
	for _, bucket := range []string{bus.BucketBudget, bus.BucketOperations} {
		t.Run(bucket, func(t *testing.T) {
			s, logs := newSmallBuckets(t)
			c := s.ask("x")
			free := s.fill(t, bucket)
			s.publish(c)
			_, stop, wait := s.start("")
			poll.Until(t, "it is given back, again and again", func() bool { return givenBack(logs, c, gopprof.ReasonNATSFull) > 2 })
			if n := s.b.Messages(bus.StreamCaptures); n != 1 {
				t.Errorf("%d captures wait, want 1", n)
			}
			if s.heard(c.ID) == 0 {
				t.Error("nobody was told of what is stored")
			}
			free()
			s.settled()
			stop()
			wait()
			s.reported(t, c)
			s.once(t, 1, 0)
		})
	}
}

// Where starts cannot be counted, captures are handled all the same: what kills its worker
// is not found out meanwhile, which the log says once.
func TestNoRoomToCountStarts(t *testing.T) {
	s, logs := newSmallBuckets(t)
	captures := []gopprof.Capture{s.ask("x"), s.ask("y")}
	free := s.fill(t, "gopprof-starts")
	for _, c := range captures {
		s.publish(c)
	}
	_, stop, wait := s.start("")
	poll.Until(t, "the queue is empty", func() bool { return s.b.Messages(bus.StreamCaptures) == 0 })
	free()
	s.settled()
	stop()
	wait()
	for _, c := range captures {
		s.reported(t, c)
		if n := givenBack(logs, c, gopprof.ReasonNATSFull); n > 0 {
			t.Errorf("%s was given back %d times", c.ID, n)
		}
	}
	s.once(t, 2, 0)
	if n := logs.FilterMessageSnippet("no room to count that captures are begun").Len(); n != 1 {
		t.Errorf("the log says it %d times, want once", n)
	}
}
