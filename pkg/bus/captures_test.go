package bus_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
	"github.com/gopprof/gopprof/test/poll"
)

// streams returns the default bounds but for what a test shortens.
func streams(change func(*bus.StreamConfig)) *bus.StreamConfig {
	c := bus.DefaultStreamConfig()
	change(&c)
	return &c
}

func TestCaptureArrivesWhole(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"node.a"}})
	agg, agent := b.Aggregator(), b.Agent("node.a")
	// Two chunks and a bit, exactly one chunk, one byte, and a kind of its own.
	sent := capture(t, "node.a", 2*bus.ChunkBytes+17, bus.ChunkBytes, 1, 100)
	publish(t, agent, sent)
	d := receive(t, agg).next()
	if d.Err != nil {
		t.Fatal(d.Err)
	}
	if err := d.Fetch(within(t)); err != nil {
		t.Fatal(err)
	}
	if d.Capture.ID != sent.ID || d.Capture.Target != sent.Target || len(d.Capture.Profiles) != len(sent.Profiles) {
		t.Fatalf("got %+v, want %+v", d.Capture, sent)
	}
	for i, p := range d.Capture.Profiles {
		if !bytes.Equal(p.Bytes, sent.Profiles[i].Bytes) {
			t.Errorf("bytes of profile %d differ", i)
		}
	}
	ack(t, d)
}

func TestCaptureIsRedeliveredUntilAcknowledged(t *testing.T) {
	t.Parallel()
	// Long enough that the test itself is not held up for as long.
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}, Streams: streams(func(c *bus.StreamConfig) { c.AckWait = 5 * time.Second })})
	agg, agent := b.Aggregator(), b.Agent("a")
	r := receive(t, agg)
	publish(t, agent, capture(t, "a", 10))
	first := r.next() // forgotten, as if its worker had died
	second := r.next()
	if second.Capture.ID != first.Capture.ID || second.Deliveries() != 2 {
		t.Fatalf("delivery %d of %s, want 2 of %s", second.Deliveries(), second.Capture.ID, first.Capture.ID)
	}
	if err := second.Nak(10 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	third := r.next()
	if third.Capture.ID != first.Capture.ID || third.Deliveries() != 3 {
		t.Fatalf("delivery %d of %s, want 3 of %s", third.Deliveries(), third.Capture.ID, first.Capture.ID)
	}
	if err := third.Fetch(within(t)); err != nil { // the bytes outlive redelivery
		t.Fatal(err)
	}
	ack(t, third)
	r.nothing(agent, "a")
}

func TestInProgressHoldsOffRedelivery(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}, Streams: streams(func(c *bus.StreamConfig) { c.AckWait = time.Second })})
	agg, agent := b.Aggregator(), b.Agent("a")
	r := receive(t, agg)
	publish(t, agent, capture(t, "a", 10))
	d := r.next()
	tick, end := time.NewTicker(200*time.Millisecond), time.After(2500*time.Millisecond)
	defer tick.Stop()
	for working := true; working; {
		select {
		case <-tick.C:
			if err := d.InProgress(); err != nil {
				t.Fatal(err)
			}
		case <-r.got:
			t.Fatal("redelivered although in progress")
		case <-end:
			working = false
		}
	}
	ack(t, d)
	r.nothing(agent, "a")
}

func TestPublishingAgainIsNoOp(t *testing.T) {
	short := streams(func(c *bus.StreamConfig) { c.DedupeWindow = 100 * time.Millisecond })
	for name, cfg := range map[string]*bus.StreamConfig{"within the window": nil, "after the window": short} {
		t.Run(name, func(t *testing.T) {
			b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}, Streams: cfg})
			agg, agent := b.Aggregator(), b.Agent("a")
			c := capture(t, "a", bus.ChunkBytes+1, 10)
			publish(t, agent, c)
			if cfg != nil {
				forgotten(t, agg, c)
			}
			publish(t, agent, c) // while it waits in the queue
			if n := messages(t, agg, bus.StreamCaptures); n != 1 {
				t.Errorf("%d captures in the queue, want 1", n)
			}
			if n := messages(t, agg, bus.StreamBytes); n != 3 {
				t.Errorf("%d chunks, want 3", n)
			}
			r := receive(t, agg)
			d := r.next()
			if err := d.Fetch(within(t)); err != nil {
				t.Fatal(err)
			}
			ack(t, d)
		})
	}
}

// A node may send a capture under an ID that another node used: neither the server's window
// nor anything else makes them one.
func TestSameIDFromAnotherNode(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a", "b"}})
	agg := b.Aggregator()
	ours := capture(t, "a", bus.ChunkBytes+1, 10)
	theirs := ours
	theirs.Target.Node = "b"
	publish(t, b.Agent("b"), theirs)
	publish(t, b.Agent("a"), ours)
	r := receive(t, agg)
	for range 2 {
		d := r.next()
		if err := d.Fetch(within(t)); err != nil {
			t.Errorf("of node %q: %v", d.Capture.Target.Node, err)
		}
		ack(t, d)
	}
}

