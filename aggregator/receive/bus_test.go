package receive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

const captureID = "01a1d9ed-c200-7abc-8def-0123456789a"

// capture makes a capture of node "a" whose profile takes two chunks.
func capture(n int) gopprof.Capture {
	data := bytes.Repeat([]byte{byte(n)}, 700<<10)
	sum := sha256.Sum256(data)
	at := time.Date(2026, 11, 14, 12, 0, 0, 0, time.UTC)
	return gopprof.Capture{
		ID: fmt.Sprintf("%s%x", captureID, n), Incident: captureID + "f", Start: at, End: at.Add(time.Second),
		Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual, At: at, Request: &gopprof.Request{Who: "test"}},
		Target: gopprof.Target{
			Cluster: bustest.Cluster, Node: "a", Namespace: "shop", Workload: gopprof.Workload{Kind: "Deployment", Name: "api"},
			Pod: "api-0", Container: "app", Endpoint: gopprof.Endpoint{Scheme: "http", Host: "10.0.0.1", Port: 6060, Path: "/debug/pprof"},
		},
		Profiles: []gopprof.Profile{{Kind: gopprof.KindCPU, SizeBytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Bytes: data}},
	}
}

// watched is a source that notes how deliveries of a capture end.
type watched struct {
	Source
	mu    sync.Mutex
	notes map[string][]string // by capture
}

func watch(a *bus.Aggregator) *watched {
	return &watched{Source: FromBus(a), notes: map[string][]string{}}
}

func (w *watched) Captures(ctx context.Context, workers int, handle func(context.Context, Delivery)) error {
	return w.Source.Captures(ctx, workers, func(ctx context.Context, d Delivery) { handle(ctx, watchedDelivery{d, w}) })
}

func (w *watched) note(d Delivery, note string, err error) error {
	c, _ := d.Capture()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.notes[c.ID] = append(w.notes[c.ID], note)
	}
	return err
}

func (w *watched) of(c gopprof.Capture) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.notes[c.ID])
}

type watchedDelivery struct {
	Delivery
	to *watched
}

func (d watchedDelivery) Ack(ctx context.Context) error {
	return d.to.note(d, "ack", d.Delivery.Ack(ctx))
}

func (d watchedDelivery) Nak(delay time.Duration) error {
	return d.to.note(d, "nak", d.Delivery.Nak(delay))
}

func (d watchedDelivery) DeadLetter(ctx context.Context, reason gopprof.Reason, detail string) error {
	return d.to.note(d, string(reason), d.Delivery.DeadLetter(ctx, reason, detail))
}

// receiveFrom runs a receiver until the returned function is called.
func receiveFrom(t *testing.T, from Source, h Handler) (stop func()) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.RetryDelay, cfg.RetryMaxDelay, cfg.DrainTimeout = 10*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- New(cfg, h, zap.NewNop(), prometheus.NewRegistry()).Run(ctx, from) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// busHandler checks the bytes and does what the test says at each call.
type busHandler struct {
	t    *testing.T
	does func(ctx context.Context, c gopprof.Capture, call int) error

	mu    sync.Mutex
	calls map[string]int
	done  map[string]bool // captures that are committed, as the store would know
}

func newBusHandler(t *testing.T, does func(context.Context, gopprof.Capture, int) error) *busHandler {
	return &busHandler{t: t, does: does, calls: map[string]int{}, done: map[string]bool{}}
}

func (h *busHandler) Resume(_ context.Context, c gopprof.Capture) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.done[c.ID], nil
}

func (h *busHandler) GiveUp(context.Context, gopprof.Capture, gopprof.Reason, string) error {
	return nil
}

func (h *busHandler) Handle(ctx context.Context, c gopprof.Capture) error {
	h.mu.Lock()
	h.calls[c.ID]++
	call := h.calls[c.ID]
	h.mu.Unlock()
	sum := sha256.Sum256(c.Profiles[0].Bytes)
	if hex.EncodeToString(sum[:]) != c.Profiles[0].SHA256 {
		h.t.Errorf("capture %s came with other bytes", c.ID)
	}
	return h.does(ctx, c, call)
}

