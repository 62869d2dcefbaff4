package bus_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
	"github.com/gopprof/gopprof/test/poll"
)

func TestFetchChecksBytes(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}, Streams: streams(func(c *bus.StreamConfig) { c.CaptureMaxBytes = 1 << 20 })})
	agg, agent := b.Aggregator(), b.Agent("a")
	cases := map[string]struct {
		chunks [][]byte
		claim  func(*gopprof.Profile)
		want   error
	}{
		"no chunk":    {nil, nil, bus.ErrBytesLost},
		"half":        {[][]byte{[]byte("01234")}, nil, bus.ErrBytesLost},
		"longer":      {[][]byte{[]byte("0123456789ab")}, nil, bus.ErrBytesWrong},
		"empty chunk": {[][]byte{{}}, nil, bus.ErrBytesWrong},
		"other bytes": {[][]byte{[]byte("0123456780")}, nil, bus.ErrBytesWrong},
		"too large":   {nil, func(p *gopprof.Profile) { p.SizeBytes = 1 << 40 }, bus.ErrTooLarge},
	}
	r := receive(t, agg)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := capture(t, "a", 10)
			if tc.claim != nil {
				tc.claim(&c.Profiles[0])
			}
			for i, chunk := range tc.chunks {
				raw(t, agent, "bytes.test.a."+c.ID+"."+string(rune('0'+i)), chunk)
			}
			data, err := wire.EncodeCapture(c)
			if err != nil {
				t.Fatal(err)
			}
			raw(t, agent, "capture.test.a."+c.ID, data)
			d := r.next()
			if err := d.Fetch(within(t)); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
			ack(t, d)
		})
	}
}

// A worker asks for each chunk: who sends a profile in a great many, each with next to nothing,
// holds him up for as long as he may work on a capture, and for as long again when it comes again.
func TestBytesInTooManyChunks(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	r := receive(t, agg)
	for chunks, want := range map[int]error{8: nil, 9: bus.ErrBytesWrong, 100: bus.ErrBytesWrong} {
		c := capture(t, "a", chunks)
		for i, one := range c.Profiles[0].Bytes {
			raw(t, agent, "bytes.test.a."+c.ID+"."+strconv.Itoa(i), []byte{one})
		}
		raw(t, agent, "capture.test.a."+c.ID, encoded(t, c))
		d := r.next()
		if err := d.Fetch(within(t)); !errors.Is(err, want) {
			t.Errorf("%d chunks: %v, want %v", chunks, err, want)
		}
		ack(t, d)
	}
}

func TestBodyAgainstSubject(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a", "b"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	r := receive(t, agg)
	ours, theirs := capture(t, "a"), capture(t, "b")
	cases := map[string]struct {
		subject string
		body    []byte
		want    error
	}{
		"another node's body":    {"capture.test.a." + theirs.ID, encoded(t, theirs), bus.ErrImposter},
		"another capture's body": {"capture.test.a." + theirs.ID, encoded(t, ours), bus.ErrImposter},
		"garbage":                {"capture.test.a.x", []byte("hello"), bus.ErrUndecodable},
		"another type":           {"capture.test.a.x", encodedFiring(t), bus.ErrUndecodable},
		"badly escaped subject":  {"capture.test.a.%zz", encoded(t, ours), bus.ErrUndecodable},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			raw(t, agent, tc.subject, tc.body)
			d := r.next()
			if !errors.Is(d.Err, tc.want) {
				t.Errorf("%v, want %v", d.Err, tc.want)
			}
			if err := d.Fetch(within(t)); !errors.Is(err, tc.want) {
				t.Errorf("fetch: %v, want %v", err, tc.want)
			}
			ack(t, d)
		})
	}
}

