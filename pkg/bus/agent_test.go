package bus_test

import (
	"context"
	"errors"
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

// asked remembers what an agent was asked, and accepts.
type asked struct {
	mu       sync.Mutex
	captures []gopprof.CaptureRequest
	cancels  []gopprof.CancelRequest
	paused   bool
}

func (a *asked) Capture(_ context.Context, r gopprof.CaptureRequest) gopprof.CaptureReply {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.captures = append(a.captures, r)
	return gopprof.CaptureReply{Accepted: true}
}

func (a *asked) Cancel(_ context.Context, r gopprof.CancelRequest) gopprof.CaptureReply {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cancels = append(a.cancels, r)
	return gopprof.CaptureReply{Reason: gopprof.ReasonUnknown, Detail: "no such capture"}
}

func (a *asked) Status(context.Context, gopprof.StatusRequest) gopprof.CaptureReply {
	return gopprof.CaptureReply{Accepted: true, SecondsLeft: 12.5}
}

func (a *asked) Pause(_ context.Context, r gopprof.PauseRequest) gopprof.CaptureReply {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.paused = r.Paused
	return gopprof.CaptureReply{Accepted: true}
}

// serve runs the agent's Serve until the test ends.
func serve(t testing.TB, a *bus.Agent, r bus.Requests) {
	t.Helper()
	background(t, "serve", func(ctx context.Context) error { return a.Serve(ctx, r) })
}

// background runs f until the test ends, and fails the test if it fails.
func background(t testing.TB, name string, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
}

func TestPublishRefusesWhatItMayNotSend(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	b.Aggregator()
	agent := b.Agent("a")
	cases := map[string]func(*gopprof.Capture){
		"another node":    func(c *gopprof.Capture) { c.Target.Node = "b" },
		"another cluster": func(c *gopprof.Capture) { c.Target.Cluster = "x" },
		"no id":           func(c *gopprof.Capture) { c.ID = "1" },
		"other size":      func(c *gopprof.Capture) { c.Profiles[0].SizeBytes++ },
	}
	for name, spoil := range cases {
		c := capture(t, "a", 5)
		spoil(&c)
		if err := agent.PublishCapture(within(t), c); !errors.Is(err, bus.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, bus.ErrInvalid)
		}
	}
	large := capture(t, "a", 5)
	large.Failures = make([]gopprof.Failure, 30_000)
	for i := range large.Failures {
		large.Failures[i] = gopprof.Failure{Kind: gopprof.KindHeap, Reason: gopprof.ReasonTimeout, Detail: "x"}
	}
	if err := agent.PublishCapture(within(t), large); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("large message: %v, want %v", err, bus.ErrTooLarge)
	}
}

func TestFullStreamIsAnError(t *testing.T) {
	cases := map[string]func(*bus.StreamConfig){
		"captures": func(c *bus.StreamConfig) { c.CapturesMax = 3 },
		"bytes":    func(c *bus.StreamConfig) { c.WaitingBytes = 2 << 20 },
	}
	for name, bound := range cases {
		t.Run(name, func(t *testing.T) {
			b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}, Streams: streams(bound)})
			agg, agent := b.Aggregator(), b.Agent("a")
			var sent int
			var full gopprof.Capture
			for {
				full = capture(t, "a", bus.ChunkBytes)
				err := agent.PublishCapture(within(t), full)
				if errors.Is(err, bus.ErrFull) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if sent++; sent > 10 {
					t.Fatal("the stream takes everything")
				}
			}
			if sent != 3 {
				t.Errorf("%d captures were taken, want 3", sent)
			}
			// What was there stays, and when there is room again the capture goes through.
			r := receive(t, agg)
			d := r.next()
			if err := errors.Join(d.Fetch(within(t)), d.RemoveBytes(within(t)), d.Ack(within(t))); err != nil {
				t.Fatal(err)
			}
			publish(t, agent, full)
		})
	}
}

