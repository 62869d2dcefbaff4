package bus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

// Delivery is one capture handed over, until it is acknowledged, given back or dead. It
// is used by one worker at a time; InProgress may be called beside.
type Delivery struct {
	// Capture is what the message says; its profiles have no bytes before Fetch. The zero
	// value when Err is ErrUndecodable.
	Capture gopprof.Capture
	// Err is why the message is not believed: ErrUndecodable or ErrImposter. Such a
	// delivery can only be dead-lettered.
	Err error

	a    *Aggregator
	msg  jetstream.Msg
	from origin
}

func (a *Aggregator) delivery(m jetstream.Msg) *Delivery {
	d := &Delivery{a: a, msg: m}
	var err error
	if d.from, err = parseOrigin("capture", m.Subject()); err != nil {
		d.Err = fmt.Errorf("%w: %w", ErrUndecodable, err)
		a.met.refuse(gopprof.ReasonUndecodable)
		return d
	}
	d.Capture, d.Err = believe(d.from, m.Data())
	switch {
	case errors.Is(d.Err, ErrUndecodable):
		a.met.refuse(gopprof.ReasonUndecodable)
	case errors.Is(d.Err, ErrImposter):
		a.met.refuse(gopprof.ReasonImposter)
	}
	return d
}

// believe returns what a message says that came from there, or ErrUndecodable or
// ErrImposter.
func believe(from origin, data []byte) (gopprof.Capture, error) {
	c, err := wire.DecodeCapture(data)
	if err != nil {
		return gopprof.Capture{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	if body := (origin{c.Target.Cluster, c.Target.Node, c.ID}); body != from {
		return c, fmt.Errorf("%w: capture %q of node %q came on the subject of %q", ErrImposter, body.capture, clip(body.node), clip(from.node))
	}
	return c, nil
}

// Deliveries is how often the message was handed over, this time included.
func (d *Delivery) Deliveries() int { return deliveries(d.msg) }

func deliveries(m jetstream.Msg) int {
	meta, err := m.Metadata()
	if err != nil {
		return 1
	}
	return int(meta.NumDelivered)
}

// Fetch reads the profiles' bytes and checks size and sha256. ErrBytesLost, ErrBytesWrong
// and ErrTooLarge last; anything else may be tried again.
func (d *Delivery) Fetch(ctx context.Context) error {
	if d.Err != nil {
		return d.Err
	}
	var total int64
	for _, p := range d.Capture.Profiles {
		total += p.SizeBytes
		if most := d.a.streamConfig().CaptureMaxBytes; p.SizeBytes > most || total > most {
			return fmt.Errorf("fetching capture %q: %w: more than %d bytes", d.Capture.ID, ErrTooLarge, most)
		}
	}
	n := 0
	for i := range d.Capture.Profiles {
		p := &d.Capture.Profiles[i]
		data, err := d.fetchProfile(ctx, *p, &n)
		if err != nil {
			return fmt.Errorf("fetching %s of capture %q: %w", p.Kind, d.Capture.ID, err)
		}
		p.Bytes = data
	}
	return nil
}

// A profile comes in no more chunks than a few, and one for each of so many bytes: each is asked
// for, and a worker who asks for a million small ones is at it for as long as he may, again and
// again.
const (
	fewChunks  = 8
	leastChunk = chunkBytes / 8
)

// fetchProfile reads chunks from number n on until it has one profile. It reserves no
// memory on the word of the message.
func (d *Delivery) fetchProfile(ctx context.Context, p gopprof.Profile, n *int) ([]byte, error) {
	var data []byte
	end := *n + fewChunks + int(p.SizeBytes/leastChunk)
	for int64(len(data)) < p.SizeBytes {
		if *n >= end {
			return nil, fmt.Errorf("chunk %d: %w: they are too small", *n, ErrBytesWrong)
		}
		chunk, err := d.a.fetchChunk(ctx, d.from, *n)
		if err != nil {
			return nil, fmt.Errorf("chunk %d: %w", *n, err)
		}
		if len(chunk) == 0 || int64(len(data)+len(chunk)) > p.SizeBytes {
			return nil, fmt.Errorf("chunk %d: %w: %d bytes", *n, ErrBytesWrong, len(chunk))
		}
		data = append(data, chunk...)
		*n++
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != p.SHA256 {
		return nil, fmt.Errorf("%w: sha256 differs", ErrBytesWrong)
	}
	return data, nil
}

func (a *Aggregator) fetchChunk(ctx context.Context, from origin, n int) ([]byte, error) {
	s, err := a.stream(ctx, StreamBytes)
	if err != nil {
		return nil, err
	}
	if !a.nc.IsConnected() {
		return nil, a.Connected()
	}
	ctx, done := a.guard(ctx, "", ackWait)
	defer done()
	m, err := s.GetLastMsgForSubject(ctx, bytesSubject(from.cluster, from.node, from.capture, n))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, ErrBytesLost
	case err != nil:
		return nil, classify(ctx, err)
	}
	return m.Data, nil
}

// RemoveBytes removes the capture's chunks from NATS. Doing it again is a no-op.
func (d *Delivery) RemoveBytes(ctx context.Context) error {
	s, err := d.a.stream(ctx, StreamBytes)
	if err != nil {
		return fmt.Errorf("removing bytes of capture %q: %w", d.from.capture, err)
	}
	ctx, done := d.a.guard(ctx, "", ackWait)
	defer done()
	if err := s.Purge(ctx, jetstream.WithPurgeSubject(d.chunks())); err != nil {
		return fmt.Errorf("removing bytes of capture %q: %w", d.from.capture, classify(ctx, err))
	}
	return nil
}

// chunks matches the subjects of all chunks of the capture.
func (d *Delivery) chunks() string {
	return subject("bytes", d.from.cluster, d.from.node, d.from.capture) + ".*"
}

// Ack ends the delivery for good; it returns when the server has noted it.
func (d *Delivery) Ack(ctx context.Context) error { return d.settle(ctx, "+ACK", "acknowledging") }

// settle sends the end of the delivery and waits until the server has noted it.
func (d *Delivery) settle(ctx context.Context, word, verb string) error {
	if _, err := d.a.request(ctx, d.msg.Reply(), []byte(word), ackWait); err != nil {
		return fmt.Errorf("%s capture %q: %w", verb, clip(d.from.capture), err)
	}
	return nil
}

// Nak gives the delivery back, to be handed over again after the delay.
func (d *Delivery) Nak(delay time.Duration) error {
	if err := d.msg.NakWithDelay(delay); err != nil {
		return fmt.Errorf("giving back capture %q: %w: %w", clip(d.from.capture), ErrAway, err)
	}
	return nil
}

// InProgress says that the delivery is still worked on. It must come more often than
// StreamConfig.AckWait.
func (d *Delivery) InProgress() error {
	if err := d.msg.InProgress(); err != nil {
		return fmt.Errorf("capture %q in progress: %w: %w", clip(d.from.capture), ErrAway, err)
	}
	return nil
}
