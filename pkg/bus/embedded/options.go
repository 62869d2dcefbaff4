package embedded

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"
)

// options is the configuration in the server's own words.
func (s *Server) options() (*server.Options, error) {
	host, port, err := s.cfg.address()
	if err != nil {
		return nil, err
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	o := &server.Options{
		ServerName: "gopprof", Host: host, Port: port,
		NoSigs: true, DisableJetStreamBanner: true,
		JetStream: true, StoreDir: s.cfg.Dir, JetStreamMaxStore: s.cfg.StoreBytes, SyncAlways: true, MaxConn: s.cfg.ConnectionsMax,
		AuthTimeout: 10, TLSTimeout: 10, // thousands of agents come back at once
		CustomClientAuthentication: s.auth, AlwaysEnableNonce: true,
	}
	if s.ca == nil && s.cfg.CertFile != "" {
		if err := s.loadCertificate(); err != nil {
			return nil, err
		}
	}
	if shows := s.Certificate(); shows != nil {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return shows() }}
	}
	o.TLS = o.TLSConfig != nil
	return o, nil
}

// Certificate returns what tells the certificate that clients are shown at present; nil
// without TLS.
func (s *Server) Certificate() func() (*tls.Certificate, error) {
	switch {
	case s.ca != nil:
		return func() (*tls.Certificate, error) { return s.ca.GetCertificate(nil) }
	case s.cfg.CertFile != "":
		return func() (*tls.Certificate, error) { return s.cert.Load(), nil }
	}
	return nil
}

// loadCertificate reads the certificate that the next connections see.
func (s *Server) loadCertificate() error {
	cert, err := tls.LoadX509KeyPair(s.cfg.CertFile, s.cfg.KeyFile)
	if err != nil {
		return fmt.Errorf("reading certificate %q: %w", s.cfg.CertFile, err)
	}
	s.cert.Store(&cert)
	return nil
}

// lockDir makes the directory and keeps every other process out of it until the returned
// file is closed.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close() //nolint:errcheck // nothing was written
		return nil, fmt.Errorf("locking directory %q: another process uses it: %w", dir, err)
	}
	return f, nil
}
