package bus_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/gopprof/gopprof/pkg/bus"
)

// neverShown is a bucket of which the last key went after it was counted and before it came: nats.go
// waits for it, and says never that all were shown. No real server can be made to do it in time.
type neverShown struct{ jetstream.KeyValue }

func (neverShown) WatchAll(context.Context, ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	return watcher{}, nil
}

type watcher struct{ jetstream.KeyWatcher }

func (watcher) Updates() <-chan jetstream.KeyValueEntry { return nil }
func (watcher) Stop() error                             { return nil }

// Who waits for all keys does not wait for ever.
func TestWatchOfKeysWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := bus.BucketOver(neverShown{}).Watch(t.Context(), func(string, []byte, uint64) {}, func() { t.Error("shown") })
		if !errors.Is(err, bus.ErrAway) {
			t.Errorf("watching: %v, want %v", err, bus.ErrAway)
		}
	})
}