// forgotten waits until the server's own window no longer knows the capture: a copy of
// its message under the same ID is then refused by the subject's sequence, not dropped.
func forgotten(t *testing.T, agg *bus.Aggregator, c gopprof.Capture) {
	t.Helper()
	poll.Until(t, "the dedupe window passes", func() bool {
		m := nats.NewMsg(bus.Root + "capture." + bustest.Cluster + ".a." + c.ID)
		m.Header.Set(nats.MsgIdHdr, m.Subject)
		m.Header.Set(nats.ExpectedLastSubjSeqHdr, "0")
		return agg.PublishRaw(within(t), m) != nil
	})
}

func TestRepeatAfterAckIsDeliveredAgain(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}, Streams: streams(func(c *bus.StreamConfig) { c.DedupeWindow = 100 * time.Millisecond })})
	agg, agent := b.Aggregator(), b.Agent("a")
	r := receive(t, agg)
	c := capture(t, "a", 10)
	publish(t, agent, c)
	d := r.next()
	if err := d.RemoveBytes(within(t)); err != nil {
		t.Fatal(err)
	}
	ack(t, d)
	// The agent never heard of it and comes back an hour later: the receiver finds the
	// capture committed, so it must get it, to end it again.
	poll.Until(t, "the repeat is delivered", func() bool {
		publish(t, agent, c)
		select {
		case again := <-r.got:
			if again.Capture.ID != c.ID || again.Deliveries() != 1 {
				t.Errorf("delivery %d of %s, want 1 of %s", again.Deliveries(), again.Capture.ID, c.ID)
			}
			ack(t, again)
			return true
		case <-time.After(50 * time.Millisecond):
			return false
		}
	})
}

func TestRemoveBytesTakesThisCaptureOnly(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	r := receive(t, agg)
	one, two := capture(t, "a", bus.ChunkBytes+1), capture(t, "a", 5)
	publish(t, agent, one)
	publish(t, agent, two)
	for range 2 {
		d := r.next()
		if d.Capture.ID == one.ID {
			for range 2 { // the second time there is nothing left
				if err := d.RemoveBytes(within(t)); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Fetch(within(t)); !errors.Is(err, bus.ErrBytesLost) {
				t.Errorf("fetching removed bytes: %v, want %v", err, bus.ErrBytesLost)
			}
		}
		ack(t, d)
	}
	if n := messages(t, agg, bus.StreamBytes); n != 1 {
		t.Errorf("%d chunks left, want the other capture's one", n)
	}
}

func TestCapturesWaitsForHandlers(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	publish(t, agent, capture(t, "a", 3))
	ctx, cancel := context.WithCancel(t.Context())
	began, end, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- agg.Captures(ctx, 1, func(ctx context.Context, d *bus.Delivery) {
			close(began)
			<-end
			if err := errors.Join(ctx.Err(), d.Fetch(ctx), d.Ack(ctx)); err != nil {
				t.Error("after the end of the consumer's context:", err)
			}
		})
	}()
	<-began
	cancel()
	select {
	case <-done:
		t.Fatal("did not wait for the running handler")
	case <-time.After(50 * time.Millisecond):
	}
	close(end)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := messages(t, agg, bus.StreamCaptures); n != 0 {
		t.Errorf("%d captures left in the queue", n)
	}
}

func TestStartsAreCounted(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}, Streams: streams(func(c *bus.StreamConfig) { c.AckWait = time.Second })})
	agg, agent := b.Aggregator(), b.Agent("a")
	r := receive(t, agg)
	publish(t, agent, capture(t, "a", 3))
	for want := 1; want <= 3; want++ {
		d := r.next() // begun and never ended: its worker died
		if n, err := d.Started(within(t)); err != nil || n != want {
			t.Fatalf("start %d, %v; want %d", n, err, want)
		}
		if want < 3 {
			continue
		}
		if err := d.Finished(within(t)); err != nil {
			t.Fatal(err)
		}
		if n, err := d.Started(within(t)); err != nil || n != 1 {
			t.Fatalf("start after the end: %d, %v; want 1", n, err)
		}
		ack(t, d)
	}
}

func messages(t *testing.T, a *bus.Aggregator, stream string) uint64 {
	t.Helper()
	n, err := a.Messages(within(t), stream)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestWhatEndedLeavesNoCount: the bucket of starts holds what was begun and not ended, and
// nothing else; one that is full refuses to count and can be emptied all the same.
func TestWhatEndedLeavesNoCount(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}, Streams: streams(func(c *bus.StreamConfig) { c.BucketBytes = 1 << 20 })})
	agg, agent := b.Aggregator(), b.Agent("a")
	r := receive(t, agg)
	publish(t, agent, capture(t, "a", 5))
	d := r.next()
	for range 2 {
		if _, err := d.Started(within(t)); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time there is nothing
			if err := d.Finished(within(t)); err != nil {
				t.Fatal(err)
			}
		}
		if n := messages(t, agg, bus.StreamStarts); n != 0 {
			t.Errorf("%d messages are left in the bucket", n)
		}
	}
	if _, err := d.Started(within(t)); err != nil {
		t.Fatal(err)
	}
	bucket, err := agg.Bucket(within(t), bus.BucketStarts)
	if err != nil {
		t.Fatal(err)
	}
	for size := 64 << 10; size > 0; {
		if _, err := bucket.Create(within(t), newID(t), make([]byte, size)); errors.Is(err, bus.ErrFull) {
			size /= 16
		} else if err != nil {
			t.Fatal(err)
		}
	}
	publish(t, agent, capture(t, "a", 5))
	other := r.next()
	if _, err := other.Started(within(t)); !errors.Is(err, bus.ErrFull) {
		t.Errorf("a start in a full bucket: %v, want %v", err, bus.ErrFull)
	}
	if err := d.Finished(within(t)); err != nil {
		t.Errorf("forgetting in a full bucket: %v", err)
	}
	if n, err := d.Starts(within(t)); err != nil || n != 0 {
		t.Errorf("%d starts, %v", n, err)
	}
	ack(t, d)
	ack(t, other)
}

