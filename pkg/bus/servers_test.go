package bus_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/bus/embedded/natstest"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/poll"
)

// ends are both sides of the bus on somebody else's NATS.
type ends struct {
	agg        *bus.Aggregator
	agent      *bus.Agent
	replicated bool
}

func connect(t *testing.T, c bus.Config, s bus.StreamConfig) ends {
	t.Helper()
	agg, err := bus.ConnectAggregator(t.Context(), c, nil, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agg.Close(within(t)) })
	agg.PullEvery(100 * time.Millisecond)
	agent, err := bus.ConnectAgent(t.Context(), c, bustest.Cluster, "a", zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close(within(t)) })
	poll.Until(t, "the streams are there", func() bool { return agg.EnsureStreams(within(t), s) == nil }) // as a program that is started again
	poll.Until(t, "the agent connects", func() bool { return agent.Connected() == nil })
	return ends{agg, agent, s.Replicas > 1}
}

// exercise takes captures through all that may become of them: stored, without room and taken
// back, dead and replayed, never whole; and a report to its consumers, once.
func (e ends) exercise(t *testing.T, r *receiver) {
	t.Helper()
	c := capture(t, "a", 10, bus.ChunkBytes+1)
	for range 2 { // the second is a repeat after the first was handled
		publish(t, e.agent, c)
		e.settle(t, r, c)
		if n := messages(t, e.agg, bus.StreamBytes); n != 0 {
			t.Errorf("%d chunks left", n)
		}
	}
	e.full(t, r)
	e.dead(t, r)
	e.never(t)
	e.report(t)
}

// settle takes the next deliveries, which are to be of the captures, through their life. What
// came before may come again where its acknowledgement is lost with a server.
func (e ends) settle(t *testing.T, r *receiver, captures ...gopprof.Capture) {
	t.Helper()
	left := map[string]gopprof.Capture{}
	for _, c := range captures {
		left[c.ID] = c
	}
	for len(left) > 0 {
		d := r.next()
		if c, ok := left[d.Capture.ID]; ok {
			whole(t, d, c)
		} else if !e.replicated {
			t.Fatalf("delivered %s", d.Capture.ID)
		}
		poll.Until(t, "its end is noted", func() bool { return errors.Join(d.RemoveBytes(within(t)), d.Ack(within(t))) == nil })
		delete(left, d.Capture.ID)
	}
}

// full needs a stream of 2 MiB.
func (e ends) full(t *testing.T, r *receiver) {
	t.Helper()
	half := capture(t, "a", bus.ChunkBytes, bus.ChunkBytes)
	publish(t, e.agent, half)
	large := capture(t, "a", 10, 3*bus.ChunkBytes)
	findsNoRoom(t, e.agent, large)
	one := capture(t, "a", bus.ChunkBytes) // in its place
	publish(t, e.agent, one)
	e.settle(t, r, half, one)
	publish(t, e.agent, large)
	e.settle(t, r, large)
}

func (e ends) dead(t *testing.T, r *receiver) {
	t.Helper()
	c := capture(t, "a", 10, 20)
	publish(t, e.agent, c)
	die(t, r.next())
	found := letters(t, e.agg, c.ID)
	if len(found) != 1 {
		t.Fatalf("%d letters, want 1", len(found))
	}
	if err := found[0].Replay(within(t), true); err != nil {
		t.Fatal(err)
	}
	e.settle(t, r, c)
	if n := len(letters(t, e.agg, c.ID)); n != 0 {
		t.Errorf("%d letters after the replay", n)
	}
}

func (e ends) never(t *testing.T) {
	t.Helper()
	c := capture(t, "a", 10, 20)
	half(t, e.agent, c, 0, 1)
	look(t, e.agg, look(t, e.agg, nil, c), c)
	if n := messages(t, e.agg, bus.StreamBytes); n != 0 {
		t.Errorf("%d chunks left of a capture that never came", n)
	}
}

func (e ends) report(t *testing.T) {
	t.Helper()
	want := report(capture(t, "a", 5))
	for range 2 {
		if err := e.agg.PublishReport(within(t), want); err != nil {
			t.Fatal(err)
		}
	}
	if n := messages(t, e.agg, bus.StreamReports); n != 1 {
		t.Errorf("%d reports in the stream, want 1", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan gopprof.Report, 1)
	done := make(chan error, 1)
	go func() {
		done <- e.agg.Reports(ctx, "notify", func(_ context.Context, r gopprof.Report) error { got <- r; return nil })
	}()
	select {
	case r := <-got:
		if r.ID != want.ID {
			t.Errorf("report %s, want %s", r.ID, want.ID)
		}
	case <-time.After(poll.Patience):
		t.Error("no report came")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The oldest NATS that we say we work with: it knows no age of a single message.
func TestOldestServer(t *testing.T) {
	parts.Need(t, "nats-server-2.10")
	dir := t.TempDir()
	const token = "token-of-the-tests"
	c := bus.DefaultConfig()
	c.TokenFile = config.SecretFile(filepath.Join(dir, "token"))
	if err := os.WriteFile(string(c.TokenFile), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	url, ended, err := parts.StartNATS(ctx, dir, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); <-ended })
	c.URL = url
	e := connect(t, c, *streams(func(c *bus.StreamConfig) { c.WaitingBytes = 2 << 20 }))
	e.exercise(t, receive(t, e.agg))
}

// Streams of three copies, of which the leaders go away one after the other, lose nothing.
func TestReplicatedServers(t *testing.T) {
	cluster := natstest.StartCluster(t)
	e := connect(t, cluster.Config, *streams(func(c *bus.StreamConfig) { c.WaitingBytes, c.Replicas, c.AckWait = 2<<20, 3, 5*time.Second }))
	r := receive(t, e.agg)
	e.exercise(t, r)
	for _, stream := range []string{bus.StreamBytes, bus.StreamCaptures} {
		before, after := capture(t, "a", 10, bus.ChunkBytes+1), capture(t, "a", 10, bus.ChunkBytes+1)
		publish(t, e.agent, before)
		var leader int
		poll.Until(t, "there is a leader", func() bool { leader = cluster.LeaderOf(stream); return leader >= 0 })
		cluster.Stop(leader)
		poll.Until(t, "captures are taken again", func() bool { return e.agent.PublishCapture(within(t), after) == nil })
		e.settle(t, r, before, after)
		cluster.Start(leader)
		poll.Until(t, "there is a leader again", func() bool { return cluster.Leader() >= 0 && cluster.LeaderOf(stream) >= 0 })
	}
}

// An aggregator that starts while its servers have no leader waits for one.
func TestStartWithoutLeader(t *testing.T) {
	cluster := natstest.StartMinority(t)
	agg, err := bus.ConnectAggregator(t.Context(), cluster.Config, nil, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agg.Close(within(t)) })
	made := make(chan error, 1)
	go func() { made <- agg.EnsureStreams(within(t), *streams(func(c *bus.StreamConfig) { c.Replicas = 3 })) }()
	poll.Until(t, "it is connected", func() bool { return agg.Connected() == nil })
	if leader := cluster.Leader(); leader >= 0 {
		t.Fatalf("server %d leads without the others", leader)
	}
	for i := 1; i < 3; i++ {
		cluster.Start(i)
	}
	if err := <-made; err != nil {
		t.Error(err)
	}
}
