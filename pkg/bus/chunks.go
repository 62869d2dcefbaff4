package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// chunksAtOnce is how many chunks are told of in one go: a few megabytes, however long their
	// subjects are.
	chunksAtOnce = 500
	// chunksWithin is how long a list of chunks is kept that nobody goes on reading.
	chunksWithin = time.Minute
	// chunksTries is how often a list is asked for that is not there, chunksPause apart: of several
	// servers ours may not have heard of it yet.
	chunksTries = 50
	chunksPause = 100 * time.Millisecond
)

// listChunks returns a list of the chunks whose subjects match, the oldest first, without their
// bytes. It must be closed. A node makes as many as there is room for, of subjects as long as it
// likes: what JetStream tells of them in one message may be larger than what a server sends, and
// it closes the connection then, with everything that is on its way.
func (a *Aggregator) listChunks(ctx context.Context, subjects string) (list jetstream.Consumer, end func(), err error) {
	if !a.nc.IsConnected() {
		return nil, nil, a.Connected()
	}
	within, done := a.guard(ctx, "", ackWait)
	defer done()
	list, err = a.js.CreateConsumer(within, StreamBytes, jetstream.ConsumerConfig{
		FilterSubject: subjects, HeadersOnly: true, AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
		InactiveThreshold: chunksWithin, MemoryStorage: true,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("listing chunks: %w", classify(within, err))
	}
	return list, func() {
		within, done := a.guard(context.WithoutCancel(ctx), "", ackWait)
		defer done()
		_ = a.js.DeleteConsumer(within, StreamBytes, list.CachedInfo().Name) // or it goes by itself
	}, nil
}

// eachChunk hands over the subjects of chunks, the oldest first, until each says enough. It may
// miss some when NATS is slow.
func (a *Aggregator) eachChunk(ctx context.Context, each func(subject string) bool) error {
	list, end, err := a.listChunks(ctx, bytesChannel().Wildcard())
	if err != nil {
		return err
	}
	defer end()
	for n, tries := 1, 0; n > 0 && ctx.Err() == nil; {
		some, err := list.FetchNoWait(chunksAtOnce)
		if err != nil {
			return fmt.Errorf("listing chunks: %w", classify(ctx, err))
		}
		n = 0
		for m := range some.Messages() {
			if n++; !each(m.Subject()) {
				return nil
			}
		}
		switch err := some.Error(); {
		case errors.Is(err, nats.ErrNoResponders) && tries < chunksTries:
			n, tries = 1, tries+1
			pause(ctx, chunksPause)
		case err != nil:
			return fmt.Errorf("listing chunks: %w", classify(ctx, err))
		}
	}
	return ctx.Err()
}
