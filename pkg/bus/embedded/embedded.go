// Package embedded is the NATS server with JetStream that runs inside the aggregator. It
// is the only importer of nats-server.
//
// Users enter as public nkeys, agents also with tokens that an injected Verifier believes,
// and the server speaks to nobody else: agents get the subjects of their own node, readers
// the consumer of their own name, and the aggregator a key that is made at each start,
// never leaves the process and is good for connections inside of it only. Every write is synced to disk before it is acknowledged. The server
// must never listen beyond loopback without TLS, and never lets two processes write into
// one directory. After its disk has refused a write it must be started again, by another
// process: Stuck says when.
package embedded

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/selfca"
)

// readyWait is how long the server may take to recover its streams and to listen.
const readyWait = time.Minute

// Server is a running server.
type Server struct {
	cfg   Config
	log   *zap.Logger
	self  nkeys.KeyPair // the aggregator's
	pub   string
	lock  *os.File
	srv   *server.Server
	rec   *recorder
	auth  *authenticator
	cert  atomic.Pointer[tls.Certificate]
	ca    *selfca.CA    // nil: certificate from files, or none
	every time.Duration // between two looks at the files, and at what the server refuses
	read  [3]stamp      // the files as they were when the server began to read them
	stop  context.CancelFunc

	stuck atomic.Pointer[error] // why writes are refused for good, as Stuck saw it; nil: they are not
	looks atomic.Uint64         // how often it looked

	mu sync.Mutex // held while users are replaced
}

// Start returns when the server takes connections. With a verifier agents may prove
// themselves with tokens too; nil is none.
func Start(c Config, tokens Verifier, log *zap.Logger) (*Server, error) {
	s := &Server{cfg: c, log: log, rec: newRecorder(log), auth: &authenticator{tokens: tokens}, every: watchEvery}
	s.auth.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.start(); err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("starting embedded nats: %w", err)
	}
	log.Info("embedded nats started", zap.String("url", s.URL()))
	return s, nil
}

func (s *Server) start() (err error) {
	if err := firstProblem(s.cfg); err != nil {
		return err
	}
	if s.self, err = nkeys.CreateUser(); err != nil {
		return err
	}
	if s.pub, err = s.self.PublicKey(); err != nil {
		return err
	}
	s.read = s.files()
	users, err := s.cfg.load()
	if err != nil {
		return err
	}
	s.auth.replace(s.table(users))
	if s.lock, err = lockDir(s.cfg.Dir); err != nil {
		return err
	}
	if s.cfg.ownCA() {
		if s.ca, err = selfca.Open(s.cfg.OwnCA, time.Now, s.log); err != nil {
			return err
		}
	}
	return s.serve()
}

func (s *Server) serve() error {
	opts, err := s.options()
	if err != nil {
		return err
	}
	if s.srv, err = server.NewServer(opts); err != nil {
		return err
	}
	s.srv.SetLoggerV2(s.rec, false, false, false)
	s.srv.Start()
	if !s.srv.ReadyForConnections(readyWait) {
		return fmt.Errorf("not ready within %s: %w", readyWait, s.rec.fatal())
	}
	accounts, err := wireAccounts(s.srv)
	if err != nil {
		return err
	}
	s.auth.open(accounts)
	return nil
}

// firstProblem repeats the configuration's own check: a server without authentication or
// TLS must not start whoever forgot to call it.
func firstProblem(c Config) (err error) {
	first := func(key, problem string) {
		if err == nil {
			err = fmt.Errorf("%s: %s", key, problem)
		}
	}
	c.Check(first)
	c.OwnCA.Check(func(key, problem string) { first("own_ca."+key, problem) })
	return err
}

// URL is where agents connect, with the port that was really taken.
func (s *Server) URL() string {
	if s.srv == nil {
		return ""
	}
	return s.srv.ClientURL()
}

// CA returns the certificates (PEM) that agents must trust, and a channel that is closed
// when there are others; false when the certificate is not of the server's own making.
func (s *Server) CA() (pem []byte, changed <-chan struct{}, own bool) {
	if s.ca == nil {
		return nil, nil, false
	}
	pem, changed = s.ca.Bundle()
	return pem, changed, true
}

// InProcessConn returns a connection that no network carries.
func (s *Server) InProcessConn() (net.Conn, error) { return s.srv.InProcessConn() }

// NKey returns the public key of the aggregator's user.
func (s *Server) NKey() string { return s.pub }

// Sign proves to the server that we own the aggregator's key.
func (s *Server) Sign(nonce []byte) ([]byte, error) { return s.self.Sign(nonce) }

// Ready says why the server cannot take captures. What Stuck has found out it says as well:
// only that looks at the disk, which may take long.
func (s *Server) Ready() error {
	if !s.srv.Running() {
		return errors.New("embedded nats has stopped")
	}
	if stuck := s.stuck.Load(); stuck != nil {
		return *stuck
	}
	if !s.srv.JetStreamEnabled() {
		return fmt.Errorf("%w: %w", ErrStuck, s.rec.switchedOff())
	}
	return nil
}

// Shutdown returns when everything is on disk and the directory is free.
func (s *Server) Shutdown() {
	s.stop()
	if s.srv != nil {
		s.srv.Shutdown()
		s.srv.WaitForShutdown()
	}
	if s.self != nil {
		s.self.Wipe()
	}
	if s.lock != nil {
		s.lock.Close() //nolint:errcheck // the lock goes with the process at the latest
	}
}

// NewKey makes the key of one user: the seed is the secret that the user keeps, the
// public part goes into the server's configuration.
func NewKey() (seed, public string, err error) {
	k, err := nkeys.CreateUser()
	if err != nil {
		return "", "", fmt.Errorf("making nkey: %w", err)
	}
	defer k.Wipe()
	s, err := k.Seed()
	if err != nil {
		return "", "", fmt.Errorf("making nkey: %w", err)
	}
	public, err = k.PublicKey()
	if err != nil {
		return "", "", fmt.Errorf("making nkey: %w", err)
	}
	return string(s), public, nil
}
