package bus_test

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// half sends some chunks of a capture, and not its message.
func half(t *testing.T, a *bus.Agent, c gopprof.Capture, chunks ...int) {
	t.Helper()
	for _, n := range chunks {
		raw(t, a, "bytes.test.a."+c.ID+"."+strconv.Itoa(n), c.Profiles[n].Bytes)
	}
}

// look removes what was seen before, and expects what will be next time.
func look(t *testing.T, a *bus.Aggregator, seen map[string]uint64, want ...gopprof.Capture) map[string]uint64 {
	t.Helper()
	next, err := a.RemoveOrphans(within(t), seen)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range want {
		ids = append(ids, "test.a."+c.ID)
	}
	slices.Sort(ids)
	if got := slices.Sorted(maps.Keys(next)); !slices.Equal(got, ids) {
		t.Fatalf("seen: %v, want %v", got, ids)
	}
	return next
}

// Halves of captures that nobody sends again leave their room to others; what waits in the
// queue or lies among the dead letters keeps its bytes.
func TestOrphansAreRemoved(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	waiting, dead, orphan := capture(t, "a", 10), capture(t, "a", 10, 20), capture(t, "a", 30, 40)
	publish(t, agent, dead)
	if err := receive(t, agg).next().DeadLetter(within(t), gopprof.ReasonWorkerDied, ""); err != nil {
		t.Fatal(err)
	}
	// The receiver may hold what comes now: it waits in the queue until it is acknowledged.
	publish(t, agent, waiting)
	half(t, agent, orphan, 0, 1)
	seen := look(t, agg, nil, orphan)
	if n := messages(t, agg, bus.StreamBytes); n != 5 {
		t.Errorf("%d chunks after the first look, want all 5", n)
	}
	look(t, agg, seen, orphan) // listed before it was removed
	if n := messages(t, agg, bus.StreamBytes); n != 3 {
		t.Errorf("%d chunks left, want those of the others", n)
	}
	look(t, agg, seen)
}

// A capture that is sent again between two looks, or while it is removed, comes whole.
func TestOrphanThatComesAfterAll(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	c := capture(t, "a", 30, 40)
	half(t, agent, c, 0)
	seen := look(t, agg, nil, c)
	half(t, agent, c, 0, 1) // the message is about to come
	seen = look(t, agg, seen, c)
	if n := messages(t, agg, bus.StreamBytes); n != 2 {
		t.Fatalf("%d chunks, want both new ones", n)
	}
	publish(t, agent, c)
	look(t, agg, seen)
	if d := handled(t, receive(t, agg)); d.Capture.ID != c.ID {
		t.Errorf("delivered %s", d.Capture.ID)
	}
}

// Orphans looks again and again, and past a time when NATS is away.
func TestOrphansLooksOn(t *testing.T) {
	o := startOutside(t)
	agg, agent := o.aggregator(), o.agent()
	agg.OrphansEvery(time.Millisecond)
	done := make(chan error, 1)
	go func() { done <- agg.Orphans(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for range 2 {
		half(t, agent, capture(t, "a", 30), 0)
		poll.Until(t, "it is removed", func() bool { return messages(t, agg, bus.StreamBytes) == 0 })
		o.Stop()
		poll.Until(t, "NATS is away", func() bool { return agg.Connected() != nil && agent.Connected() != nil })
		o.Start()
		poll.Until(t, "NATS is back", func() bool { return agg.Connected() == nil && agent.Connected() == nil })
	}
}

// An attempt that was held up so long that its first chunks may be gone is not finished: it
// begins anew.
func TestAttemptThatWasHeldUp(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	begin := time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC)
	calls := 0
	agent.Now(func() time.Time { calls++; return begin.Add(time.Duration(calls) * 16 * time.Minute) })
	c := capture(t, "a", 30)
	if err := agent.PublishCapture(within(t), c); !errors.Is(err, bus.ErrAway) {
		t.Fatalf("published: %v", err)
	}
	agent.Now(time.Now)
	publish(t, agent, c)
	if d := handled(t, receive(t, agg)); d.Capture.ID != c.ID {
		t.Errorf("delivered %s", d.Capture.ID)
	}
}