// Over a real server: what fails comes again until it is handled, what is poison or kills
// its workers is dead-lettered, and nothing else is touched by it.
func TestOverTheBus(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	good, flaky, poisoned, deadly := capture(1), capture(2), capture(3), capture(4)
	h := newBusHandler(t, func(_ context.Context, c gopprof.Capture, call int) error {
		switch {
		case c.ID == flaky.ID && call < 4:
			return errAway
		case c.ID == poisoned.ID:
			return Poison(gopprof.ReasonInvalidProfile, errAway)
		case c.ID == deadly.ID:
			panic("boom")
		}
		return nil
	})
	w := watch(b.Aggregator())
	receiveFrom(t, w, h)
	agent := b.Agent("a")
	for _, c := range []gopprof.Capture{deadly, poisoned, flaky, good} {
		if err := agent.PublishCapture(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		gopprof.Capture
		want string
	}{
		{"good", good, "ack"},
		{"flaky", flaky, "nak nak nak ack"},
		{"poisoned", poisoned, "invalid_profile"},
		{"deadly", deadly, "nak nak nak worker_died"},
	} {
		poll.Until(t, c.name+" ends with "+c.want, func() bool { return strings.Join(w.of(c.Capture), " ") == c.want })
	}
}

// An aggregator that stops gives back what it works on; the next one finds the bytes
// still there and takes it over. One that died between the commit and the acknowledgement
// left a capture without bytes, which is resumed.
func TestAnotherAggregatorTakesOver(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	c := capture(1)
	began := make(chan struct{})
	first, second := watch(b.Aggregator()), watch(b.Aggregator())
	stop := receiveFrom(t, first, newBusHandler(t, func(ctx context.Context, _ gopprof.Capture, _ int) error {
		close(began)
		<-ctx.Done()
		return ctx.Err()
	}))
	if err := b.Agent("a").PublishCapture(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	<-began
	stop()
	if got := strings.Join(first.of(c), " "); got != "nak" {
		t.Errorf("the first one ended it with %q, want nak", got)
	}
	h := newBusHandler(t, func(context.Context, gopprof.Capture, int) error { return nil })
	receiveFrom(t, second, h)
	poll.Until(t, "the second one acknowledges", func() bool { return strings.Join(second.of(c), " ") == "ack" })
}

// forgetful loses its acknowledgements once, as an aggregator that dies before them.
type forgetful struct {
	Source
	once sync.Once
}

func (f *forgetful) Captures(ctx context.Context, workers int, handle func(context.Context, Delivery)) error {
	return f.Source.Captures(ctx, workers, func(ctx context.Context, d Delivery) { handle(ctx, forgetfulDelivery{d, f}) })
}

type forgetfulDelivery struct {
	Delivery
	of *forgetful
}

func (d forgetfulDelivery) Ack(ctx context.Context) (err error) {
	first := false
	d.of.once.Do(func() { first = true })
	if first {
		return d.Nak(0) // comes again at once instead of after ack_wait
	}
	return d.Delivery.Ack(ctx)
}

func TestResumedWithoutBytes(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	c := capture(1)
	w := watch(b.Aggregator())
	h := newBusHandler(t, nil)
	h.does = func(_ context.Context, c gopprof.Capture, _ int) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.done[c.ID] = true
		return nil
	}
	receiveFrom(t, &forgetful{Source: w}, h)
	if err := b.Agent("a").PublishCapture(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "it is acknowledged the second time", func() bool { return strings.Join(w.of(c), " ") == "nak ack" })
	if h.calls[c.ID] != 1 {
		t.Errorf("handled %d times, want once", h.calls[c.ID])
	}
}
