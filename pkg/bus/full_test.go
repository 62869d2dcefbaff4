package bus_test

import (
	"bytes"
	"errors"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// findsNoRoom publishes a capture for which there is no room.
func findsNoRoom(t *testing.T, a *bus.Agent, c gopprof.Capture) {
	t.Helper()
	if err := a.PublishCapture(within(t), c); !errors.Is(err, bus.ErrFull) {
		t.Fatalf("publishing: %v, want %v", err, bus.ErrFull)
	}
}

// handled takes the next delivery through its life, and returns it with its bytes.
func handled(t *testing.T, r *receiver) *bus.Delivery {
	t.Helper()
	d := r.next()
	if err := errors.Join(d.Fetch(within(t)), d.RemoveBytes(within(t)), d.Ack(within(t))); err != nil {
		t.Fatal(err)
	}
	return d
}

// What finds no room leaves no half in the stream, that of an earlier attempt included, and
// comes whole when there is room, though the server has its chunks in fresh memory.
func TestWhatFindsNoRoomIsTakenBack(t *testing.T) {
	for name, earlier := range map[string]int{"first attempt": -1, "a later chunk is there": 2} {
		t.Run(name, func(t *testing.T) {
			b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}, Streams: streams(func(c *bus.StreamConfig) { c.WaitingBytes = 2 << 20 })})
			agg, agent := b.Aggregator(), b.Agent("a")
			publish(t, agent, capture(t, "a", bus.ChunkBytes))
			publish(t, agent, capture(t, "a", bus.ChunkBytes))
			large := capture(t, "a", 10, 3*bus.ChunkBytes)
			if earlier >= 0 {
				raw(t, agent, "bytes.test.a."+large.ID+"."+strconv.Itoa(earlier), large.Profiles[1].Bytes[bus.ChunkBytes:2*bus.ChunkBytes])
			}
			findsNoRoom(t, agent, large)
			poll.Until(t, "nothing of it is left", func() bool { return messages(t, agg, bus.StreamBytes) == 2 })
			publish(t, agent, capture(t, "a", bus.ChunkBytes)) // in its place
			r := receive(t, agg)
			for range 3 {
				handled(t, r)
			}
			publish(t, agent, large)
			for i, p := range handled(t, r).Capture.Profiles {
				if !bytes.Equal(p.Bytes, large.Profiles[i].Bytes) {
					t.Errorf("bytes of profile %d differ", i)
				}
			}
		})
	}
}

// Chunks of no size take room as well, that of their subjects in the server's memory: a node that
// sends them without end is refused, as others are until they are gone, and what these sent of a
// capture is taken back.
func TestChunksAreBoundedInNumber(t *testing.T) {
	cfg := streams(func(c *bus.StreamConfig) { c.CapturesMax, c.WaitingBytes = 1, 2<<20 })
	most := len(gopprof.Kinds()) + 2<<20/bus.ChunkBytes
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a", "b"}, Streams: cfg})
	agg, agent, other := b.Aggregator(), b.Agent("a"), b.Agent("b")
	for n := range most - 2 {
		raw(t, other, "bytes.test.b.x."+strconv.Itoa(n), nil)
	}
	c := capture(t, "a", 10, 20, 30, 40)
	raw(t, agent, "bytes.test.a."+c.ID+".3", c.Profiles[3].Bytes) // of an earlier attempt
	findsNoRoom(t, agent, c)
	poll.Until(t, "nothing of it is left", func() bool { return messages(t, agg, bus.StreamBytes) == uint64(most-2) })
	raw(t, other, "bytes.test.b.x.y", nil)
	raw(t, other, "bytes.test.b.x.z", nil)
	if err := other.PublishRaw(within(t), &nats.Msg{Subject: bus.Root + "bytes.test.b.x.0z"}); !errors.Is(err, bus.ErrFull) {
		t.Errorf("one more: %v, want %v", err, bus.ErrFull)
	}
	var seen map[string]uint64
	for range 2 {
		var err error
		if seen, err = agg.RemoveOrphans(within(t), seen); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, agent, c)
	if d := handled(t, receive(t, agg)); d.Capture.ID != c.ID {
		t.Errorf("delivered %s, want %s", d.Capture.ID, c.ID)
	}
}

// The same where the room of the queue is what is missing: there all chunks are sent before.
func TestWhatTheQueueRefusesIsTakenBack(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}, Streams: streams(func(c *bus.StreamConfig) { c.CapturesMax = 1 })})
	agg, agent := b.Aggregator(), b.Agent("a")
	publish(t, agent, capture(t, "a", 10))
	second := capture(t, "a", 10, bus.ChunkBytes+1)
	findsNoRoom(t, agent, second)
	poll.Until(t, "nothing of it is left", func() bool { return messages(t, agg, bus.StreamBytes) == 1 })
	r := receive(t, agg)
	handled(t, r)
	publish(t, agent, second)
	if d := handled(t, r); d.Capture.ID != second.ID {
		t.Errorf("delivered %s, want %s", d.Capture.ID, second.ID)
	}
}

// A capture that got through unheard waits in the queue when it is sent again: whatever room
// there is by then, nothing of it is taken back, and NATS has it.
func TestWhatWaitsIsNotTakenBack(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}, Streams: streams(func(c *bus.StreamConfig) { c.WaitingBytes = 2 << 20 })})
	agg, agent := b.Aggregator(), b.Agent("a")
	unheard := capture(t, "a", 10, bus.ChunkBytes)
	publish(t, agent, unheard)
	r := receive(t, agg)
	d := r.next()
	if err := d.RemoveBytes(within(t)); err != nil { // its worker is about to acknowledge it
		t.Fatal(err)
	}
	raw(t, agent, "bytes.test.a."+unheard.ID+".0", unheard.Profiles[0].Bytes)
	for range 3 {
		publish(t, agent, capture(t, "a", bus.ChunkBytes))
	}
	before := messages(t, agg, bus.StreamBytes)
	if err := agent.PublishCapture(within(t), unheard); err != nil {
		t.Errorf("publishing what waits: %v", err)
	}
	first, err := agg.Last(within(t), bus.StreamBytes, bus.Root+"bytes.test.a."+unheard.ID+".0")
	if err != nil || !bytes.Equal(first.Data, unheard.Profiles[0].Bytes) {
		t.Errorf("first chunk: %v, %v; want its bytes", first, err)
	}
	if n := messages(t, agg, bus.StreamBytes); n != before {
		t.Errorf("%d chunks, %d before", n, before)
	}
	ack(t, d)
}

// A repeat that comes after its capture was handled leaves nothing in the stream.
func TestRepeatOfWhatWasHandledLeavesNothing(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	c := capture(t, "a", 10)
	r := receive(t, agg)
	for range 2 {
		publish(t, agent, c)
		handled(t, r)
	}
	if n := messages(t, agg, bus.StreamBytes); n != 0 {
		t.Errorf("%d chunks left", n)
	}
}

// Whether NATS is reached is told without a question.
func TestReached(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agent := b.Agent("a")
	if err := agent.Reached(); err != nil {
		t.Error(err)
	}
	b.Stop()
	poll.Until(t, "it is known to be away", func() bool { return errors.Is(agent.Reached(), bus.ErrAway) })
	b.Restart()
	poll.Until(t, "it is reached again", func() bool { return agent.Reached() == nil })
}