func TestAgentStartsWithoutNATS(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	cfg := b.Config("a")
	b.Stop()
	agent, err := bus.ConnectAgent(t.Context(), cfg, bustest.Cluster, "a", zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close(within(t)) //nolint:errcheck // the test is over
	told := &asked{}
	serve(t, agent, told)
	if err := agent.Connected(); !errors.Is(err, bus.ErrAway) {
		t.Errorf("connected: %v, want %v", err, bus.ErrAway)
	}
	c := capture(t, "a", 5)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := agent.PublishCapture(ctx, c); !errors.Is(err, bus.ErrAway) || ctx.Err() != nil {
		t.Errorf("publishing: %v, want %v at once", err, bus.ErrAway)
	}
	if _, err := agent.Ask(ctx, gopprof.Firing{Capture: newID(t), Target: target("a")}); !errors.Is(err, bus.ErrAway) {
		t.Errorf("asking: %v, want %v", err, bus.ErrAway)
	}
	if err := agent.PublishState(ctx, gopprof.NodeState{Cluster: bustest.Cluster, Node: "a", At: time.Now()}); !errors.Is(err, bus.ErrAway) {
		t.Errorf("state: %v, want %v", err, bus.ErrAway)
	}
	agg := b.Restart()
	poll.Until(t, "agent connects", func() bool { return agent.Connected() == nil })
	publish(t, agent, c)
	// What it subscribed to before there was a server works as well.
	poll.Until(t, "agent answers", func() bool {
		_, err := agg.RequestCancel(within(t), bustest.Cluster, "a", gopprof.CancelRequest{Capture: c.ID})
		return err == nil
	})
}

func TestPublishEndsWithItsContext(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	b.Aggregator()
	agent := b.Agent("a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := agent.PublishCapture(ctx, capture(t, "a", 5)); !errors.Is(err, context.Canceled) || !errors.Is(err, bus.ErrAway) {
		t.Errorf("%v, want %v and %v", err, bus.ErrAway, context.Canceled)
	}
}

// TestLostConnectionEndsPublish: the server goes away while an answer is waited for, long
// before the caller's patience ends.
func TestLostConnectionEndsPublish(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agent := b.Agent("a") // there are no streams: nobody answers
	failed := make(chan error, 1)
	go func() { failed <- publishUntilAway(t.Context(), agent, capture(t, "a", bus.ChunkBytes)) }()
	b.Stop()
	select {
	case err := <-failed:
		if !errors.Is(err, bus.ErrAway) {
			t.Errorf("%v, want %v", err, bus.ErrAway)
		}
	case <-time.After(poll.Patience):
		t.Fatal("publishing hangs")
	}
}

func publishUntilAway(ctx context.Context, a *bus.Agent, c gopprof.Capture) error {
	for {
		if err := a.PublishCapture(ctx, c); err != nil && a.Connected() != nil {
			return err
		}
	}
}

func TestRestartKeepsWhatWasAcknowledged(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	kept := capture(t, "a", bus.ChunkBytes+9, 7)
	publish(t, agent, kept)
	rep := report(capture(t, "a"))
	if err := agg.PublishReport(within(t), rep); err != nil {
		t.Fatal(err)
	}
	told, err := agg.Bucket(within(t), bus.BucketTold)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := told.Create(within(t), "k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	b.Stop()
	agg = b.Restart()
	d := receive(t, agg).next()
	if d.Capture.ID != kept.ID {
		t.Fatalf("got %s, want %s", d.Capture.ID, kept.ID)
	}
	if err := d.Fetch(within(t)); err != nil {
		t.Fatal(err)
	}
	ack(t, d)
	if err := agg.PublishReport(within(t), rep); err != nil {
		t.Errorf("report again after the restart: %v", err)
	}
	if told, err = agg.Bucket(within(t), bus.BucketTold); err != nil {
		t.Fatal(err)
	}
	if v, _, err := told.Get(within(t), "k"); err != nil || string(v) != "v" {
		t.Errorf("record after the restart: %q, %v", v, err)
	}
	poll.Until(t, "agent is back", func() bool { return agent.Connected() == nil })
	publish(t, agent, capture(t, "a", 3))
}
