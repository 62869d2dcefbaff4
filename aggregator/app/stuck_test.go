package app

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/test/poll"
	"github.com/gopprof/gopprof/test/smalldisk"
)

// An aggregator whose embedded NATS met with a full disk is not ready, and says why, until there
// is room; then it ends, with the reason, and the next one takes what was refused.
func TestDiskThatWasFull(t *testing.T) {
	smalldisk.Run(t, "24m", func(t *testing.T, dir string) {
		c := DefaultConfig()
		c.Embedded.Listen, c.Embedded.Dir = "127.0.0.1:0", filepath.Join(dir, "nats")
		c.Store.URL, c.Views.MaxOpen = "mem://", 0
		c.Serve.Listen, c.Status.Listen = "127.0.0.1:0", "127.0.0.1:0"
		start := func(ctx context.Context) (*App, *bus.Bucket, <-chan error) {
			a, err := New(ctx, c, Workers{Draw: []string{"false"}}, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			b, err := a.bus.Bucket(ctx, bus.BucketTold)
			if err != nil {
				t.Fatal(err)
			}
			return a, b, running(ctx, a)
		}
		first, b, ended := start(t.Context())
		free := smalldisk.Fill(t, dir)
		if _, err := b.Create(t.Context(), "x", make([]byte, 100_000)); !errors.Is(err, bus.ErrAway) {
			t.Errorf("without room: %v", err)
		}
		poll.Until(t, "it is not ready, for want of room", func() bool {
			err := first.health.ReadyNow()
			return err != nil && strings.Contains(err.Error(), "no space left on device")
		})
		if err := first.health.Live(); err != nil {
			t.Errorf("without room it must not be started again: %v", err)
		}
		free()
		if err := endOf(t, ended); !errors.Is(err, embedded.ErrStuck) {
			t.Fatalf("the first ended with: %v", err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		next, b, ended := start(ctx)
		if _, err := b.Create(ctx, "x", make([]byte, 100_000)); err != nil {
			t.Errorf("the next: %v", err)
		}
		if err := next.health.ReadyNow(); err != nil {
			t.Error(err)
		}
		stop()
		if err := endOf(t, ended); err != nil {
			t.Errorf("the next ended with: %v", err)
		}
	})
}
