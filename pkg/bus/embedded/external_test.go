package embedded_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
	"github.com/gopprof/gopprof/test/poll"
)

// external is a server as docs/nats.md describes it, over TLS on loopback, with the keys
// of everybody on it.
type external struct {
	conf                               string
	srv                                *server.Server
	port                               int
	url, ca                            string
	aggregatorKey, agentKey, readerKey string
}

// startExternal runs the configuration that docs/nats.md shows: only names of files and
// keys are put in.
func startExternal(t *testing.T) *external {
	t.Helper()
	ca := newAuthority(t)
	cert, key := ca.issue(t, "127.0.0.1")
	e := &external{ca: ca.file}
	text := confBlock(t)
	put := func(old, new string) {
		if !strings.Contains(text, old) {
			t.Fatalf("the configuration in docs/nats.md has no %q", old)
		}
		text = strings.ReplaceAll(text, old, new)
	}
	put("0.0.0.0:4222", "127.0.0.1:-1")
	put("/etc/nats/tls.crt", cert)
	put("/etc/nats/tls.key", key)
	put("/var/lib/nats", t.TempDir())
	for name, file := range map[string]*string{"AGGREGATOR_NKEY": &e.aggregatorKey, "NODE_1_NKEY": &e.agentKey, "BILLING_NKEY": &e.readerKey} {
		seed, public := bustest.NewKeyFile(t)
		put(name, public)
		*file = seed
	}
	conf := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	e.conf = conf
	e.start(t)
	t.Cleanup(e.stop)
	return e
}

// start runs the server; again at the same address after stop.
func (e *external) start(t *testing.T) {
	t.Helper()
	opts, err := server.ProcessConfigFile(e.conf)
	if err != nil {
		t.Fatal(err)
	}
	opts.NoSigs, opts.NoLog = true, true
	if e.port != 0 {
		opts.Port = e.port
	}
	if e.srv, err = server.NewServer(opts); err != nil {
		t.Fatal(err)
	}
	e.srv.Start()
	if !e.srv.ReadyForConnections(poll.Patience) {
		t.Fatal("external server is not ready")
	}
	e.port = e.srv.Addr().(*net.TCPAddr).Port
	e.url = fmt.Sprintf("tls://127.0.0.1:%d", e.port)
}

func (e *external) stop() {
	e.srv.Shutdown()
	e.srv.WaitForShutdown()
}

func confBlock(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/nats.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(page), "```conf\n")
	block, _, closed := strings.Cut(after, "```")
	if !ok || !closed {
		t.Fatal("docs/nats.md has no configuration block")
	}
	return block
}

func (e *external) config(t *testing.T, key string) bus.Config {
	t.Helper()
	c := bus.DefaultConfig()
	c.URL, c.CAFile, c.NKeyFile, c.ReconnectWait = e.url, e.ca, config.SecretFile(key), 200*time.Millisecond
	c.Check(func(key, problem string) { t.Errorf("%s: %s", key, problem) })
	return c
}

// connect returns both sides, connected; the streams exist.
func (e *external) connect(ctx context.Context, t *testing.T) (*bus.Aggregator, *bus.Agent) {
	t.Helper()
	agg, err := bus.ConnectAggregator(ctx, e.config(t, e.aggregatorKey), nil, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agg.Close(context.Background()) })
	if err := agg.EnsureStreams(ctx, bus.DefaultStreamConfig()); err != nil {
		t.Fatal(err)
	}
	agent, err := bus.ConnectAgent(ctx, e.config(t, e.agentKey), "prod", "node-1", zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close(context.Background()) })
	poll.Until(t, "agent connects", func() bool { return agent.Connected() == nil })
	return agg, agent
}

func TestExternalServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*poll.Patience)
	defer cancel()
	e := startExternal(t)
	agg, agent := e.connect(ctx, t)
	if err := agg.EnsureReaders(ctx, []bus.Reader{{Name: "billing", Namespaces: []string{"shop"}}}); err != nil {
		t.Fatal(err)
	}

	c := oneCapture(t)
	t.Run("capture", func(t *testing.T) { captureArrives(ctx, t, agent, agg, c) })
	t.Run("ask", func(t *testing.T) { askIsAnswered(ctx, t, agent, agg, c) })
	t.Run("request", func(t *testing.T) { requestIsServed(ctx, t, agent, agg, c) })
	t.Run("state", func(t *testing.T) { stateIsHeard(ctx, t, agent, agg) })
	t.Run("report", func(t *testing.T) { reportIsRead(ctx, t, e, agg, c) })
	t.Run("records", func(t *testing.T) { recordsAreKept(ctx, t, agg) })
}

