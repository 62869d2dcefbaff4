package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
)

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// capture makes a capture whose profiles follow from its ID, so that any process can tell
// whether it has the right bytes.
func capture(id string, sizes ...int) gopprof.Capture {
	c := gopprof.Capture{
		ID: id, Incident: "01938f00-0000-7000-8000-000000000000", Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual},
		Target: gopprof.Target{Namespace: "shop", Pod: "cart-0", Container: "app"},
		Start:  time.Date(2026, 11, 22, 3, 4, 5, 6, time.UTC), End: time.Date(2026, 11, 22, 3, 4, 35, 6, time.UTC), CPUSeconds: 12.5,
		Failures: []gopprof.Failure{{Kind: gopprof.KindMutex, Reason: gopprof.ReasonTimeout}},
	}
	for i, size := range sizes {
		kind := gopprof.Kinds()[i]
		c.Profiles = append(c.Profiles, withBytes(kind, content(id+string(kind), size)))
	}
	return c
}

func withBytes(kind gopprof.Kind, data []byte) gopprof.Profile {
	sum := sha256.Sum256(data)
	return gopprof.Profile{Kind: kind, SizeBytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Bytes: data}
}

// content is size bytes that look like nothing and follow from the seed.
func content(seed string, size int) []byte {
	sum := sha256.Sum256([]byte(seed))
	return bytes.Repeat(sum[:], size/len(sum)+1)[:size]
}

// nats is a Sender that keeps what it acknowledges.
type nats struct {
	mu     sync.Mutex
	got    []gopprof.Capture
	tries  []string
	refuse func(ctx context.Context, c gopprof.Capture) error // nil takes everything
}

func (n *nats) PublishCapture(ctx context.Context, c gopprof.Capture) error {
	n.mu.Lock()
	n.tries = append(n.tries, c.ID)
	refuse := n.refuse
	n.mu.Unlock()
	if refuse != nil {
		if err := refuse(ctx, c); err != nil {
			return err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got = append(n.got, c)
	return nil
}

// ids returns what was acknowledged, in its order.
func (n *nats) ids() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := []string{}
	for _, c := range n.got {
		out = append(out, c.ID)
	}
	return out
}

func (n *nats) tried(id string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.tries) - len(slices.DeleteFunc(slices.Clone(n.tries), func(s string) bool { return s == id }))
}

func (n *nats) set(refuse func(ctx context.Context, c gopprof.Capture) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refuse = refuse
}

var errAway = errors.New("nats: no servers available")

func away(context.Context, gopprof.Capture) error { return errAway }

func testConfig(dir string) Config {
	cfg := DefaultConfig()
	cfg.Dir, cfg.RetryMin, cfg.RetryMax = dir, time.Millisecond, 5*time.Millisecond
	return cfg
}

func open(t *testing.T, cfg Config, s Sender) *Publisher {
	t.Helper()
	return openLogged(t, cfg, s, zap.NewNop())
}

func openLogged(t *testing.T, cfg Config, s Sender, log *zap.Logger) *Publisher {
	t.Helper()
	p, err := New(cfg, s, log, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() }) // tests that restart have closed it before
	return p
}

// run starts Run and returns its end.
func run(t *testing.T, p *Publisher) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func mustPublish(t *testing.T, p *Publisher, captures ...gopprof.Capture) {
	t.Helper()
	for _, c := range captures {
		if err := p.Publish(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func empty(p *Publisher) func() bool {
	return func() bool { n, size := p.Pending(); return n == 0 && size == 0 }
}

func wantIDs(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got captures %q, want %q", got, want)
	}
}

func wantDropped(t *testing.T, p *Publisher, reason gopprof.Reason, want float64) {
	t.Helper()
	if got := testutil.ToFloat64(p.metrics.dropped.WithLabelValues(string(reason))); got != want {
		t.Errorf("%v dropped as %s, want %v", got, reason, want)
	}
}

// files lists a spool's directory, the lock aside.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		if e.Name() != "lock" {
			names = append(names, e.Name())
		}
	}
	return names
}

func entryPath(cfg Config, id string) string { return filepath.Join(cfg.Dir, id+suffix) }
