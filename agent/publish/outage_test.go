package publish

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/pkg/bus/embedded/natstest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// These tests are the spool over a real NATS server that fails in every way it has.

const node = "a"

// nodeCapture is a capture that the node's user may send.
func nodeCapture(size int) gopprof.Capture {
	c := capture(newID(), size)
	c.Target.Cluster, c.Target.Node = bustest.Cluster, node
	return c
}

func nodeCaptures(n, size int) (all []gopprof.Capture) {
	for range n {
		all = append(all, nodeCapture(size))
	}
	return all
}

// arrivals are the captures that the aggregator was handed, by ID.
type arrivals struct {
	mu  sync.Mutex
	got map[string][]gopprof.Capture
}

// arrive collects what an aggregator is handed until the returned function is called; each
// capture is acknowledged when its bytes were whole.
func (a *arrivals) arrive(t *testing.T, from *bus.Aggregator) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = from.Captures(ctx, 2, a.take) }) // its server may be gone
	stop = sync.OnceFunc(func() { cancel(); done.Wait() })
	t.Cleanup(stop)
	return stop
}

func (a *arrivals) take(ctx context.Context, d *bus.Delivery) {
	if d.Fetch(ctx) != nil || d.RemoveBytes(ctx) != nil || d.Ack(ctx) != nil {
		return // delivered again
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.got == nil {
		a.got = map[string][]gopprof.Capture{}
	}
	a.got[d.Capture.ID] = append(a.got[d.Capture.ID], d.Capture)
}

// has tells whether exactly these captures arrived, each of them once and whole.
func (a *arrivals) has(want []gopprof.Capture) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range want {
		if got := a.got[c.ID]; len(got) != 1 || !reflect.DeepEqual(got[0].Profiles, c.Profiles) {
			return false
		}
	}
	return len(a.got) == len(want)
}

func connect(t *testing.T, cfg bus.Config) *bus.Agent {
	t.Helper()
	agent, err := bus.ConnectAgent(t.Context(), cfg, bustest.Cluster, node, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = agent.Close(ctx) // its server may be gone
	})
	return agent
}

// NATS is away when the agent starts, and again later: what was captured meanwhile arrives
// once, by itself.
func TestNATSAwayAtTheStartAndInTheMiddle(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{node}})
	cfg := b.Config(node)
	b.Stop()
	p := open(t, testConfig(t.TempDir()), connect(t, cfg))
	run(t, p)
	var came arrivals
	var sent []gopprof.Capture
	for range 2 {
		away := nodeCaptures(3, 20_000)
		mustPublish(t, p, away...)
		if n, _ := p.Pending(); n != len(away) {
			t.Errorf("%d captures wait while NATS is away, want %d", n, len(away))
		}
		stop := came.arrive(t, b.Restart())
		sent = append(sent, away...)
		poll(t, "everything arrived", func() bool { return came.has(sent) && empty(p)() })
		stop()
		b.Stop()
	}
	for _, reason := range []gopprof.Reason{gopprof.ReasonSpoolFull, gopprof.ReasonSpoolTorn} {
		wantDropped(t, p, reason, 0)
	}
}

// NATS is away for longer than the spool holds: the oldest are dropped, each one counted
// and named, and the newest arrive.
func TestNATSAwayForLongerThanTheSpoolHolds(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{node}})
	connection := b.Config(node)
	b.Stop()
	core, logs := observer.New(zap.WarnLevel)
	cfg := testConfig(t.TempDir())
	cfg.MaxBytes = 1 << 20
	p := openLogged(t, cfg, connect(t, connection), zap.New(core))
	run(t, p)
	all := nodeCaptures(25, 100_000)
	for _, c := range all {
		mustPublish(t, p, c)
		if _, bytes := p.Pending(); bytes > cfg.MaxBytes+110_000 {
			t.Fatalf("%d bytes in a spool of %d", bytes, cfg.MaxBytes)
		}
	}
	poll(t, "the spool is within its bound", func() bool { _, bytes := p.Pending(); return bytes <= cfg.MaxBytes })
	kept, _ := p.Pending()
	var came arrivals
	came.arrive(t, b.Restart())
	poll(t, "what was kept is sent", empty(p))
	wantDropped(t, p, gopprof.ReasonSpoolFull, float64(len(all)-kept))
	named := logs.FilterMessage("spooled capture dropped").All()
	dropped := func(c gopprof.Capture) bool {
		return slices.ContainsFunc(named, func(e observer.LoggedEntry) bool { return e.ContextMap()["capture"] == c.ID })
	}
	rest := slices.DeleteFunc(slices.Clone(all), dropped)
	if len(rest) != kept {
		t.Errorf("%d captures are named as dropped, %d were", len(all)-len(rest), len(all)-kept)
	}
	poll(t, "what was not dropped arrived", func() bool { return came.has(rest) })
	// Only what was just being tried may be older than what was dropped.
	newest := slices.IndexFunc(all, func(c gopprof.Capture) bool { return c.ID == rest[min(cfg.Senders, len(rest)-1)].ID })
	if slices.ContainsFunc(all[newest:], dropped) {
		t.Error("newer captures were dropped before older ones")
	}
	if kept < 8 {
		t.Errorf("only %d captures of 100 KB kept in 1 MiB", kept)
	}
}

