package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Letter is a capture that lies among the dead letters.
type Letter struct {
	// ID is the capture's, as a token: foreign, and safe to print.
	ID string
	// Cluster and Node sent it.
	Cluster, Node string
	Reason        gopprof.Reason
	Detail        string // one line
	At            time.Time
	// Capture is what the message says, without bytes; the zero value when Err is set.
	Capture gopprof.Capture
	// Err is why the message is not believed, by what is known now: ErrUndecodable or
	// ErrImposter. Such a letter cannot be replayed.
	Err error

	a        *Aggregator
	sequence uint64 // in the stream of the letters
	data     []byte
	from     origin
}

// Letters hands over the dead letters, oldest first; those of one capture when id, a
// Letter's ID, is not empty. It ends with the first error of each.
func (a *Aggregator) Letters(ctx context.Context, id string, each func(*Letter) error) error {
	if id == "" {
		id = "*"
	} else if _, err := ParseToken(id); err != nil {
		return fmt.Errorf("reading dead letters: %w: %w", ErrInvalid, err)
	}
	for next := uint64(1); ; {
		l, err := a.letter(ctx, next, root+"dead.*.*."+id)
		if err != nil {
			return fmt.Errorf("reading dead letters: %w", err)
		}
		if l == nil {
			return nil
		}
		if err := each(l); err != nil {
			return err
		}
		next = l.sequence + 1
	}
}

// letter returns the first letter from a sequence on; nil when there is none.
func (a *Aggregator) letter(ctx context.Context, from uint64, subjects string) (*Letter, error) {
	s, err := a.stream(ctx, StreamDead)
	if err != nil {
		return nil, err
	}
	if !a.nc.IsConnected() {
		return nil, a.Connected()
	}
	ctx, done := a.guard(ctx, "", ackWait)
	defer done()
	m, err := s.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subjects))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, nil
	case err != nil:
		return nil, classify(ctx, err)
	}
	return a.read(m), nil
}

func (a *Aggregator) read(m *jetstream.RawStreamMsg) *Letter {
	l := &Letter{
		Reason: gopprof.Reason(printed(m.Header.Get(HeaderReason))), Detail: printed(m.Header.Get(HeaderDetail)), At: m.Time,
		a: a, sequence: m.Sequence, data: m.Data,
	}
	var err error
	if l.from, err = parseOrigin("dead", m.Subject); err != nil {
		l.Err = fmt.Errorf("%w: %w", ErrUndecodable, err)
	} else {
		l.Capture, l.Err = believe(l.from, m.Data)
	}
	l.ID, l.Cluster, l.Node = Token(l.from.capture), l.from.cluster, l.from.node
	return l
}

// printed makes sure of what headerValue made: on a shared server somebody else may write
// letters.
func printed(s string) string {
	return clip(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s))
}

// Replay puts the capture back into the queue, as if it had just come, and takes the
// letter away last: whatever fails in between, the letter is still there, and replaying it
// again is a no-op where the capture waits already. ErrWaiting says so; the letter then
// stays, since it may be the only one that the queued capture's next death leaves.
//
// Without its bytes a capture can only be replayed when its report is stored. Otherwise
// ErrBytesLost says that they have aged out of NATS.
func (l *Letter) Replay(ctx context.Context, withBytes bool) error {
	if l.Err != nil {
		return fmt.Errorf("replaying capture %q: %w", clip(l.from.capture), l.Err)
	}
	for _, step := range l.steps(withBytes) {
		if err := step(ctx); err != nil {
			return fmt.Errorf("replaying capture %q: %w", l.Capture.ID, err)
		}
	}
	l.a.log.Info("capture replayed", zap.String("node", l.Node), zap.String("capture", l.Capture.ID), zap.String("reason", string(l.Reason)))
	return nil
}

// steps are the writes of a replay, in their order: between any two of them everything may
// end. The count of starts goes before a worker can see the capture.
func (l *Letter) steps(withBytes bool) []func(context.Context) error {
	steps := []func(context.Context) error{l.forgetStarts, l.requeue, l.remove}
	if withBytes {
		steps = append([]func(context.Context) error{l.renewBytes}, steps...)
	}
	return steps
}

// renewBytes writes the chunks again, so that their age begins anew and they are there
// when a worker asks for them. The stream keeps one message for each subject.
func (l *Letter) renewBytes(ctx context.Context) error {
	n := 0
	for _, p := range l.Capture.Profiles {
		for left := p.SizeBytes; left > 0; n++ {
			chunk, err := l.a.fetchChunk(ctx, l.from, n)
			if err != nil {
				return fmt.Errorf("chunk %d: %w", n, err)
			}
			if left -= int64(len(chunk)); len(chunk) == 0 || left < 0 {
				return fmt.Errorf("chunk %d: %w: %d bytes", n, ErrBytesWrong, len(chunk))
			}
			m := &nats.Msg{Subject: bytesSubject(l.from.cluster, l.from.node, l.from.capture, n), Data: chunk}
			if _, err := l.a.publish(ctx, m); err != nil {
				return fmt.Errorf("chunk %d: %w", n, err)
			}
		}
	}
	return nil
}

func (l *Letter) forgetStarts(ctx context.Context) error {
	return l.a.forgetStarts(ctx, captureSubject(l.from.cluster, l.from.node, l.from.capture))
}

// requeue has no message ID: that of the agent's own publishing may still be known, and a
// repeat of it would be acknowledged without being stored.
func (l *Letter) requeue(ctx context.Context) error {
	m := &nats.Msg{Subject: captureSubject(l.from.cluster, l.from.node, l.from.capture), Data: l.data}
	_, err := l.a.publish(ctx, m, jetstream.WithExpectLastSequencePerSubject(0))
	if wrongLastSequence(err) {
		return ErrWaiting
	}
	return err
}

func (l *Letter) remove(ctx context.Context) error {
	s, err := l.a.stream(ctx, StreamDead)
	if err != nil {
		return err
	}
	ctx, done := l.a.guard(ctx, "", ackWait)
	defer done()
	if err := s.DeleteMsg(ctx, l.sequence); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return classify(ctx, err)
	}
	return nil
}
