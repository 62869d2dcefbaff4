package notify_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/buckettest"
)

// small is a bucket that has room for so many records.
type small struct {
	*buckettest.KV
	room int
}

func (s small) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if s.Keys("") >= s.room {
		return 0, bus.ErrFull
	}
	return s.KV.Create(ctx, key, value)
}

// A bucket that is full of what was told days ago keeps nobody from being told, though it keeps
// its records for two weeks; what was told lately is not forgotten, and so not told again.
func TestBucketFullOfWhatWasTold(t *testing.T) {
	for _, channel := range []string{notify.ChannelSlack, notify.ChannelWebhook} {
		synctest.Test(t, func(t *testing.T) {
			const room = 20
			kv, c := buckettest.NewKV(), &chat{}
			both := map[string]notify.Sender{notify.ChannelSlack: c, notify.ChannelWebhook: c}
			n := notifytest.BareOf(channel, notify.Deps{Told: small{kv, room}, Channels: notify.Channels{Senders: both}})
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- n.Run(ctx) }()
			for range room {
				if err := n.Handle(ctx, of(incident(), "web-1")); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(24 * time.Hour)
			if err := n.Handle(ctx, of(incident(), "web-2")); !errors.Is(err, bus.ErrFull) {
				t.Errorf("%s: after a day: %v", channel, err)
			}
			time.Sleep(2 * time.Minute)
			if kv.Keys("") != room {
				t.Errorf("%s: after a day %d records are left", channel, kv.Keys(""))
			}
			time.Sleep(2 * time.Hour)
			late := of(incident(), "web-3")
			_ = n.Handle(ctx, late)
			time.Sleep(time.Minute)
			if err := n.Handle(ctx, late); err != nil {
				t.Errorf("%s: then: %v", channel, err)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if !told(c.got)["web-3"] {
				t.Errorf("%s: nobody was told", channel)
			}
		})
	}
}
