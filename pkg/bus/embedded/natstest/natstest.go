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

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/test/poll"
)

// Server is such a server: everybody has its token, and may do everything.
type Server struct {
	Config bus.Config // of whoever connects

	t    testing.TB
	opts server.Options
	srv  *server.Server
}

// Start starts a server.
func Start(t testing.TB) *Server {
	t.Helper()
	const token = "token-of-the-tests"
	s := &Server{t: t, Config: bus.DefaultConfig(), opts: server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, Authorization: token, JetStream: true, NoSigs: true, NoLog: true,
	}}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Config.TokenFile, s.Config.ReconnectWait = config.SecretFile(file), 50*time.Millisecond
	s.Lose()
	s.Start()
	t.Cleanup(s.Stop)
	return s
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
	s.srv, s.Config.URL = srv, srv.ClientURL()
	s.opts.Port = srv.Addr().(*net.TCPAddr).Port
}

// Stop stops the server; its files stay.
func (s *Server) Stop() {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
}

// Lose has the server start without its files next time.
func (s *Server) Lose() { s.opts.StoreDir = s.t.TempDir() }