// TestWaitingForCapturesIsNoFailure: an empty queue is asked again and again, without a
// word in the log.
func TestWaitingForCapturesIsNoFailure(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	b.Aggregator() // makes the streams
	core, logged := observer.New(zap.WarnLevel)
	agg, err := bus.ConnectAggregator(t.Context(), bus.DefaultConfig(), b.Server, zap.New(core), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer agg.Close(within(t)) //nolint:errcheck // the test is over
	agg.PullEvery(100 * time.Millisecond)
	r := receive(t, agg)
	idle := time.After(time.Second)
	select {
	case d := <-r.got:
		t.Fatalf("got %s from an empty queue", d.Capture.ID)
	case <-idle:
	}
	c := capture(t, "a", 5)
	publish(t, b.Agent("a"), c)
	d := r.next() // the second time, if a question of so short a time had just ended
	if d.Capture.ID != c.ID {
		t.Errorf("got %s, want %s", d.Capture.ID, c.ID)
	}
	ack(t, d)
	for _, entry := range logged.All() {
		t.Errorf("logged %q %v", entry.Message, entry.ContextMap())
	}
}

// TestConsumerThatWasDeleted is made again by whoever uses it.
func TestConsumerThatWasDeleted(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	r := receive(t, agg)
	publish(t, agent, capture(t, "a", 5))
	ack(t, r.next())
	if err := agg.DeleteConsumer(within(t), bus.StreamCaptures, "gopprof-receive"); err != nil {
		t.Fatal(err)
	}
	c := capture(t, "a", 5)
	publish(t, agent, c)
	d := r.next()
	if d.Capture.ID != c.ID {
		t.Errorf("got %s, want %s", d.Capture.ID, c.ID)
	}
	ack(t, d)
}

// TestLoopIsSeenTurning: while nothing comes, while NATS is away, and not while every
// worker is stuck.
func TestLoopIsSeenTurning(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg := b.Aggregator()
	agg.PullEvery(50 * time.Millisecond)
	var turns atomic.Int64
	agg.Watch(func() { turns.Add(1) })
	stuck, free := make(chan struct{}), make(chan struct{})
	begin := sync.OnceFunc(func() { close(stuck) })
	background(t, "captures", func(ctx context.Context) error {
		return agg.Captures(ctx, 1, func(context.Context, *bus.Delivery) { begin(); <-free })
	})
	turning := func(when string) {
		t.Helper()
		since := turns.Load()
		poll.Until(t, "the loop turns "+when, func() bool { return turns.Load() > since+2 })
	}
	turning("while nothing comes")
	if err := b.Agent("a").PublishCapture(within(t), capture(t, "a", 5)); err != nil {
		t.Fatal(err)
	}
	<-stuck
	before := turns.Load()
	<-time.After(300 * time.Millisecond)
	if n := turns.Load(); n != before {
		t.Errorf("seen turning %d times while its only worker was stuck", n-before)
	}
	close(free)
	b.Stop()
	turning("while nats is away")
}

// The queue of captures has room for as many as it is said to, each with what both witnesses
// saw of it.
func TestQueueHasRoomForUsualCaptures(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	c := capture(t, "node.a", 1, 1)
	for i := range int(gopprof.HistoryLength / (10 * time.Second)) {
		at := now.Add(time.Duration(i) * 10 * time.Second)
		c.History.Local = append(c.History.Local, gopprof.Point{
			Start: at, End: at.Add(10 * time.Second), HasCPU: true, CPUCores: 0.1234, CPULimitCores: 1, ThrottledRatio: 0.1234,
			HasMemory: true, MemoryBytes: 123456789, MemoryLimitBytes: 1 << 30, AnonymousBytes: 100000000,
		})
	}
	c.History.Series, c.History.SeriesBy = c.History.Local[:15], gopprof.WitnessHeapster
	message, err := wire.EncodeCapture(c)
	if err != nil {
		t.Fatal(err)
	}
	if need := int64(len(message)) * bus.DefaultStreamConfig().CapturesMax; need > bus.CapturesBytes {
		t.Errorf("%d bytes each, %d together: more than %d", len(message), need, bus.CapturesBytes)
	}
}