// TestLongSubjects: a connection on which a line is too long is closed with everything on
// it. A node must not be able to do that to the aggregator.
func TestLongSubjects(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	r := receive(t, agg)
	for _, length := range []int{1800, 1900, 2500, 3800} {
		raw(t, agent, "capture.test.a."+strings.Repeat("x", length), []byte("hello"))
		d := r.next()
		if !errors.Is(d.Err, bus.ErrUndecodable) {
			t.Errorf("%d: %v, want %v", length, d.Err, bus.ErrUndecodable)
		}
		if err := d.DeadLetter(within(t), gopprof.ReasonUndecodable, ""); err != nil {
			t.Errorf("%d: %v", length, err)
		}
	}
	long := report(capture(t, "a"))
	ugly := strings.Repeat("\x7f", 253) // longest names, every byte escaped
	long.Capture.Target.Cluster, long.Capture.Target.Namespace = strings.Repeat(".", 253), strings.Repeat("*", 253)
	long.Capture.Target.Workload, long.Capture.Target.Pod = gopprof.Workload{Kind: strings.Repeat(">", 253), Name: strings.Repeat(" ", 253)}, strings.Repeat("ü", 126)
	if err := agg.PublishReport(within(t), long); err != nil {
		t.Errorf("report with long names: %v", err)
	}
	long.Capture.Target.Pod = ugly
	if err := agg.PublishReport(within(t), long); !errors.Is(err, bus.ErrInvalid) {
		t.Errorf("report with control characters: %v, want %v", err, bus.ErrInvalid)
	}
	if err := agg.Connected(); err != nil {
		t.Errorf("the aggregator lost its connection: %v", err)
	}
}

func encoded(t *testing.T, c gopprof.Capture) []byte {
	t.Helper()
	data, err := wire.EncodeCapture(c)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func encodedFiring(t *testing.T) []byte {
	t.Helper()
	data, err := wire.EncodeFiring(gopprof.Firing{Capture: newID(t), Target: target("a")})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func raw(t *testing.T, a *bus.Agent, subject string, data []byte) {
	t.Helper()
	if err := a.PublishRaw(within(t), &nats.Msg{Subject: bus.Root + subject, Data: data}); err != nil {
		t.Fatal(err)
	}
}

// endless is what a node makes subjects of whose list, as JetStream tells it, is larger than
// what a server sends: each byte takes six in JSON.
var endless = strings.Repeat("<", 3800)

// many is how many subjects like that it takes.
const many = 3200

// flood has a node send as many empty chunks of one capture.
func flood(t *testing.T, agg *bus.Aggregator, a *bus.Agent) {
	t.Helper()
	for n := range many {
		if err := a.Conn().Publish(bus.Root+"bytes.test.a.x."+endless+strconv.Itoa(n), nil); err != nil {
			t.Fatal(err)
		}
	}
	poll.Until(t, "they are there", func() bool { return messages(t, agg, bus.StreamBytes) == many })
}

// once fails the test when the aggregator's connection is lost.
func once(t *testing.T, agg *bus.Aggregator) {
	t.Helper()
	lost := agg.Conn().StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	t.Cleanup(func() {
		select {
		case status := <-lost:
			t.Errorf("the aggregator's connection: %s", status)
		default:
		}
	})
}

// A node sends any number of chunks of one capture, of any names: its letter is stored, and
// nobody loses the connection.
func TestChunksWithoutEndOfALetter(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	flood(t, agg, agent)
	raw(t, agent, "capture.test.a.x", []byte("hello"))
	d := receive(t, agg).next()
	once(t, agg)
	if err := d.DeadLetter(within(t), gopprof.ReasonUndecodable, ""); err != nil {
		t.Fatal(err)
	}
	letter, err := agg.Last(within(t), bus.StreamDead, "gopprof.v1.dead.test.a.x")
	if err != nil {
		t.Fatal(err)
	}
	if got := letter.Header.Get(bus.HeaderChunks); got != strconv.Itoa(many) {
		t.Errorf("%q chunks", got)
	}
}

// The same of a capture that never comes: they are removed, as others are.
func TestChunksWithoutEndOfAnOrphan(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	flood(t, agg, agent)
	once(t, agg)
	var seen map[string]uint64
	for range 2 {
		var err error
		if seen, err = agg.RemoveOrphans(within(t), seen); err != nil {
			t.Fatal(err)
		}
	}
	if n := messages(t, agg, bus.StreamBytes); n != 0 {
		t.Errorf("%d chunks are left", n)
	}
}
