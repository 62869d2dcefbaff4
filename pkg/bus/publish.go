package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

// chunkBytes is the size of a chunk: half of what NATS carries in one message by default,
// because reading one back from the stream wraps it into base64.
const chunkBytes = 512 << 10

// PublishCapture returns nil when JetStream has the capture with all its bytes: the
// chunks first, one after the other, then the message that names them. Publishing it
// again is a no-op; a capture that failed half-way is published again as a whole.
func (a *Agent) PublishCapture(ctx context.Context, c gopprof.Capture) error {
	data, err := a.encodeCapture(c)
	if err != nil {
		return fmt.Errorf("publishing capture %q: %w", c.ID, err)
	}
	n := 0
	for _, p := range c.Profiles {
		for chunk := range slices.Chunk(p.Bytes, chunkBytes) {
			if err := a.publishChunk(ctx, c.ID, n, chunk); err != nil {
				return fmt.Errorf("publishing capture %q: chunk %d: %w", c.ID, n, err)
			}
			n++
		}
	}
	if err := a.publishMessage(ctx, c.ID, data); err != nil {
		return fmt.Errorf("publishing capture %q: %w", c.ID, err)
	}
	return nil
}

// encodeCapture refuses what receivers would refuse, before anything is sent.
func (a *Agent) encodeCapture(c gopprof.Capture) ([]byte, error) {
	if c.Target.Cluster != a.cluster || c.Target.Node != a.node {
		return nil, fmt.Errorf("%w: it is of node %q in cluster %q", ErrInvalid, c.Target.Node, c.Target.Cluster)
	}
	for _, p := range c.Profiles {
		if p.SizeBytes != int64(len(p.Bytes)) {
			return nil, fmt.Errorf("%w: profile %q has %d bytes and says %d", ErrInvalid, p.Kind, len(p.Bytes), p.SizeBytes)
		}
	}
	data, err := wire.EncodeCapture(c)
	switch {
	case errors.Is(err, wire.ErrTooLarge):
		return nil, fmt.Errorf("%w: %w", ErrTooLarge, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return data, nil
}

// publishChunk stores one chunk. The stream keeps one message for each subject, so that a
// repeat takes the place of the first even after the window of the message IDs. Those are
// one space for all senders of a stream, so they are subjects: what one node sent must not
// pass for another's.
func (a *Agent) publishChunk(ctx context.Context, capture string, n int, data []byte) error {
	m := &nats.Msg{Subject: bytesSubject(a.cluster, a.node, capture, n), Data: data}
	_, err := a.publish(ctx, m, jetstream.WithMsgID(m.Subject))
	return err
}

// publishMessage stores the capture message unless it waits in the queue already.
func (a *Agent) publishMessage(ctx context.Context, capture string, data []byte) error {
	m := &nats.Msg{Subject: captureSubject(a.cluster, a.node, capture), Data: data}
	_, err := a.publish(ctx, m, jetstream.WithMsgID(m.Subject), jetstream.WithExpectLastSequencePerSubject(0))
	if wrongLastSequence(err) {
		return nil
	}
	return err
}

// encodeState leaves out what cannot be sent, so that one target does not hide the others of
// its node, and returns what is wrong with each of these. It leaves out the refused ones when
// a node has too many for one message.
func encodeState(s gopprof.NodeState) (data []byte, left []error, err error) {
	if data, err = encodeThin(s); errors.Is(err, ErrInvalid) {
		s, left = wire.Sendable(s)
		data, err = encodeThin(s)
	}
	if errors.Is(err, ErrTooLarge) {
		left = append(left, slices.Repeat([]error{err}, len(s.Refused))...)
		s.Refused = nil
		data, err = encodeThin(s)
	}
	return data, left, err
}

// encodeThin leaves out windows, oldest first, when a node has too many targets for one
// message: what a target is and why it did not fire matters more.
func encodeThin(s gopprof.NodeState) ([]byte, error) {
	for _, keep := range []int{-1, 1, 0} {
		data, err := wire.EncodeState(thin(s, keep))
		if err == nil {
			return data, nil
		}
		if !errors.Is(err, wire.ErrTooLarge) {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return nil, fmt.Errorf("%w: %d targets, %d refused", ErrTooLarge, len(s.Targets), len(s.Refused))
}

// thin keeps the newest windows of each target; all of them when keep is negative.
func thin(s gopprof.NodeState, keep int) gopprof.NodeState {
	if keep < 0 {
		return s
	}
	s.Targets = slices.Clone(s.Targets)
	for i := range s.Targets {
		t := &s.Targets[i]
		t.Local = t.Local[max(0, len(t.Local)-keep):]
		t.Series = t.Series[max(0, len(t.Series)-keep):]
	}
	return s
}
