package embedded

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"

	"github.com/gopprof/gopprof/pkg/bus"
)

// options builds the server's options anew: a reload compares them with the last.
func (s *Server) options(u Users) (*server.Options, error) {
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
		JetStream: true, StoreDir: s.cfg.Dir, JetStreamMaxStore: s.cfg.StoreBytes, SyncAlways: true,
		AuthTimeout: 10, TLSTimeout: 10, // thousands of agents come back at once
		Nkeys: s.nkeyUsers(u),
	}
	if s.cfg.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(s.cfg.CertFile, s.cfg.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading certificate %q: %w", s.cfg.CertFile, err)
		}
		o.TLS = true
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	return o, nil
}

func (s *Server) nkeyUsers(u Users) []*server.NkeyUser {
	inside := map[string]struct{}{jwt.ConnectionTypeInProcess: {}}
	users := []*server.NkeyUser{{Nkey: s.pub, Permissions: permissions(bus.AggregatorPermissions()), AllowedConnectionTypes: inside}}
	for _, a := range u.Agents {
		users = append(users, &server.NkeyUser{Nkey: a.NKey, Permissions: permissions(bus.AgentPermissions(a.Cluster, a.Node))})
	}
	for _, c := range u.Consumers {
		users = append(users, &server.NkeyUser{Nkey: c.NKey, Permissions: permissions(bus.ConsumerPermissions(c.Name))})
	}
	return users
}

func permissions(p bus.Permissions) *server.Permissions {
	out := &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: p.Publish},
		Subscribe: &server.SubjectPermission{Allow: p.Subscribe},
	}
	if p.Responses > 0 {
		out.Response = &server.ResponsePermission{MaxMsgs: p.Responses, Expires: p.ResponsesFor}
	}
	return out
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
