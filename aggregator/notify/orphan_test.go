package notify

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus/buckettest"
)

// counting counts what is read.
type counting struct {
	*buckettest.KV
	reads int
}

func (c *counting) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	c.reads++
	return c.KV.Get(ctx, key)
}

// A group of a receiver that is gone, whose newest change the bucket has lost or does not know yet
// where it is read, is not read again and again.
func TestOrphanThatIsReadAsItWas(t *testing.T) {
	const key = groupPrefix + "gone.group"
	fresh := grown(0, "web-1")
	fresh.Receiver = "gone"
	for name, was := range map[string]group{"closed": fresh.abandoned(), "not due": func() group { g := fresh; g.Last = noon.Add(48 * time.Hour); return g }()} {
		kv, now := &counting{KV: buckettest.NewKV()}, noon.Add(48*time.Hour)
		n := New(DefaultConfig(), Deps{Told: kv, Now: func() time.Time { return now }}, zap.NewNop(), prometheus.NewRegistry())
		for revision, g := range []group{was, fresh} {
			value, err := json.Marshal(g)
			if err != nil {
				t.Fatal(err)
			}
			if revision == 0 {
				_, err = kv.Create(t.Context(), key, value)
			}
			if err != nil {
				t.Fatal(err)
			}
			n.see(key, value, uint64(revision+1))
		}
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
		for range 3 {
			n.turnOrphans(ctx)
			now = now.Add(2 * busyPause)
		}
		stop()
		if kv.reads != 2 {
			t.Errorf("%s: read %d times, want once as it was and once more to believe it", name, kv.reads)
		}
	}
}
