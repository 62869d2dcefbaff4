package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

const (
	// pullWait is how long one question for the next message stays open.
	pullWait = 20 * time.Second
	// pullPause is the pause after a question that failed.
	pullPause = time.Second
	// pending bounds the messages of one consumer that are being worked on, over all
	// aggregators.
	pending = 512
)

// Captures hands over captures until ctx ends, to so many workers at once, sharing them
// with the other aggregators. Each is given again until it is acknowledged or dead. When
// ctx ends, running handlers are waited for: their context lives until Close.
func (a *Aggregator) Captures(ctx context.Context, workers int, handle func(context.Context, *Delivery)) error {
	source := consumer{a, StreamCaptures, jetstream.ConsumerConfig{
		Durable:   captureConsumer,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: a.streamConfig().AckWait,
		MaxDeliver: -1, MaxAckPending: pending,
		DeliverPolicy: jetstream.DeliverAllPolicy,
	}, a.turned, new(sync.Mutex)}
	return source.run(ctx, workers, func(m jetstream.Msg) { handle(a.life, a.delivery(m)) })
}

// Watch has turned called whenever a worker of Captures goes round its loop: after each
// capture, and every 20 seconds while nothing comes or NATS is away. It must be called
// before Captures.
func (a *Aggregator) Watch(turned func()) { a.turned = turned }

// consumer is a durable pull consumer: the same for every aggregator, made when it is
// missing.
type consumer struct {
	a      *Aggregator
	stream string
	cfg    jetstream.ConsumerConfig
	turned func() // called at each turn of a worker's loop; may be nil

	// making is held by the worker who makes it. One that finds it half made is told that it is
	// there, and by its first question that nobody answers.
	making *sync.Mutex
}

// run pulls one message at a time for each worker, so that no message ages in a buffer.
func (c consumer) run(ctx context.Context, workers int, handle func(jetstream.Msg)) error {
	if err := c.a.await(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("consuming %q: %w", c.stream, err)
	}
	var g errgroup.Group
	for range max(workers, 1) {
		g.Go(func() error {
			c.work(ctx, handle)
			return nil
		})
	}
	return g.Wait()
}

// work is one worker's loop. Failures are logged when they begin and when they end.
func (c consumer) work(ctx context.Context, handle func(jetstream.Msg)) {
	var from jetstream.Consumer
	failing := false
	for ctx.Err() == nil {
		if c.turned != nil {
			c.turned()
		}
		m, err := c.next(ctx, &from)
		switch {
		case err == nil:
			if failing {
				c.a.log.Info("consuming again", zap.String("stream", c.stream))
			}
			failing = false
			handle(m)
		case idle(err):
		default:
			if !failing && ctx.Err() == nil {
				c.a.log.Warn("consuming failed, trying again", zap.String("stream", c.stream), zap.Error(err))
			}
			failing, from = true, nil
			pause(ctx, pullPause)
		}
	}
}

// next waits for a message; it makes the consumer first where there is none yet.
func (c consumer) next(ctx context.Context, from *jetstream.Consumer) (jetstream.Msg, error) {
	if !c.a.nc.IsConnected() {
		return nil, c.a.Connected()
	}
	ctx, done := c.a.guard(ctx, "", c.a.pull)
	defer done()
	if *from == nil {
		c.making.Lock()
		made, err := c.a.js.CreateOrUpdateConsumer(ctx, c.stream, c.cfg)
		c.making.Unlock()
		if err != nil {
			return nil, err
		}
		*from = made
	}
	m, err := (*from).Next(jetstream.FetchContext(ctx))
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, ctx.Err() // whatever nats.go calls a question whose time is over
	}
	return m, err
}

// idle tells whether a question ended because there was nothing to hand over.
func idle(err error) bool {
	return errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, jetstream.ErrNoMessages)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
