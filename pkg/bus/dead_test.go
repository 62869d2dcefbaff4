package bus_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func TestDeadLetterIsStoredThenTerminated(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	r := receive(t, agg)
	c := capture(t, "a", bus.ChunkBytes+1)
	publish(t, agent, c)
	d := r.next()
	if err := d.DeadLetter(within(t), gopprof.ReasonWorkerDied, "three times\r\nX-Evil: 1"); err != nil {
		t.Fatal(err)
	}
	letter, err := agg.Last(within(t), bus.StreamDead, "gopprof.v1.dead.test.a."+c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(letter.Data, encoded(t, c)) {
		t.Error("the letter's body is not the message")
	}
	for key, want := range map[string]string{
		bus.HeaderReason: "worker_died", bus.HeaderDetail: `three times\r\nX-Evil: 1`, bus.HeaderSubject: "gopprof.v1.capture.test.a." + c.ID,
		bus.HeaderBytes: "gopprof.v1.bytes.test.a." + c.ID + ".*", bus.HeaderChunks: "2", bus.HeaderTruncated: "", "X-Evil": "",
	} {
		if got := letter.Header.Get(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if n := messages(t, agg, bus.StreamBytes); n != 2 {
		t.Errorf("%d chunks are left for a person to look at, want 2", n)
	}
	if n := messages(t, agg, bus.StreamCaptures); n != 0 {
		t.Errorf("%d captures in the queue after the end", n)
	}
	r.nothing(agent, "a")
}

func TestDeadLetterOfLargestMessage(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	raw(t, agent, "capture.test.a.x", make([]byte, 1<<20)) // all that the server takes
	d := receive(t, agg).next()
	if !errors.Is(d.Err, bus.ErrUndecodable) {
		t.Fatal(d.Err)
	}
	if err := d.DeadLetter(within(t), gopprof.ReasonUndecodable, d.Err.Error()); err != nil {
		t.Fatal(err)
	}
	letter, err := agg.Last(within(t), bus.StreamDead, "gopprof.v1.dead.test.a.x")
	if err != nil {
		t.Fatal(err)
	}
	if got := letter.Header.Get(bus.HeaderTruncated); got != "1048576" || len(letter.Data) == 0 {
		t.Errorf("truncated from %q to %d bytes", got, len(letter.Data))
	}
}

// TestDeadLetterNotStoredIsNotTerminated: as long as the store takes nothing, the capture
// stays in the queue, of which NATS takes an end all the while.
func TestDeadLetterNotStoredIsNotTerminated(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	r := receive(t, agg)
	publish(t, agent, capture(t, "a", 5))
	d := r.next()
	if err := agg.DeleteStream(t.Context(), bus.StreamDead); err != nil {
		t.Fatal(err)
	}
	if err := d.DeadLetter(t.Context(), gopprof.ReasonUndecodable, ""); err == nil {
		t.Fatal("dead-lettered without a store")
	}
	if n := messages(t, agg, bus.StreamCaptures); n != 1 {
		t.Errorf("%d captures in the queue, want 1", n)
	}
	ack(t, d)
}
