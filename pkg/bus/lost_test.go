package bus_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/bus/embedded/natstest"
	"github.com/gopprof/gopprof/test/poll"
)

func startOutside(t *testing.T) *outside { return &outside{natstest.Start(t), t} }

// outside is a server with both sides of the bus on it.
type outside struct {
	*natstest.Server
	t *testing.T
}

func (o *outside) aggregator() *bus.Aggregator {
	o.t.Helper()
	a, err := bus.ConnectAggregator(o.t.Context(), o.Config, nil, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = a.Close(within(o.t)) })
	a.LookEvery(10*time.Millisecond, 50*time.Millisecond)
	o.ensure(a)
	return a
}

func (o *outside) ensure(a *bus.Aggregator) {
	o.t.Helper()
	if err := a.EnsureStreams(within(o.t), bus.DefaultStreamConfig()); err != nil {
		o.t.Fatal(err)
	}
}

func (o *outside) agent() *bus.Agent {
	o.t.Helper()
	a, err := bus.ConnectAgent(o.t.Context(), o.Config, bustest.Cluster, "a", zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = a.Close(within(o.t)) })
	poll.Until(o.t, "the agent connects", func() bool { return a.Connected() == nil })
	return a
}

// looking returns what Lost returns.
func looking(t *testing.T, a *bus.Aggregator) <-chan error {
	found := make(chan error, 1)
	go func() { found <- a.Lost(t.Context()) }()
	return found
}

// NATS that comes back without its files has none of our streams. What an agent holds is
// refused until they are made anew, which a start does.
func TestNATSThatLostItsFiles(t *testing.T) {
	o := startOutside(t)
	a, agent := o.aggregator(), o.agent()
	found := looking(t, a)
	o.Stop()
	o.Lose()
	o.Start()
	if err := <-found; !errors.Is(err, bus.ErrLost) || !strings.Contains(err.Error(), "is gone") {
		t.Fatalf("found: %v", err)
	}
	c := capture(t, "a", 100)
	poll.Until(t, "the agent is back", func() bool { return agent.Connected() == nil })
	if err := agent.PublishCapture(within(t), c); !errors.Is(err, bus.ErrAway) {
		t.Fatalf("publishing: %v", err)
	}
	r := receive(t, o.aggregator())
	publish(t, agent, c)
	if d := r.next(); d.Capture.ID != c.ID {
		t.Errorf("got %s", d.Capture.ID)
	} else {
		ack(t, d)
	}
}

// What an administrator deletes is missed without any loss of the connection, and what was
// made anew by another replica is not what it was: its revisions begin again.
func TestStreamsThatWereDeleted(t *testing.T) {
	for _, stream := range []string{bus.StreamReports, "KV_" + bus.BucketTold} {
		o := startOutside(t)
		a, other := o.aggregator(), o.aggregator()
		first := looking(t, a)
		if err := other.DeleteStream(within(t), stream); err != nil {
			t.Fatal(err)
		}
		if err := <-first; !errors.Is(err, bus.ErrLost) || !strings.Contains(err.Error(), strings.TrimPrefix(stream, "KV_")) || !strings.Contains(err.Error(), "is gone") {
			t.Errorf("first: %v", err)
		}
		o.ensure(a)
		if err := <-looking(t, other); !errors.Is(err, bus.ErrLost) || !strings.Contains(err.Error(), "made anew") {
			t.Errorf("other: %v", err)
		}
	}
}

// A server that only was away, or is not what it was for a moment, has lost nothing.
func TestNATSThatWasAway(t *testing.T) {
	o := startOutside(t)
	a := o.aggregator()
	found := looking(t, a)
	o.Stop()
	poll.Until(t, "the aggregator sees it", func() bool { return a.Connected() != nil })
	o.Start()
	poll.Until(t, "the aggregator is back", func() bool { return a.Connected() == nil })
	before := a.Looks()
	poll.Until(t, "it looked again", func() bool { return a.Looks() > before+5 })
	select {
	case err := <-found:
		t.Errorf("found: %v", err)
	default:
	}
}
