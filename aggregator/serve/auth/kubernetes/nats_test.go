package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

func natsConfig(t *testing.T) embedded.Config {
	t.Helper()
	c := embedded.DefaultConfig()
	c.Listen, c.Dir = "127.0.0.1:0", t.TempDir()
	c.OwnCA.Enabled, c.OwnCA.Dir = true, t.TempDir()
	return c
}

func startNATS(t *testing.T, c embedded.Config, v embedded.Verifier) (s *embedded.Server, ca string) {
	t.Helper()
	s, err := embedded.Start(c, v, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	ca = filepath.Join(t.TempDir(), "ca.crt")
	pem, _, _ := s.CA()
	if err := os.WriteFile(ca, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	return s, ca
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestAgentOverNATS: agent and aggregator meet over real NATS and TLS, with real tokens: the
// agent's state arrives; its token expires and it comes back with the next; another
// account's token is refused.
func TestAgentOverNATS(t *testing.T) {
	x := newSigner(t, "one", jose.RS256)
	v, _ := newTestVerifier(t, startAPIServer(t, x))
	s, ca := startNATS(t, natsConfig(t), v)
	agg, err := bus.ConnectAggregator(t.Context(), bus.DefaultConfig(), s, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agg.Close(context.Background()) })
	heard := make(chan gopprof.NodeState, 100)
	go func() { _ = agg.States(t.Context(), func(n gopprof.NodeState) { heard <- n }) }()

	file := filepath.Join(t.TempDir(), "token")
	short := token("node-1")
	short["exp"] = time.Now().Add(4 * time.Second).Unix()
	write(t, file, x.sign(t, short))
	c := bus.DefaultConfig()
	c.URL, c.CAFile, c.TokenFile, c.ReconnectWait = s.URL(), ca, config.SecretFile(file), 200*time.Millisecond
	agent, err := bus.ConnectAgent(t.Context(), c, "prod", "node-1", zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close(context.Background()) })
	arrives := func() bool {
		_ = agent.PublishState(t.Context(), gopprof.NodeState{Cluster: "prod", Node: "node-1", At: time.Now()})
		return len(heard) > 0
	}
	poll.Until(t, "its state arrives", arrives)

	other := token("node-1")
	become(other, "shop", "web")
	write(t, file, x.sign(t, other))
	poll.Until(t, "it is put out; another account's token is refused", func() bool {
		return errors.Is(agent.Connected(), bus.ErrRefused) && v.counted(wrongAccount) > 0
	})
	for len(heard) > 0 {
		<-heard
	}
	write(t, file, x.sign(t, token("node-1")))
	poll.Until(t, "its state arrives again", arrives)
}

// TestFiveHundredAgentsComeBack: after the aggregator was moved, all agents come back at
// once; judged by the keys, and where those are hidden, by as many reviews.
func TestFiveHundredAgentsComeBack(t *testing.T) {
	x := newSigner(t, "one", jose.RS256)
	for _, hidden := range []bool{false, true} {
		api := startAPIServer(t, x)
		api.set(func(s *apiServer) { s.hidesKeys = hidden })
		c := natsConfig(t)
		v, _ := newTestVerifier(t, api)
		s, ca := startNATS(t, c, v)
		u, err := url.Parse(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		c.Listen = u.Host
		conns := connectAll(t, x, s.URL(), ca, many)
		up := func(nc *nats.Conn) bool { return nc.IsConnected() }
		down := func(nc *nats.Conn) bool { return !nc.IsConnected() }
		poll.Until(t, "all connect", func() bool { return !slices.ContainsFunc(conns, down) })
		s.Shutdown()
		poll.Until(t, "all are away", func() bool { return !slices.ContainsFunc(conns, up) })
		v, _ = newTestVerifier(t, api) // another process
		startNATS(t, c, v)
		began := time.Now()
		poll.Until(t, "all are back", func() bool { return !slices.ContainsFunc(conns, down) })
		t.Logf("%d agents were back after %s; %d questions for keys, %d reviews, in all",
			many, time.Since(began).Round(time.Millisecond), api.keyFetches.Load(), api.reviews.Load())
		for _, nc := range conns {
			nc.Close()
		}
	}
}

func connectAll(t *testing.T, x signer, url, ca string, n int) []*nats.Conn {
	t.Helper()
	conns, errs := make([]*nats.Conn, n), make([]error, n)
	turns := make(chan struct{}, 20) // only coming back is for all at once
	var wg sync.WaitGroup
	for i := range conns {
		turns <- struct{}{}
		wg.Go(func() {
			secret := x.sign(t, token(fmt.Sprintf("node-%d", i)))
			conns[i], errs[i] = nats.Connect(url, nats.TokenHandler(func() string { return secret }), nats.RootCAs(ca),
				nats.Timeout(5*time.Second), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
				nats.CustomReconnectDelay(pause))
			<-turns
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return conns
}

// pause is that of pkg/bus: it grows, and half of it is chance.
func pause(attempts int) time.Duration {
	d := min(100*time.Millisecond<<min(attempts, 16), 10*time.Second)
	return d/2 + rand.N(d/2+1)
}
