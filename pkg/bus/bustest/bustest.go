// Package bustest runs the bus over a real embedded NATS server, for the tests of
// everybody who meets it.
//
// Nodes go in; connected agents and an aggregator come out. Everything lies in the test's
// own directory, listens on a loopback port that the kernel gave, and ends with the test.
package bustest

import (
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/test/poll"
)

// Cluster is the cluster of every node here.
const Cluster = "test"

// Options says what to start. The zero value starts a server with default streams and no
// agent.
type Options struct {
	Nodes     []string                // one agent user for each
	Consumers []embedded.ConsumerUser // readers of reports
	Streams   *bus.StreamConfig       // nil is the default
	// Dir is the directory of a server that was stopped, to be looked at; empty is one of
	// the test's own.
	Dir string
}

// Bus is a running server with everybody's keys.
type Bus struct {
	Server *embedded.Server

	t       testing.TB
	log     *zap.Logger
	cfg     embedded.Config
	streams bus.StreamConfig
	keys    map[string]string // node → file of the seed
}

// Start starts a server and makes the streams.
func Start(t testing.TB, o Options) *Bus {
	t.Helper()
	b := &Bus{t: t, log: logger(), keys: map[string]string{}, streams: bus.DefaultStreamConfig()}
	if o.Streams != nil {
		b.streams = *o.Streams
	}
	b.cfg = embedded.DefaultConfig()
	b.cfg.Listen, b.cfg.Dir, b.cfg.Consumers = "127.0.0.1:0", o.Dir, o.Consumers
	if b.cfg.Dir == "" {
		b.cfg.Dir = t.TempDir()
	}
	for _, n := range o.Nodes {
		file, public := NewKeyFile(t)
		b.keys[n] = file
		b.cfg.Agents = append(b.cfg.Agents, embedded.AgentUser{Cluster: Cluster, Node: n, NKey: public})
	}
	b.start()
	t.Cleanup(func() { b.Server.Shutdown() })
	return b
}

func (b *Bus) start() {
	b.t.Helper()
	s, err := embedded.Start(b.cfg, nil, b.log)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Server = s
}

// Stop stops the server; what it acknowledged stays in its directory.
func (b *Bus) Stop() {
	b.t.Helper()
	u, err := url.Parse(b.Server.URL())
	if err != nil {
		b.t.Fatal(err)
	}
	b.cfg.Listen = net.JoinHostPort("127.0.0.1", u.Port()) // where agents look for it
	b.Server.Shutdown()
}

// Restart starts the server that was stopped, at the same address, and returns a new
// aggregator on it: the one before ended with its server.
func (b *Bus) Restart() *bus.Aggregator {
	b.t.Helper()
	b.start()
	return b.Aggregator()
}

// Aggregator returns a connected aggregator; the streams exist.
func (b *Bus) Aggregator() *bus.Aggregator {
	b.t.Helper()
	return b.aggregator(b.Server)
}

// AggregatorOver returns a connected aggregator that reaches the server over TCP, at a URL.
func (b *Bus) AggregatorOver(url string) *bus.Aggregator {
	b.t.Helper()
	return b.aggregator(over{b.Server, url})
}

// over is a server that is reached at a URL by who owns the aggregator's key.
type over struct {
	*embedded.Server
	url string
}

func (o over) InProcessConn() (net.Conn, error) {
	u, err := url.Parse(o.url)
	if err != nil {
		return nil, err
	}
	return net.Dial("tcp", u.Host)
}

func (b *Bus) aggregator(server bus.InProcess) *bus.Aggregator {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), poll.Patience)
	defer cancel()
	a, err := bus.ConnectAggregator(ctx, bus.DefaultConfig(), server, b.log.Named("aggregator"), prometheus.NewRegistry())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { closing(a.Close) })
	if err := a.EnsureStreams(ctx, b.streams); err != nil {
		b.t.Fatal(err)
	}
	return a
}

// Config returns the configuration of a node's agent.
func (b *Bus) Config(node string) bus.Config {
	c := bus.DefaultConfig()
	c.URL, c.NKeyFile, c.ReconnectWait = b.Server.URL(), config.SecretFile(b.keys[node]), 200*time.Millisecond
	return c
}

// Agent returns a node's agent, connected.
func (b *Bus) Agent(node string) *bus.Agent {
	b.t.Helper()
	return b.AgentAs(node, node)
}

// AgentAs returns an agent that has one node's key and calls itself another, connected.
func (b *Bus) AgentAs(node, key string) *bus.Agent {
	b.t.Helper()
	a, err := bus.ConnectAgent(b.t.Context(), b.Config(key), Cluster, node, b.log.Named(node), prometheus.NewRegistry())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { closing(a.Close) })
	poll.Until(b.t, "agent connects", func() bool { return a.Connected() == nil })
	return a
}

// User returns a node's user as the server was configured with it.
func (b *Bus) User(node string) embedded.AgentUser {
	b.t.Helper()
	for _, u := range b.cfg.Agents {
		if u.Node == node {
			return u
		}
	}
	b.t.Fatalf("no user for node %q", node)
	return embedded.AgentUser{}
}

// AddKey tells where the seed of a node lies that was added after the start.
func (b *Bus) AddKey(node, file string) { b.keys[node] = file }

// NewKeyFile makes a key and writes its seed where only the test finds it.
func NewKeyFile(t testing.TB) (file, public string) {
	t.Helper()
	seed, public, err := embedded.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "nkey")
	if err := os.WriteFile(file, []byte(seed), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, public
}

// logger writes to standard error with -v. It is not the test's own: NATS reports the end
// of a connection a moment after the test's.
func logger() *zap.Logger {
	if !testing.Verbose() {
		return zap.NewNop()
	}
	log, err := zap.NewDevelopment(zap.IncreaseLevel(zap.InfoLevel))
	if err != nil {
		return zap.NewNop()
	}
	return log
}

func closing(f func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = f(ctx) // the server may be gone already
}