// The node's user is taken away and given back: the agent waits and goes on by itself.
func TestAuthenticationRevokedAndRestored(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{node, "other"}})
	aggregator := b.Aggregator()
	agent := b.Agent(node)
	p := open(t, testConfig(t.TempDir()), agent)
	run(t, p)
	var came arrivals
	came.arrive(t, aggregator)
	first := nodeCaptures(1, 5000)
	mustPublish(t, p, first...)
	poll(t, "the first arrived", func() bool { return came.has(first) })
	if err := b.Server.Reload(embedded.Users{Agents: []embedded.AgentUser{b.User("other")}}); err != nil {
		t.Fatal(err)
	}
	poll(t, "the agent is refused", func() bool { return errors.Is(agent.Connected(), bus.ErrRefused) })
	meanwhile := nodeCaptures(3, 5000)
	mustPublish(t, p, meanwhile...)
	poll(t, "sending was tried", func() bool { return testutil.ToFloat64(p.metrics.attempts) >= 3 })
	if n, _ := p.Pending(); n != 3 {
		t.Errorf("%d captures wait, want 3", n)
	}
	if err := b.Server.Reload(embedded.Users{Agents: []embedded.AgentUser{b.User("other"), b.User(node)}}); err != nil {
		t.Fatal(err)
	}
	poll(t, "everything arrived", func() bool { return came.has(append(first, meanwhile...)) && empty(p)() })
}

// A full stream takes no more: what waits stays in the spool and goes out when there is
// room.
func TestFullStream(t *testing.T) {
	streams := bus.DefaultStreamConfig()
	streams.CapturesMax = 2
	b := bustest.Start(t, bustest.Options{Nodes: []string{node}, Streams: &streams})
	aggregator := b.Aggregator()
	p := open(t, testConfig(t.TempDir()), b.Agent(node))
	run(t, p)
	all := nodeCaptures(5, 5000)
	mustPublish(t, p, all...)
	poll(t, "the stream is full", func() bool { n, _ := p.Pending(); return n == 3 && testutil.ToFloat64(p.metrics.attempts) > 5 })
	var came arrivals
	came.arrive(t, aggregator)
	poll(t, "everything arrived", func() bool { return came.has(all) && empty(p)() })
}

// NATS is so slow that nothing comes back for a while: the attempts end, the captures stay,
// and what was acknowledged unheard is not delivered twice.
func TestSlowNATS(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{node}})
	aggregator := b.Aggregator()
	connection := b.Config(node)
	slow := natstest.StartWay(t, connection.URL)
	connection.URL = slow.URL
	agent := connect(t, connection)
	poll(t, "the agent is connected", func() bool { return agent.Connected() == nil })
	cfg := testConfig(t.TempDir())
	cfg.SendTimeout = 200 * time.Millisecond
	p := open(t, cfg, agent)
	run(t, p)
	for _, way := range []*sync.RWMutex{&slow.Answers, &slow.Questions} {
		way.Lock()
		before := testutil.ToFloat64(p.metrics.attempts)
		mustPublish(t, p, nodeCapture(5000), nodeCapture(5000))
		poll(t, "attempts failed", func() bool { return testutil.ToFloat64(p.metrics.attempts) >= before+4 })
		if n, _ := p.Pending(); n != 2 {
			t.Errorf("%d captures wait, want 2", n)
		}
		way.Unlock()
		poll(t, "the spool is empty", empty(p))
	}
	var came arrivals
	came.arrive(t, aggregator)
	poll(t, "four captures arrived", func() bool { came.mu.Lock(); defer came.mu.Unlock(); return len(came.got) == 4 })
	for id, times := range came.got {
		if len(times) != 1 {
			t.Errorf("capture %s arrived %d times", id, len(times))
		}
	}
}
