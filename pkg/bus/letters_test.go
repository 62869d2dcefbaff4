package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
	"github.com/gopprof/gopprof/test/hostile"
	"github.com/gopprof/gopprof/test/poll"
)

// letters are the dead letters of one capture, or all of them.
func letters(t testing.TB, a *bus.Aggregator, id string) (found []*bus.Letter) {
	t.Helper()
	err := a.Letters(within(t), id, func(l *bus.Letter) error { found = append(found, l); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// die lets the next delivery kill three workers, as far as the bus can know, and buries it.
func die(t testing.TB, d *bus.Delivery) {
	t.Helper()
	for range 3 {
		if _, err := d.Started(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.DeadLetter(within(t), gopprof.ReasonWorkerDied, "3 workers began with it and did not end"); err != nil {
		t.Fatal(err)
	}
}

// whole checks that a delivery is the capture, with its bytes and without a past.
func whole(t testing.TB, d *bus.Delivery, c gopprof.Capture) {
	t.Helper()
	if d.Capture.ID != c.ID || d.Err != nil {
		t.Fatalf("delivered %q, %v", d.Capture.ID, d.Err)
	}
	if n, err := d.Starts(within(t)); err != nil || n != 0 {
		t.Errorf("%d starts are counted still, %v", n, err)
	}
	if err := d.Fetch(within(t)); err != nil {
		t.Fatal(err)
	}
	for i, p := range d.Capture.Profiles {
		if !bytes.Equal(p.Bytes, c.Profiles[i].Bytes) {
			t.Errorf("%s came with other bytes", p.Kind)
		}
	}
}

func TestLettersAreListedWithWhatIsKnown(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	if got := letters(t, agg, ""); len(got) != 0 {
		t.Fatalf("%d letters before anything died", len(got))
	}
	r, first, second := receive(t, agg), capture(t, "a", 5), capture(t, "a")
	raw(t, agent, "capture.test.a.x%2Ey", []byte("\x1b[31mnonsense"))
	if err := r.next().DeadLetter(within(t), gopprof.ReasonUndecodable, "not\nJSON"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []gopprof.Capture{first, second} {
		publish(t, agent, c)
		die(t, r.next())
	}
	got := letters(t, agg, "")
	if len(got) != 3 {
		t.Fatalf("%d letters, want 3", len(got))
	}
	if l := got[0]; l.ID != "x%2Ey" || l.Reason != gopprof.ReasonUndecodable || l.Detail != `not\nJSON` || l.Node != "a" || !errors.Is(l.Err, bus.ErrUndecodable) {
		t.Errorf("what nobody understands: %+v", l)
	}
	if l := got[1]; l.ID != first.ID || l.Reason != gopprof.ReasonWorkerDied || l.Err != nil || l.Capture.Target.Pod != first.Target.Pod || time.Since(l.At).Abs() > time.Hour {
		t.Errorf("%+v", l)
	}
	if own := letters(t, agg, second.ID); len(own) != 1 || own[0].ID != second.ID {
		t.Errorf("by its ID: %d letters", len(own))
	}
	if none := letters(t, agg, "nobody"); len(none) != 0 {
		t.Errorf("%d letters of nobody", len(none))
	}
	for _, id := range []string{"*", ">", "a.b", "x y"} {
		if err := agg.Letters(within(t), id, func(*bus.Letter) error { return nil }); !errors.Is(err, bus.ErrInvalid) {
			t.Errorf("id %q: %v", id, err)
		}
	}
	if err := got[0].Replay(within(t), true); !errors.Is(err, bus.ErrUndecodable) || len(letters(t, agg, "x%2Ey")) != 1 {
		t.Errorf("what nobody understands was replayed: %v", err)
	}
}

// A replayed capture comes again with its bytes and without a past, though the agent's own
// message ID is known still; it may die again, and leaves a letter again.
func TestReplayedCaptureComesAgain(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	r, c := receive(t, agg), capture(t, "a", bus.ChunkBytes+1, 7)
	publish(t, agent, c)
	for range 3 {
		die(t, r.next())
		l := letters(t, agg, c.ID)
		if len(l) != 1 {
			t.Fatalf("%d letters, want 1", len(l))
		}
		if err := l[0].Replay(within(t), true); err != nil {
			t.Fatal(err)
		}
		if l := letters(t, agg, ""); len(l) != 0 {
			t.Errorf("%d letters after the replay", len(l))
		}
	}
	d := r.next()
	whole(t, d, c)
	if n := messages(t, agg, bus.StreamBytes); n != 3 {
		t.Errorf("%d chunks, want 3: each once", n)
	}
	ack(t, d)
	r.nothing(agent, "a")
}

// Whatever a replay dies after, the letter or the capture is there, and replaying once more
// gives exactly one delivery.
func TestReplayKilledBetweenAnyTwoWrites(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	r := receive(t, agg)
	for steps, more := 0, true; more; steps++ {
		t.Run(fmt.Sprint("after ", steps), func(t *testing.T) {
			c := capture(t, "a", bus.ChunkBytes+1)
			publish(t, agent, c)
			die(t, r.next())
			var err error
			if more, err = letters(t, agg, c.ID)[0].ReplayUntil(within(t), steps); err != nil {
				t.Fatal(err)
			}
			if n := len(letters(t, agg, c.ID)); (n == 1) != more {
				t.Fatalf("%d letters after %d steps", n, steps)
			}
			for _, l := range letters(t, agg, c.ID) {
				if err := l.Replay(within(t), true); err != nil && !errors.Is(err, bus.ErrWaiting) {
					t.Fatal(err)
				}
			}
			d := r.next()
			whole(t, d, c)
			if err := d.RemoveBytes(within(t)); err != nil {
				t.Fatal(err)
			}
			ack(t, d)
			r.nothing(agent, "a")
			// What a death between the last two writes leaves is a letter without bytes of a
			// capture that is stored: replayed, it is resumed and gone.
			for _, l := range letters(t, agg, c.ID) {
				if err := l.Replay(within(t), true); !errors.Is(err, bus.ErrBytesLost) {
					t.Errorf("%v, want bytes lost", err)
				}
				if err := l.Replay(within(t), false); err != nil {
					t.Fatal(err)
				}
				ack(t, r.next())
			}
			if n := len(letters(t, agg, "")); n != 0 {
				t.Errorf("%d letters at the end", n)
			}
		})
	}
}

// The letter's capture is in the queue still when NATS could not be told of its end. The
// letter then stays: within NATS's memory of message IDs the next death would leave none.
func TestLetterOfACaptureThatWaitsStays(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	r, c := receive(t, agg), capture(t, "a", 5)
	publish(t, agent, c)
	d := r.next()
	ctx, cancel := context.WithCancel(t.Context())
	if err := d.DeadLetterWithout(ctx, cancel); err == nil {
		t.Fatal("NATS was told")
	}
	l := letters(t, agg, c.ID)
	if len(l) != 1 {
		t.Fatalf("%d letters", len(l))
	}
	if err := l[0].Replay(within(t), true); !errors.Is(err, bus.ErrWaiting) {
		t.Errorf("%v, want that it waits already", err)
	}
	die(t, d)
	if l := letters(t, agg, c.ID); len(l) == 0 {
		t.Error("the capture is lost")
	}
}

// Bytes that aged out of NATS are named, and the letter stays as it is.
func TestReplayWithoutBytesIsRefused(t *testing.T) {
	streams := bus.DefaultStreamConfig()
	streams.WaitingMaxAge, streams.DedupeWindow = time.Second, time.Second
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}, Streams: &streams})
	agg, agent := b.Aggregator(), b.Agent("a")
	r, c := receive(t, agg), capture(t, "a", 5)
	publish(t, agent, c)
	die(t, r.next())
	poll.Until(t, "the bytes age out", func() bool { return messages(t, agg, bus.StreamBytes) == 0 })
	err := letters(t, agg, c.ID)[0].Replay(within(t), true)
	if !errors.Is(err, bus.ErrBytesLost) || !strings.Contains(err.Error(), c.ID) {
		t.Errorf("%v, want bytes lost of %s", err, c.ID)
	}
	if n := messages(t, agg, bus.StreamCaptures); n != 0 || len(letters(t, agg, c.ID)) != 1 {
		t.Errorf("%d captures in the queue; the letter must stay", n)
	}
}

// The bytes' age begins anew: a capture replayed at the last moment is there when its turn
// comes.
func TestReplayRenewsTheBytes(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	r, c := receive(t, agg), capture(t, "a", 5)
	publish(t, agent, c)
	chunk := "gopprof.v1.bytes.test.a." + c.ID + ".0"
	before, err := agg.Last(within(t), bus.StreamBytes, chunk)
	if err != nil {
		t.Fatal(err)
	}
	die(t, r.next())
	if err := letters(t, agg, c.ID)[0].Replay(within(t), true); err != nil {
		t.Fatal(err)
	}
	after, err := agg.Last(within(t), bus.StreamBytes, chunk)
	if err != nil || !after.Time.After(before.Time) || !slices.Equal(after.Data, before.Data) {
		t.Errorf("%v: written at %s, before at %s", err, after.Time, before.Time)
	}
	ack(t, r.next())
}

func TestLettersWhileNATSIsAway(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg := b.Aggregator()
	b.Stop()
	poll.Until(t, "the connection is lost", func() bool { return agg.Connected() != nil })
	if err := agg.Letters(within(t), "", func(*bus.Letter) error { return nil }); !errors.Is(err, bus.ErrAway) {
		t.Errorf("%v, want that NATS is away", err)
	}
}

// FuzzLetter: whoever wrote a letter, what is told of it can be printed, it is a capture's
// that its node sent or is not replayed, and what the bus itself writes is told as written.
func FuzzLetter(f *testing.F) {
	c := capture(f, "a", 5)
	data, err := wire.EncodeCapture(c)
	if err != nil {
		f.Fatal(err)
	}
	subject := "gopprof.v1.dead.test.a." + c.ID
	f.Add(subject, "worker_died", "3 workers", data)
	f.Add(subject, "", "", data[:len(data)/2])
	f.Add("gopprof.v1.dead.test.b."+c.ID, strings.Repeat("x", 200), "a\nb", data)
	f.Add("gopprof.v1.dead.test.a", "", "", data)
	f.Add("gopprof.v1.dead.test.a.x%2Ey", "", "", []byte("\x1b[31mnonsense"))
	f.Add("gopprof.v1.capture.test.a."+c.ID, "", "", data)
	for _, name := range hostile.Names() {
		f.Add("gopprof.v1.dead."+bus.Token(name)+"."+bus.Token(name)+"."+bus.Token(name), name, name, []byte(name))
		f.Add(name, name, name, data)
	}
	f.Fuzz(func(t *testing.T, subject, reason, detail string, data []byte) {
		header := nats.Header{bus.HeaderReason: {reason}, bus.HeaderDetail: {detail}}
		l := bus.ReadLetter(&jetstream.RawStreamMsg{Subject: subject, Sequence: 1, Header: header, Data: data})
		for _, said := range []string{l.ID, string(l.Reason), l.Detail} {
			if len(said) > 4000 || strings.ContainsFunc(said, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%d bytes are told: %q", len(said), said)
			}
		}
		if name, err := bus.ParseToken(l.ID); err != nil || l.Err == nil && name != l.Capture.ID {
			t.Errorf("ID %q of capture %q, %v", l.ID, l.Capture.ID, err)
		}
		checkBelieved(t, l, subject)
		written := bus.HeaderValue(detail)
		header.Set(bus.HeaderDetail, written)
		if l := bus.ReadLetter(&jetstream.RawStreamMsg{Subject: subject, Header: header}); l.Detail != written && !strings.HasPrefix(written, strings.TrimSuffix(l.Detail, "…")) {
			t.Errorf("written %q, read %q", written, l.Detail)
		}
	})
}

// checkBelieved checks that a letter is its node's capture, or is not replayed.
func checkBelieved(t *testing.T, l *bus.Letter, subject string) {
	t.Helper()
	if l.Err == nil {
		of := l.Capture.Target
		if of.Cluster != l.Cluster || of.Node != l.Node || subject != bus.Root+"dead."+bus.Token(of.Cluster)+"."+bus.Token(of.Node)+"."+bus.Token(l.Capture.ID) {
			t.Errorf("capture %q of %s/%s on %q", l.Capture.ID, of.Cluster, of.Node, subject)
		}
		return
	}
	if !errors.Is(l.Err, bus.ErrUndecodable) && !errors.Is(l.Err, bus.ErrImposter) || len(l.Err.Error()) > 2000 {
		t.Errorf("not believed: %v", l.Err)
	}
	if err := l.Replay(t.Context(), true); !errors.Is(err, l.Err) {
		t.Errorf("replayed: %v", err)
	}
}
