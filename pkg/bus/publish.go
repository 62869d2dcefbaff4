package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

// chunkBytes is the size of a chunk: half of what NATS carries in one message by default,
// because reading one back from the stream wraps it into base64.
const chunkBytes = 512 << 10

// takenBack is how long an empty chunk stays that took the place of one: the shortest that
// NATS knows. Servers before 2.11 keep it until the capture comes whole, or its age ends.
const takenBack = time.Second

// PublishCapture returns nil when JetStream has the capture with all its bytes: the
// chunks first, one after the other, then the message that names them. Publishing it
// again is a no-op; a capture that failed half-way is published again as a whole.
//
// At ErrFull what was sent of it is taken back: halves of captures, of which the message
// never comes, would leave no room for whole ones.
func (a *Agent) PublishCapture(ctx context.Context, c gopprof.Capture) error {
	data, err := a.encodeCapture(c)
	if err == nil {
		err = a.publishWhole(ctx, c, data)
	}
	if errors.Is(err, ErrFull) {
		err = a.withdraw(ctx, c, err)
	}
	if err != nil {
		return fmt.Errorf("publishing capture %q: %w", c.ID, err)
	}
	return nil
}

// Reached says why nothing can be published now: there is no connection. What was refused on
// one that is there does not count.
func (a *Agent) Reached() error {
	if a.nc.IsConnected() {
		return nil
	}
	return a.Connected()
}

func (a *Agent) publishWhole(ctx context.Context, c gopprof.Capture, data []byte) error {
	begin := a.now()
	for n, chunk := range chunks(c) {
		if err := a.publishChunk(ctx, c.ID, n, chunk); err != nil {
			return fmt.Errorf("chunk %d: %w", n, err)
		}
	}
	if took := a.since(begin); took > attemptMost {
		return fmt.Errorf("%w: its chunks took %s, and may be gone by now", ErrAway, took.Round(time.Second))
	}
	return a.publishMessage(ctx, c.ID, data)
}

// since is how long ago it was, the time included that the machine was suspended: only the
// clock on the wall knows of that.
func (a *Agent) since(begin time.Time) time.Duration {
	now := a.now()
	return max(now.Sub(begin), now.Round(0).Sub(begin.Round(0)))
}

// chunks numbers a capture's chunks, through all of its profiles.
func chunks(c gopprof.Capture) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		n := 0
		for _, p := range c.Profiles {
			for chunk := range slices.Chunk(p.Bytes, chunkBytes) {
				if !yield(n, chunk) {
					return
				}
				n++
			}
		}
	}
}

// withdraw takes back a capture that found no room, and returns why it found none. One that
// waits in the queue, because an earlier attempt got through unheard, is there with its bytes:
// it stays.
func (a *Agent) withdraw(ctx context.Context, c gopprof.Capture, full error) error {
	waits, err := a.waits(ctx, c.ID)
	switch {
	case err != nil:
		return fmt.Errorf("%w; not taken back: %w", full, err)
	case waits:
		return nil
	}
	if err := a.takeBack(ctx, c); err != nil {
		return fmt.Errorf("%w; not all of it taken back: %w", full, err)
	}
	return full
}

// waits tells whether the capture's message is in the queue. To read it an agent has no right,
// and needs none: a message that expects a last sequence which no stream comes to is never
// stored, and the refusal names the one that there is, 0 for none.
func (a *Agent) waits(ctx context.Context, capture string) (bool, error) {
	m := &nats.Msg{Subject: captureSubject(a.cluster, a.node, capture)}
	_, err := a.publish(ctx, m, jetstream.WithExpectLastSequencePerSubject(math.MaxInt64))
	var api *jetstream.APIError
	var last uint64
	if errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		_, err = fmt.Sscanf(api.Description, "wrong last sequence: %d", &last)
	}
	return last > 0, err
}

