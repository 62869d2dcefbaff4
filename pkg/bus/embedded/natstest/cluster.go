package natstest

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/test/poll"
)

// Cluster is three servers that replicate what is kept in JetStream.
type Cluster struct {
	Config bus.Config // of whoever connects, to any of those that were started

	t       testing.TB
	servers []*server.Server
	opts    []server.Options
	ways    []chan string // each takes the address that others find the server at, once
}

// StartCluster starts the servers and returns when they have elected a leader.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := StartMinority(t)
	for i := range c.servers {
		if c.servers[i] == nil {
			c.Start(i)
		}
	}
	poll.Until(t, "the servers elect a leader", func() bool { return c.Leader() >= 0 })
	return c
}

// StartMinority starts the first of the servers, which finds no other one to elect a leader
// with.
func StartMinority(t testing.TB) *Cluster {
	t.Helper()
	const size = 3
	c := &Cluster{Config: configuration(t), t: t, servers: make([]*server.Server, size), opts: make([]server.Options, size), ways: make([]chan string, size)}
	var routes []*url.URL
	for i := range c.ways {
		c.ways[i] = make(chan string, 1)
		routes = append(routes, &url.URL{Scheme: "nats", Host: later(t, c.ways[i])})
	}
	for i := range c.opts {
		c.opts[i] = server.Options{
			ServerName: fmt.Sprint("server-", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, Authorization: secret,
			JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, Routes: routes,
			Cluster: server.ClusterOpts{Name: "cluster", Host: "127.0.0.1", Port: server.RANDOM_PORT},
		}
	}
	t.Cleanup(func() {
		for i := range c.servers {
			c.Stop(i)
		}
	})
	c.Start(0)
	return c
}

// Start starts a server; after Stop at the same address.
func (c *Cluster) Start(i int) {
	c.t.Helper()
	opts := c.opts[i] // the server fills it in
	s, err := server.NewServer(&opts)
	if err != nil {
		c.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(poll.Patience) {
		c.t.Fatal("server is not ready")
	}
	if c.servers[i] == nil {
		c.ways[i] <- s.ClusterAddr().String()
		c.Config.URL = strings.TrimPrefix(c.Config.URL+","+s.ClientURL(), ",")
	}
	c.servers[i] = s
	c.opts[i].Port, c.opts[i].Cluster.Port = s.Addr().(*net.TCPAddr).Port, s.ClusterAddr().Port
}

// Stop stops a server; its files stay.
func (c *Cluster) Stop(i int) {
	if c.servers[i] == nil {
		return
	}
	c.servers[i].Shutdown()
	c.servers[i].WaitForShutdown()
}

// Leader is which server leads the others; -1 is none.
func (c *Cluster) Leader() int {
	for i, s := range c.servers {
		if s != nil && s.Running() && s.JetStreamIsLeader() {
			return i
		}
	}
	return -1
}

// LeaderOf is which server leads a stream; -1 is none.
func (c *Cluster) LeaderOf(stream string) int {
	for i, s := range c.servers {
		if s != nil && s.Running() && s.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
			return i
		}
	}
	return -1
}

// later returns an address that leads to one which is known later.
func later(t testing.TB, to <-chan string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go forward(l, sync.OnceValue(func() string { return <-to }), &Way{})
	return l.Addr().String()
}
