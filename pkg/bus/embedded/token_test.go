package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/test/poll"
)

// believer takes tokens "NODE EXPIRY…": what a real one proves, this one believes.
type believer struct {
	asked atomic.Int64
	wait  time.Duration
}

func (b *believer) VerifyAgent(ctx context.Context, token string) (cluster, node string, expires time.Time, err error) {
	b.asked.Add(1)
	select {
	case <-ctx.Done():
		return "", "", time.Time{}, ctx.Err()
	case <-time.After(b.wait):
	}
	node, rest, ok := strings.Cut(token, " ")
	expires, parseErr := time.Parse(time.RFC3339Nano, rest)
	if !ok || parseErr != nil {
		return "", "", time.Time{}, errors.New("no token")
	}
	return "prod", node, expires, nil
}

func tokenFor(node string, lives time.Duration) string {
	return node + " " + time.Now().Add(lives).Format(time.RFC3339Nano)
}

// serveTokens starts a server that makes its own certificate and returns where agents find
// the authority's.
func serveTokens(t *testing.T, c embedded.Config, v embedded.Verifier) (s *embedded.Server, caFile string) {
	t.Helper()
	s, err := embedded.Start(c, v, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	caFile = filepath.Join(t.TempDir(), "ca.crt")
	if pem, _, own := s.CA(); !own || os.WriteFile(caFile, pem, 0o600) != nil {
		t.Fatal("no authority of its own")
	}
	return s, caFile
}

func ownCA(t *testing.T) embedded.Config {
	c := loopback(t)
	c.OwnCA.Enabled, c.OwnCA.Dir = true, t.TempDir()
	return c
}

// tokenAgent returns an agent that proves itself with what stands in a file.
func tokenAgent(t *testing.T, s *embedded.Server, ca, file, node string) *bus.Agent {
	t.Helper()
	c := bus.DefaultConfig()
	c.URL, c.CAFile, c.TokenFile, c.ReconnectWait = s.URL(), ca, config.SecretFile(file), 600*time.Millisecond
	a, err := bus.ConnectAgent(t.Context(), c, "prod", node, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(context.Background()) })
	return a
}

// TestTokenAgent: who proves himself with a token does everything that an agent does, over
// a certificate that nobody made by hand, beside agents with nkeys.
func TestTokenAgent(t *testing.T) {
	seed, public := bustest.NewKeyFile(t)
	c := ownCA(t)
	c.Agents = []embedded.AgentUser{{Cluster: "prod", Node: "old", NKey: public}}
	s, ca := serveTokens(t, c, &believer{})
	file := filepath.Join(t.TempDir(), "token")
	replace(t, file, tokenFor("node-1", time.Hour))
	agent, old := tokenAgent(t, s, ca, file, "node-1"), agentOf(t, s, ca, seed, "old")
	agg, err := bus.ConnectAggregator(t.Context(), bus.DefaultConfig(), s, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agg.Close(context.Background()) })
	poll.Until(t, "all connect", func() bool {
		return agent.Connected() == nil && old.Connected() == nil && agg.Connected() == nil
	})
	if err := agg.EnsureStreams(t.Context(), bus.DefaultStreamConfig()); err != nil {
		t.Fatal(err)
	}
	capture := oneCapture(t)
	captureArrives(t.Context(), t, agent, agg, capture)
	askIsAnswered(t.Context(), t, agent, agg, capture)
	requestIsServed(t.Context(), t, agent, agg, capture)
	stateIsHeard(t.Context(), t, agent, agg)
}