// takeBack puts nothing in the place of every chunk of the capture, those of earlier attempts
// included: of removing messages an agent has no right. What takes less room than what it
// replaces is taken by a full stream as well; what a full stream refuses replaces nothing.
func (a *Agent) takeBack(ctx context.Context, c gopprof.Capture) error {
	for n := range chunks(c) {
		m := &nats.Msg{Subject: bytesSubject(a.cluster, a.node, c.ID, n)}
		if _, err := a.publish(ctx, m, jetstream.WithMsgTTL(takenBack)); err != nil && !errors.Is(err, ErrFull) {
			return fmt.Errorf("chunk %d: %w", n, err)
		}
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
// repeat takes the place of the first. It has no message ID: by that a server that remembers
// it would acknowledge the repeat without storing it, though the first was taken back.
func (a *Agent) publishChunk(ctx context.Context, capture string, n int, data []byte) error {
	_, err := a.publish(ctx, &nats.Msg{Subject: bytesSubject(a.cluster, a.node, capture, n), Data: data})
	return err
}

// publishMessage stores the capture message unless it waits in the queue already. It has no
// message ID either: chunks that came again after their capture was handled go when it is
// delivered again.
func (a *Agent) publishMessage(ctx context.Context, capture string, data []byte) error {
	m := &nats.Msg{Subject: captureSubject(a.cluster, a.node, capture), Data: data}
	_, err := a.publish(ctx, m, jetstream.WithExpectLastSequencePerSubject(0))
	if wrongLastSequence(err) {
		return nil
	}
	return err
}

// encodeState leaves out what cannot be sent, so that one target does not hide the others of
// its node, and returns what is wrong with each of these. It leaves out the refused ones when
// a node has too many for one message, and the largest targets when that is not enough.
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
	if errors.Is(err, ErrTooLarge) {
		var large []error
		s.Targets, large = fitting(thin(s, 0).Targets)
		left = append(left, large...)
		data, err = encodeThin(s)
	}
	return data, left, err
}

// besideTargets is the room that a state needs beside its targets.
const besideTargets = 32 << 10

// fitting leaves out the largest targets until the others fit into one message, and returns
// what is wrong with each of those.
func fitting(targets []gopprof.TargetState) (kept []gopprof.TargetState, left []error) {
	sizes, all := make([]int, len(targets)), 0
	for i, t := range targets {
		data, err := json.Marshal(t)
		if err != nil {
			continue // cannot be: it was encoded before, and found too large
		}
		sizes[i] = len(data) + 1
		all += sizes[i]
	}
	largest := make([]int, len(targets))
	for i := range largest {
		largest[i] = i
	}
	slices.SortStableFunc(largest, func(i, j int) int { return cmp.Compare(sizes[j], sizes[i]) })
	for len(left) < len(largest) && all > wire.MaxBytes-besideTargets {
		i := largest[len(left)]
		all -= sizes[i]
		left = append(left, fmt.Errorf("target %q: %w: %d bytes", clip(targets[i].Target.Key()), ErrTooLarge, sizes[i]))
	}
	out := largest[:len(left)]
	for i, t := range targets {
		if !slices.Contains(out, i) {
			kept = append(kept, t)
		}
	}
	return kept, left
}

// encodeThin leaves out windows, oldest first, and what was compared after the last capture,
// when a node has too many targets for one message: what a target is and why it did not fire
// matters more.
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

// thin keeps the newest windows of each target and, of what became of its rules, what the last
// comparison came to; everything when keep is negative.
func thin(s gopprof.NodeState, keep int) gopprof.NodeState {
	if keep < 0 {
		return s
	}
	s.Targets = slices.Clone(s.Targets)
	for i := range s.Targets {
		t := &s.Targets[i]
		t.Local = t.Local[max(0, len(t.Local)-keep):]
		t.Series = t.Series[max(0, len(t.Series)-keep):]
		t.Rules = slices.Clone(t.Rules)
		for j := range t.Rules {
			t.Rules[j].LastAgreement.Compared = nil
		}
	}
	return s
}
