// Package natstest is somebody else's NATS server on loopback, as a cluster may have one, for
// tests of what becomes of gopprof when that one fails.
//
// Nothing enters; a server with JetStream, without any stream of ours, comes out, and ends
// with the test.
package natstest

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/test/poll"
)

// Server is such a server: everybody has its token, or another one's key, and may do
// everything.
type Server struct {
	Config bus.Config // of whoever connects
	Other  bus.Config // of who has a key of its own, which is not revoked

	t    testing.TB
	opts server.Options
	srv  *server.Server
}

// Start starts a server.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, Config: configuration(t), opts: server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, Authorization: secret, JetStream: true, NoSigs: true, NoLog: true,
	}}
	s.Other = s.Config
	s.Other.TokenFile, s.Other.NKeyFile = "", s.key()
	s.Lose()
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// secret is everybody's token.
const secret = "token-of-the-tests"

// configuration is everybody's, without a URL.
func configuration(t testing.TB) bus.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	c := bus.DefaultConfig()
	c.TokenFile, c.ReconnectWait = config.SecretFile(file), 50*time.Millisecond
	return c
}

// key makes the other one's key and returns the file of its seed.
func (s *Server) key() config.SecretFile {
	s.t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		s.t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		s.t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join(s.t.TempDir(), "nkey")
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.opts.Nkeys = []*server.NkeyUser{{Nkey: public}}
	return config.SecretFile(file)
}

// Revoke has the running server know another token than everybody's from now on, and ends the
// connections of those who have that one.
func (s *Server) Revoke() { s.reload("another-token") }

// Restore takes Revoke back.
func (s *Server) Restore() { s.reload(s.opts.Authorization) }

// Deny has the running server allow whoever has the other key none of these subscriptions from
// now on; its connections stay. Without any, it takes that back.
func (s *Server) Deny(subscriptions ...string) {
	s.t.Helper()
	opts, user := s.opts, *s.opts.Nkeys[0]
	user.Permissions = &server.Permissions{Subscribe: &server.SubjectPermission{Deny: subscriptions}}
	opts.Nkeys = []*server.NkeyUser{&user}
	if err := s.srv.ReloadOptions(&opts); err != nil {
		s.t.Fatal(err)
	}
}

// reload ends all connections first: who asks for a message in the moment in which the options
// change meets a race within the server, which reads them without a lock there (v2.15.2,
// getDirectRequest). They are made again, or refused, a while later.
func (s *Server) reload(token string) {
	s.t.Helper()
	opts := s.opts
	opts.Authorization = token
	connections, err := s.srv.Connz(&server.ConnzOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range connections.Conns {
		_ = s.srv.DisconnectClientByID(c.Cid) // it may have ended by itself
	}
	if err := s.srv.ReloadOptions(&opts); err != nil {
		s.t.Fatal(err)
	}
}

// Messages is how many messages a stream holds.
func (s *Server) Messages(stream string) uint64 {
	s.t.Helper()
	info, err := s.srv.Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, account := range info.AccountDetails {
		for _, detail := range account.Streams {
			if detail.Name == stream {
				return detail.State.Msgs
			}
		}
	}
	s.t.Fatalf("there is no stream %q", stream)
	return 0
}

// Start starts the server; after Stop at the same address.
func (s *Server) Start() {
	s.t.Helper()
	opts := s.opts // the server fills it in
	srv, err := server.NewServer(&opts)
	if err != nil {
		s.t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(poll.Patience) {
		s.t.Fatal("server is not ready")
	}
	s.srv, s.Config.URL, s.Other.URL = srv, srv.ClientURL(), srv.ClientURL()
	s.opts.Port = srv.Addr().(*net.TCPAddr).Port
}

// Stop stops the server; its files stay.
func (s *Server) Stop() {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
}

// Lose has the server start without its files next time.
func (s *Server) Lose() { s.opts.StoreDir = s.t.TempDir() }
