package notify_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/pkg/bus/buckettest"
)

// behind is a bucket that is read, up to a time, where the newest changes are not known yet, as
// from a follower of JetStream's.
type behind struct {
	*buckettest.KV
	known *buckettest.KV
	until time.Time
	now   func() time.Time
	reads int
}

func (b *behind) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if b.reads++; b.now().Before(b.until) {
		return b.known.Get(ctx, key)
	}
	return b.KV.Get(ctx, key)
}

// What is read of a record where it is not known yet, or not as it is by now, neither forgets
// what is to be told nor is read again and again.
func TestRecordThatIsReadWhereItIsNotKnownYet(t *testing.T) {
	for name, before := range map[string][]string{"at all": nil, "as it is": {"web-0"}} {
		s, c := chatting(t)
		b := &behind{KV: s.KV, known: s.KV, now: s.Now}
		s.Notifier = notify.New(s.Config, notify.Deps{Told: b, Channels: notify.Channels{Senders: map[string]notify.Sender{notify.ChannelSlack: c}}, Now: s.Now}, zap.NewNop(), prometheus.NewRegistry())
		id := incident()
		for _, pod := range before {
			handle(t, s, of(id, pod))
			s.Pass(s.Config.Default.GroupWait)
		}
		b.known = s.KV.Copy()
		handle(t, s, of(id, "web-1"))
		s.Wait(s.Config.Default.GroupInterval)
		b.until, b.reads = s.Now().Add(500*time.Millisecond), 0
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
		s.Turn(ctx)
		stop()
		if b.reads != 1 {
			t.Errorf("not known %s: read %d times", name, b.reads)
		}
		s.Pass(time.Minute)
		if got := c.took(); len(got) != len(before)+1 {
			t.Errorf("not known %s: told %q", name, got)
		}
	}
}
