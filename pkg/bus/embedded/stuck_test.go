package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/test/poll"
	"github.com/gopprof/gopprof/test/smalldisk"
)

// watched starts a server whose Stuck looks often; what is returned tells how that ended.
func watched(t *testing.T, c embedded.Config) (*embedded.Server, <-chan error) {
	t.Helper()
	s := start(t, c)
	s.WatchEvery(10 * time.Millisecond)
	ctx, stop := context.WithCancel(t.Context())
	ended, done := make(chan error, 1), make(chan struct{})
	go func() { defer close(done); ended <- s.Stuck(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return s, ended
}

// told returns a bucket of a server's own aggregator.
func told(t *testing.T, s *embedded.Server) *bus.Bucket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), poll.Patience)
	defer cancel()
	agg, err := bus.ConnectAggregator(ctx, bus.DefaultConfig(), s, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = agg.Close(ctx) // the server may be gone already
	})
	streams := bus.DefaultStreamConfig()
	streams.BucketBytes = 1 << 20
	if err := agg.EnsureStreams(ctx, streams); err != nil {
		t.Fatal(err)
	}
	b, err := agg.Bucket(ctx, bus.BucketTold)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A server whose disk was full for one write takes no more of them. It says so and why while
// there is no room, when it still can be read, and is stuck for good when there is room again;
// the next one takes what this one refused, and has what it acknowledged.
func TestDiskThatWasFull(t *testing.T) {
	smalldisk.Run(t, "24m", func(t *testing.T, dir string) {
		c := loopback(t)
		c.Dir = dir
		s, ended := watched(t, c)
		b := told(t, s)
		if _, err := b.Create(t.Context(), "before", []byte("kept")); err != nil {
			t.Fatal(err)
		}
		free := smalldisk.Fill(t, dir)
		if _, err := b.Create(t.Context(), "meanwhile", make([]byte, 100_000)); !errors.Is(err, bus.ErrAway) {
			t.Errorf("without room: %v", err)
		}
		poll.Until(t, "it says that it is not ready", func() bool { return s.Ready() != nil })
		for _, want := range []string{bus.BucketTold, "no space left on device"} {
			if err := s.Ready(); !errors.Is(err, embedded.ErrStuck) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not name %s", err, want)
			}
		}
		if _, _, err := b.Get(t.Context(), "before"); err != nil {
			t.Errorf("reading without room: %v", err)
		}
		if _, err := b.Create(t.Context(), "known", []byte("x")); !errors.Is(err, bus.ErrAway) || !strings.Contains(err.Error(), "no space left on device") {
			t.Errorf("once it is known: %v", err)
		}
		select {
		case err := <-ended:
			t.Fatalf("without room: %v", err)
		default:
		}
		free()
		if err := <-ended; !errors.Is(err, embedded.ErrStuck) || !strings.Contains(err.Error(), "no space left on device") {
			t.Errorf("with room: %v", err)
		}
		s.Shutdown()
		next, _ := watched(t, c)
		b = told(t, next)
		if v, _, err := b.Get(t.Context(), "before"); err != nil || string(v) != "kept" {
			t.Errorf("what was acknowledged: %q, %v", v, err)
		}
		for i, key := range []string{"meanwhile", "known", "after"} {
			if _, err := b.Create(t.Context(), key, make([]byte, 100_000)); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
		if err := next.Ready(); err != nil {
			t.Error(err)
		}
	})
}

// JetStream that the server has switched off itself stays off until the next start.
func TestJetStreamThatIsOff(t *testing.T) {
	c := loopback(t)
	s, ended := watched(t, c)
	if err := s.SwitchOffJetStream(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, embedded.ErrStuck) || !strings.Contains(err.Error(), "jetstream") {
		t.Errorf("stuck: %v", err)
	}
	if err := s.Ready(); !errors.Is(err, embedded.ErrStuck) {
		t.Errorf("ready: %v", err)
	}
	s.Shutdown()
	next, _ := watched(t, c)
	if _, err := told(t, next).Create(t.Context(), "after", nil); err != nil {
		t.Error(err)
	}
}

// A server that works, with a bucket at its limit, is not stuck.
func TestBucketAtItsLimit(t *testing.T) {
	s, ended := watched(t, loopback(t))
	b := told(t, s)
	var err error
	for i := 0; err == nil; i++ {
		_, err = b.Create(t.Context(), fmt.Sprintf("k%d", i), make([]byte, 100_000))
	}
	if !errors.Is(err, bus.ErrFull) {
		t.Fatal(err)
	}
	before := s.Looks()
	poll.Until(t, "it looked again", func() bool { return s.Looks() > before+5 })
	select {
	case err := <-ended:
		t.Errorf("stuck: %v", err)
	default:
	}
	if err := s.Ready(); err != nil {
		t.Error(err)
	}
}
