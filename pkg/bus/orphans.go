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
	// orphansMost bounds the names of captures, in bytes, that a look lists, those of the oldest
	// chunks: more only come from who means harm, and wait for the next look.
	orphansMost = 16 << 20
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
// else, and the number of the stream's newest chunk.
func (a *Aggregator) orphans(ctx context.Context) (map[string]struct{}, uint64, error) {
	last, err := a.newestChunk(ctx)
	if err != nil {
		return nil, 0, err
	}
	orphans, size := map[string]struct{}{}, 0
	err = a.eachChunk(ctx, func(subject string) bool {
		chunk := strings.TrimPrefix(subject, root+"bytes.")
		of := chunk[:max(0, strings.LastIndexByte(chunk, '.'))]
		if _, known := orphans[of]; !known {
			orphans[of] = struct{}{}
			size += len(of)
		}
		return size < orphansMost
	})
	for of := range orphans {
		if err != nil {
			break
		}
		var has bool
		if has, err = a.hasMessage(ctx, of); has {
			delete(orphans, of)
		}
	}
	return orphans, last, err
}

// hasMessage tells whether a capture is in the queue or among the dead letters. The queue is
// asked before and after: a capture may go from either to the other. It is one question for
// each: the subjects of all would come in one message, and nodes make them as many and as long
// as they like.
func (a *Aggregator) hasMessage(ctx context.Context, of string) (bool, error) {
	for _, from := range []struct{ stream, kind string }{{StreamCaptures, "capture."}, {StreamDead, "dead."}, {StreamCaptures, "capture."}} {
		info, err := a.streamInfo(ctx, from.stream, jetstream.WithSubjectFilter(root+from.kind+of))
		if err != nil || len(info.State.Subjects) > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// newestChunk returns the number of the newest chunk.
func (a *Aggregator) newestChunk(ctx context.Context) (uint64, error) {
	info, err := a.streamInfo(ctx, StreamBytes)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}

func (a *Aggregator) streamInfo(ctx context.Context, stream string, about ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	s, err := a.stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	if !a.nc.IsConnected() {
		return nil, a.Connected()
	}
	ctx, done := a.guard(ctx, "", ackWait)
	defer done()
	info, err := s.Info(ctx, about...)
	if err != nil {
		return nil, fmt.Errorf("stream %q: %w", stream, classify(ctx, err))
	}
	return info, nil
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
