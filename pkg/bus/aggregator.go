package bus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Aggregator is the aggregator's end of the bus.
type Aggregator struct {
	*link
	// life ends when the bus is closed, not when a consumer is told to stop: what was
	// begun may be finished and acknowledged.
	life context.Context
	stop context.CancelFunc
	pull time.Duration // how long one question for the next message stays open
	// turned is called whenever a worker of Captures goes round its loop; nil is nobody.
	turned func()
	look   look

	orphansEvery   time.Duration
	orphansRemoved prometheus.Counter

	mu      sync.Mutex
	cfg     StreamConfig // as EnsureStreams was told
	streams map[string]jetstream.Stream
	buckets map[string]*Bucket
	made    map[string]streamID // by EnsureStreams
}

// ConnectAggregator returns the aggregator's end of the bus: on the server of this
// process, or, where that is nil, on the one that the configuration names. Like an
// agent's it connects when it can and again whenever it was lost.
func ConnectAggregator(ctx context.Context, c Config, server InProcess, log *zap.Logger, reg prometheus.Registerer) (*Aggregator, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connecting to nats: %w", err)
	}
	opts, err := aggregatorOptions(c, server)
	if err != nil {
		return nil, fmt.Errorf("connecting to nats: %w", err)
	}
	l, err := dial(opts, c.URL, log, newMetrics(reg, sideAggregator))
	if err != nil {
		return nil, err
	}
	orphans := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "gopprof_aggregator_bus_orphans_total",
		Help: "Captures of which bytes came and never the message: what came was removed.",
	})
	reg.MustRegister(orphans)
	if server != nil {
		l.ready = server.Ready
	}
	a := &Aggregator{link: l, cfg: DefaultStreamConfig(), streams: map[string]jetstream.Stream{}, buckets: map[string]*Bucket{}, pull: pullWait}
	a.made, a.look.every, a.look.again = map[string]streamID{}, lookEvery, lookAgain
	a.orphansEvery, a.orphansRemoved = orphansEvery, orphans
	a.life, a.stop = context.WithCancel(context.WithoutCancel(ctx))
	return a, nil
}

func aggregatorOptions(c Config, server InProcess) ([]nats.Option, error) {
	if server != nil {
		return inProcessOptions(server, aggregatorInbox), nil
	}
	if c.URL == "" {
		return nil, fmt.Errorf("no url, and no server in this process")
	}
	return c.options("gopprof-aggregator", aggregatorInbox)
}

// Close ends what still runs, as long as ctx allows.
func (a *Aggregator) Close(ctx context.Context) error {
	defer a.stop()
	return a.link.Close(ctx)
}

// stream returns a stream by its name.
func (a *Aggregator) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	a.mu.Lock()
	s := a.streams[name]
	a.mu.Unlock()
	if s != nil {
		return s, nil
	}
	if !a.nc.IsConnected() {
		return nil, a.Connected()
	}
	ctx, done := a.guard(ctx, "", ackWait)
	defer done()
	s, err := a.js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("stream %q: %w", name, classify(ctx, err))
	}
	a.mu.Lock()
	a.streams[name] = s
	a.mu.Unlock()
	return s, nil
}

func (a *Aggregator) streamConfig() StreamConfig {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cfg
}