// TestExternalServerComesBack: both sides go on by themselves, and nothing is lost.
func TestExternalServerComesBack(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*poll.Patience)
	defer cancel()
	e := startExternal(t)
	agg, agent := e.connect(ctx, t)
	got := make(chan string, 10)
	run(ctx, t, func(ctx context.Context) error {
		return agg.Captures(ctx, 2, func(ctx context.Context, d *bus.Delivery) {
			if err := errors.Join(d.Fetch(ctx), d.RemoveBytes(ctx), d.Ack(ctx)); err == nil {
				got <- d.Capture.ID
			}
		})
	})
	for range 2 {
		c := oneCapture(t)
		poll.Until(t, "the capture is published", func() bool { return agent.PublishCapture(ctx, c) == nil })
		if id := <-got; id != c.ID {
			t.Errorf("got %s, want %s", id, c.ID)
		}
		e.stop()
		poll.Until(t, "both see it", func() bool {
			return errors.Is(agent.Connected(), bus.ErrAway) && errors.Is(agg.Connected(), bus.ErrAway)
		})
		if err := agent.PublishCapture(ctx, c); !errors.Is(err, bus.ErrAway) {
			t.Errorf("publishing: %v, want %v", err, bus.ErrAway)
		}
		e.start(t)
	}
}

// TestTokenFile: a server with an authentication of its own, and a token that is rotated.
func TestTokenFile(t *testing.T) {
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, Authorization: "second", NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(srv.Shutdown)
	if !srv.ReadyForConnections(poll.Patience) {
		t.Fatal("server is not ready")
	}
	file := filepath.Join(t.TempDir(), "token")
	replace(t, file, "first\n")
	c := bus.DefaultConfig()
	c.URL, c.TokenFile, c.ReconnectWait = srv.ClientURL(), config.SecretFile(file), 200*time.Millisecond
	agent, err := bus.ConnectAgent(t.Context(), c, "prod", "node-1", zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close(context.Background()) })
	poll.Until(t, "the first is refused", func() bool { return errors.Is(agent.Connected(), bus.ErrRefused) })
	replace(t, file, "second\n")
	poll.Until(t, "the second is taken", func() bool { return agent.Connected() == nil })
}

