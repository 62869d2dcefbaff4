package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/embedded/natstest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// configOn is of an aggregator whose NATS is somebody else's.
func configOn(o *natstest.Server) Config {
	c := DefaultConfig()
	c.NATS, c.Store.URL, c.Views.MaxOpen = o.Config, "mem://", 0
	c.Serve.Listen, c.Status.Listen = "127.0.0.1:0", "127.0.0.1:0"
	return c
}

// running runs an aggregator; what is returned tells how it ended.
func running(ctx context.Context, a *App) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	return ended
}

func endOf(t *testing.T, ended <-chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(poll.Patience):
		t.Fatal("it goes on")
		return nil
	}
}

// An aggregator whose NATS has lost its files ends, with the reason; the next one makes what
// is missing, and works.
func TestNATSThatLostItsFiles(t *testing.T) {
	o := natstest.Start(t)
	run := func(ctx context.Context) <-chan error {
		a, err := New(ctx, configOn(o), Workers{Draw: []string{"false"}}, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		return running(ctx, a)
	}
	first := run(t.Context())
	o.Stop()
	o.Lose()
	o.Start()
	if err := endOf(t, first); !errors.Is(err, bus.ErrLost) {
		t.Fatalf("the first ended with: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	next := run(ctx)
	agent, err := bus.ConnectAgent(ctx, o.Config, "c", "n", zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "the next answers", func() bool {
		_, err := agent.Ask(ctx, gopprof.Firing{Capture: "019aabba-5a00-7b3c-8d4e-0123456789ab", Target: gopprof.Target{Cluster: "c", Node: "n"}})
		return err == nil
	})
	stop()
	if err := errors.Join(agent.Close(t.Context()), endOf(t, next)); err != nil {
		t.Errorf("the next ended with: %v", err)
	}
}
