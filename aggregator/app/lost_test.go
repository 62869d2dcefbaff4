package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/embedded/natstest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// An aggregator whose NATS has lost its files ends, with the reason; the next one makes what
// is missing, and works.
func TestNATSThatLostItsFiles(t *testing.T) {
	o := natstest.Start(t)
	c := DefaultConfig()
	c.NATS, c.Store.URL, c.Views.MaxOpen = o.Config, "mem://", 0
	c.Serve.Listen, c.Status.Listen = "127.0.0.1:0", "127.0.0.1:0"
	run := func(ctx context.Context) <-chan error {
		a, err := New(ctx, c, Workers{Draw: []string{"false"}}, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		return ended
	}
	end := func(ended <-chan error) error {
		select {
		case err := <-ended:
			return err
		case <-time.After(poll.Patience):
			t.Fatal("it goes on")
			return nil
		}
	}
	first := run(t.Context())
	o.Stop()
	o.Lose()
	o.Start()
	if err := end(first); !errors.Is(err, bus.ErrLost) {
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
	if err := errors.Join(agent.Close(t.Context()), end(next)); err != nil {
		t.Errorf("the next ended with: %v", err)
	}
}