func TestExternalServerOfAnotherAuthority(t *testing.T) {
	e := startExternal(t)
	e.ca = newAuthority(t).file
	agent, err := bus.ConnectAgent(t.Context(), e.config(t, e.agentKey), "prod", "node-1", zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close(t.Context()) //nolint:errcheck // the test is over
	poll.Until(t, "the reason shows", func() bool {
		err := agent.Connected()
		return errors.Is(err, bus.ErrAway) && strings.Contains(err.Error(), "certificate")
	})
}

func TestExternalServerRefusesStrangers(t *testing.T) {
	e := startExternal(t)
	stranger, _ := bustest.NewKeyFile(t)
	agent, err := bus.ConnectAgent(t.Context(), e.config(t, stranger), "prod", "node-1", zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close(t.Context()) //nolint:errcheck // the test is over
	poll.Until(t, "the refusal shows", func() bool { return errors.Is(agent.Connected(), bus.ErrRefused) })
	if err := agent.PublishCapture(t.Context(), oneCapture(t)); !errors.Is(err, bus.ErrRefused) {
		t.Errorf("publishing: %v, want %v", err, bus.ErrRefused)
	}
}

func oneCapture(t *testing.T) gopprof.Capture {
	t.Helper()
	var ids [2]string
	for i := range ids {
		id, err := uuid.NewV7()
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = id.String()
	}
	data := []byte(strings.Repeat("x", 600<<10))
	sum := sha256.Sum256(data)
	return gopprof.Capture{
		ID: ids[0], Incident: ids[1], Target: gopprof.Target{Cluster: "prod", Node: "node-1", Namespace: "shop", Pod: "cart-0"},
		Profiles: []gopprof.Profile{{Kind: gopprof.KindHeap, SizeBytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Bytes: data}},
	}
}

func captureArrives(ctx context.Context, t *testing.T, agent *bus.Agent, agg *bus.Aggregator, c gopprof.Capture) {
	if err := agent.PublishCapture(ctx, c); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	err := agg.Captures(ctx, 1, func(ctx context.Context, d *bus.Delivery) {
		defer stop()
		if err := errors.Join(d.Fetch(ctx), d.RemoveBytes(ctx), d.Ack(ctx)); err != nil || d.Capture.ID != c.ID {
			t.Errorf("capture %s: %v", d.Capture.ID, err)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func askIsAnswered(ctx context.Context, t *testing.T, agent *bus.Agent, agg *bus.Aggregator, c gopprof.Capture) {
	want := gopprof.Decision{Go: true, Incident: c.Incident}
	run(ctx, t, func(ctx context.Context) error {
		return agg.Answer(ctx, func(context.Context, gopprof.Firing) gopprof.Decision { return want })
	})
	poll.Until(t, "an answer", func() bool {
		got, err := agent.Ask(ctx, gopprof.Firing{Capture: c.ID, Target: c.Target})
		return err == nil && got == want
	})
}

// accepts accepts everything.
type accepts struct{}

func (accepts) Capture(context.Context, gopprof.CaptureRequest) gopprof.CaptureReply {
	return gopprof.CaptureReply{Accepted: true}
}

func (accepts) Cancel(context.Context, gopprof.CancelRequest) gopprof.CaptureReply {
	return gopprof.CaptureReply{Accepted: true}
}

func (accepts) Status(context.Context, gopprof.StatusRequest) gopprof.CaptureReply {
	return gopprof.CaptureReply{Accepted: true}
}

func (accepts) Pause(context.Context, gopprof.PauseRequest) gopprof.CaptureReply {
	return gopprof.CaptureReply{Accepted: true}
}

func requestIsServed(ctx context.Context, t *testing.T, agent *bus.Agent, agg *bus.Aggregator, c gopprof.Capture) {
	run(ctx, t, func(ctx context.Context) error { return agent.Serve(ctx, accepts{}) })
	poll.Until(t, "the agent serves", func() bool {
		r, err := agg.RequestCancel(ctx, "prod", "node-1", gopprof.CancelRequest{Capture: c.ID})
		return err == nil && r.Accepted
	})
	if _, err := agg.RequestCancel(ctx, "prod", "node-2", gopprof.CancelRequest{Capture: c.ID}); !errors.Is(err, bus.ErrNoAgent) {
		t.Errorf("%v, want %v", err, bus.ErrNoAgent)
	}
}

func stateIsHeard(ctx context.Context, t *testing.T, agent *bus.Agent, agg *bus.Aggregator) {
	heard := make(chan gopprof.NodeState, 1000)
	run(ctx, t, func(ctx context.Context) error {
		return agg.States(ctx, func(s gopprof.NodeState) { heard <- s })
	})
	poll.Until(t, "the state", func() bool {
		if err := agent.PublishState(ctx, gopprof.NodeState{Cluster: "prod", Node: "node-1", At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		return len(heard) > 0
	})
}

func reportIsRead(ctx context.Context, t *testing.T, e *external, agg *bus.Aggregator, c gopprof.Capture) {
	for _, ns := range []string{"bank", "shop"} {
		c.Target.Namespace = ns
		id, err := uuid.NewV7()
		if err != nil {
			t.Fatal(err)
		}
		c.ID = id.String()
		if err := agg.PublishReport(ctx, gopprof.Report{Version: gopprof.ReportVersion, ID: c.ID, Capture: c}); err != nil {
			t.Fatal(err)
		}
	}
	key, err := nats.NkeyOptionFromSeed(e.readerKey)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(e.url, key, nats.RootCAs(e.ca), nats.CustomInboxPrefix("_INBOX.consumer.billing"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.NewWithAPIPrefix(nc, bus.ReaderAPI)
	if err != nil {
		t.Fatal(err)
	}
	reports, err := js.Consumer(ctx, "GOPPROF_REPORTS", "reader-billing")
	if err != nil {
		t.Fatal(err)
	}
	msg, err := reports.Next()
	if err != nil {
		t.Fatal(err)
	}
	if r, err := wire.DecodeReport(msg.Data()); err != nil || r.ID != c.ID {
		t.Errorf("report %q, %v; want the one of its namespace", r.ID, err)
	}
	if err := msg.DoubleAck(ctx); err != nil {
		t.Error(err)
	}
}

func recordsAreKept(ctx context.Context, t *testing.T, agg *bus.Aggregator) {
	for _, name := range []string{bus.BucketOperations, bus.BucketKeys, bus.BucketBudget, bus.BucketIncidents, bus.BucketTold} {
		b, err := agg.Bucket(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Create(ctx, "k", []byte("v")); err != nil {
			t.Error(err)
		}
		if keys, err := b.Keys(ctx, ""); err != nil || len(keys) != 1 {
			t.Errorf("%s: keys %q, %v", name, keys, err)
		}
	}
}

// run runs f until the test ends, and fails the test if it fails.
func run(ctx context.Context, t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