func TestTokenGivesItsOwnNodeOnly(t *testing.T) {
	s, ca := serveTokens(t, ownCA(t), &believer{})
	denied := make(chan error, 10)
	nc, err := nats.Connect(s.URL(), nats.Token(tokenFor("node-1", time.Hour)), nats.RootCAs(ca),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, subject := range []string{
		"gopprof.v1.state.prod.node-2", "gopprof.v1.state.other.node-1", "gopprof.v1.capture.prod.node-2.x", "$JS.API.INFO", "gopprof.v1.report.a.b.c.d.e",
	} {
		if err := nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		isDenied(t, denied, subject)
	}
	for _, subject := range []string{">", "gopprof.v1.agent.prod.node-2.*", "_INBOX.agent.prod.node-2.>", "_INBOX.>"} {
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		isDenied(t, denied, subject)
	}
}

func isDenied(t *testing.T, denied <-chan error, subject string) {
	t.Helper()
	select {
	case err := <-denied:
		if !strings.Contains(err.Error(), `"`+subject+`"`) {
			t.Errorf("%s: %v", subject, err)
		}
	case <-time.After(poll.Patience):
		t.Errorf("%s was not denied", subject)
	}
}

func TestTokenRefused(t *testing.T) {
	with, ca := serveTokens(t, ownCA(t), &believer{})
	without, otherCA := serveTokens(t, ownCA(t), nil)
	cases := map[string]struct {
		s         *embedded.Server
		ca, token string
		opts      []nats.Option
	}{
		"nothing":            {with, ca, "", nil},
		"no token":           {with, ca, "what", nil},
		"expired":            {with, ca, tokenFor("node-1", -time.Second), nil},
		"without a node":     {with, ca, tokenFor("", time.Hour), nil},
		"no verifier":        {without, otherCA, tokenFor("node-1", time.Hour), nil},
		"as a password":      {with, ca, "", []nats.Option{nats.UserInfo("node-1", tokenFor("node-1", time.Hour))}},
		"beside another key": {with, ca, tokenFor("node-1", time.Hour), []nats.Option{strangersKey(t)}},
	}
	for name, tc := range cases {
		opts := append(tc.opts, nats.RootCAs(tc.ca))
		if tc.token != "" {
			opts = append(opts, nats.Token(tc.token))
		}
		nc, err := nats.Connect(tc.s.URL(), opts...)
		if err == nil {
			nc.Close()
		}
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func strangersKey(t *testing.T) nats.Option {
	t.Helper()
	seed, _ := bustest.NewKeyFile(t)
	o, err := nats.NkeyOptionFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestTokenExpires: the connection ends with the token, and the agent comes back with what
// its file holds by then, unseen by whoever uses it later.
func TestTokenExpires(t *testing.T) {
	v := &believer{}
	s, ca := serveTokens(t, ownCA(t), v)
	file := filepath.Join(t.TempDir(), "token")
	replace(t, file, tokenFor("node-1", 5*time.Second))
	a := tokenAgent(t, s, ca, file, "node-1")
	poll.Until(t, "it connects", func() bool { return a.Connected() == nil })
	poll.Until(t, "it is put out and refused", func() bool { return errors.Is(a.Connected(), bus.ErrRefused) })
	replace(t, file, tokenFor("node-1", time.Hour))
	poll.Until(t, "it is back", func() bool { return a.Connected() == nil })
}

// TestFiveHundredComeBack: the server restarts and all agents of a big cluster come back at
// once, over TLS, each with a token that takes 50 ms to verify.
func TestFiveHundredComeBack(t *testing.T) {
	c, v := ownCA(t), &believer{wait: 50 * time.Millisecond}
	s, ca := serveTokens(t, c, v)
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	c.Listen = u.Host
	conns := connectAll(t, s.URL(), ca, many)
	connected := func() bool {
		return !slices.ContainsFunc(conns, func(nc *nats.Conn) bool { return !nc.IsConnected() })
	}
	poll.Until(t, "all connect", connected)
	s.Shutdown()
	poll.Until(t, "all are away", func() bool {
		return !slices.ContainsFunc(conns, func(nc *nats.Conn) bool { return nc.IsConnected() })
	})
	serveTokens(t, c, v)
	began := time.Now()
	poll.Until(t, "all are back", connected)
	t.Logf("%d agents were back after %s", many, time.Since(began).Round(time.Millisecond))
}

func connectAll(t *testing.T, url, ca string, n int) []*nats.Conn {
	t.Helper()
	conns := make([]*nats.Conn, n)
	errs := make([]error, n)
	turns := make(chan struct{}, 20) // only coming back is for all at once
	var wg sync.WaitGroup
	for i := range conns {
		turns <- struct{}{}
		wg.Go(func() {
			token := tokenFor(fmt.Sprintf("node-%d", i), time.Hour)
			conns[i], errs[i] = nats.Connect(url, nats.TokenHandler(func() string { return token }), nats.RootCAs(ca),
				nats.Timeout(5*time.Second), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
				nats.CustomReconnectDelay(pause))
			<-turns
		})
	}
	wg.Wait()
	t.Cleanup(func() {
		for _, nc := range conns {
			nc.Close()
		}
	})
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
