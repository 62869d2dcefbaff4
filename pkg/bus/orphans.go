package bus

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	// attemptMost is how long after its first chunk the message of a capture may still follow.
	attemptMost = 15 * time.Minute
	// orphansEvery is the time between two looks for chunks without a message, well above
	// attemptMost.
	orphansEvery = 2 * attemptMost
	// orphansMost bounds the chunks that a look lists: more only come from who means harm, and
	// stay for their age.
	orphansMost = 1 << 20
)

// Orphans removes, until ctx ends, the chunks of captures whose message never came: of a node
// that is gone, or dropped at the bound of an agent's spool. They would hold room for
// StreamConfig.WaitingMaxAge. It returns nil.
//
// Removed is what at two looks, half an hour from one another, had no message in the queue and
// none among the dead letters, and only what was there at the first: a capture that is sent
// again comes with all of its chunks.
func (a *Aggregator) Orphans(ctx context.Context) error {
	seen := map[string]uint64{}
	for ctx.Err() == nil {
		pause(ctx, a.orphansEvery)
		again, err := a.removeOrphans(ctx, seen)
		if err != nil {
			if ctx.Err() == nil {
				a.log.Warn("looking for chunks whose capture never came failed, trying again later", zap.Error(err))
			}
			continue // what was seen holds: later chunks have later numbers
		}
		seen = again
	}
	return nil
}

// removeOrphans removes what was seen before, up to the number that the stream had come to
// then, and returns what is to be removed next time.
func (a *Aggregator) removeOrphans(ctx context.Context, seen map[string]uint64) (map[string]uint64, error) {
	orphans, last, err := a.orphans(ctx)
	if err != nil {
		return nil, err
	}
	next := map[string]uint64{}
	for of := range orphans {
		next[of] = last
		upTo, again := seen[of]
		if !again {
			continue
		}
		if err := a.removeUpTo(ctx, root+"bytes."+of+".*", upTo); err != nil {
			return nil, fmt.Errorf("removing: %w", err)
		}
		a.orphansRemoved.Inc()
		a.log.Warn("removed the bytes of a capture that never came whole", zap.String("subject", clip(of)))
	}
	return next, nil
}

// orphans returns the captures, as the tokens of their subjects, that have chunks and nothing
// else, and the number of the stream's newest chunk. The queue is read before and after the
// dead letters: a capture may go from either to the other.
func (a *Aggregator) orphans(ctx context.Context) (map[string]struct{}, uint64, error) {
	chunks, last, err := a.subjects(ctx, StreamBytes, "bytes")
	if err != nil || len(chunks) == 0 {
		return nil, last, err
	}
	orphans := make(map[string]struct{}, len(chunks))
	for chunk := range chunks {
		if dot := strings.LastIndexByte(chunk, '.'); dot >= 0 {
			orphans[chunk[:dot]] = struct{}{}
		}
	}
	for _, from := range []struct{ stream, kind string }{{StreamCaptures, "capture"}, {StreamDead, "dead"}, {StreamCaptures, "capture"}} {
		messages, _, err := a.subjects(ctx, from.stream, from.kind)
		if err != nil {
			return nil, 0, err
		}
		for m := range messages {
			delete(orphans, m)
		}
	}
	return orphans, last, nil
}

// subjects returns what follows the kind in the subjects of a stream, and the number of its
// newest message.
func (a *Aggregator) subjects(ctx context.Context, stream, kind string) (map[string]struct{}, uint64, error) {
	s, err := a.stream(ctx, stream)
	if err != nil {
		return nil, 0, err
	}
	if !a.nc.IsConnected() {
		return nil, 0, a.Connected()
	}
	ctx, done := a.guard(ctx, "", ackWait)
	defer done()
	info, err := s.Info(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("stream %q: %w", stream, classify(ctx, err))
	}
	if info.State.NumSubjects > orphansMost {
		return nil, 0, fmt.Errorf("stream %q: %w: %d subjects", stream, ErrTooLarge, info.State.NumSubjects)
	}
	if info.State.Msgs == 0 {
		return nil, info.State.LastSeq, nil
	}
	last := info.State.LastSeq
	if info, err = s.Info(ctx, jetstream.WithSubjectFilter(root+kind+".>")); err != nil {
		return nil, 0, fmt.Errorf("stream %q: %w", stream, classify(ctx, err))
	}
	found := make(map[string]struct{}, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		found[strings.TrimPrefix(subject, root+kind+".")] = struct{}{}
	}
	return found, last, nil
}

// removeUpTo removes the chunks of a subject that have a number up to this one.
func (a *Aggregator) removeUpTo(ctx context.Context, subject string, number uint64) error {
	s, err := a.stream(ctx, StreamBytes)
	if err != nil {
		return err
	}
	ctx, done := a.guard(ctx, "", ackWait)
	defer done()
	if err := s.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(number+1)); err != nil {
		return classify(ctx, err)
	}
	return nil
}
