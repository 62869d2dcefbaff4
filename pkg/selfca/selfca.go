// Package selfca keeps a certificate authority of one's own in a directory, with one
// serving certificate signed by it: TLS for who has no authority and no hands to run one.
//
// Names enter; the certificate for a TLS server leaves, and the certificates that its
// clients must trust. Both are made when they are missing and replaced long before they
// expire, without a restart. A new authority is shown to the clients for a while before
// anything is signed by it. The keys never leave the directory, and nothing is ever signed
// here but the serving certificate.
package selfca

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/durable"
)

// How long certificates live. An authority is replaced in the last tenth of its life, the
// serving certificate in the last third. A new authority signs once it has been shown for
// settle.
const (
	authorityLife = 10 * 365 * 24 * time.Hour
	servingLife   = 90 * 24 * time.Hour
	settle        = 7 * 24 * time.Hour
	backdated     = time.Hour // for clients whose clock is behind
	lookEvery     = time.Minute
)

// The files: certificate and key are in one, so that a crash cannot part them.
const (
	servingFile     = "serving.pem"
	authorityPrefix = "ca-"
	authoritySuffix = ".pem"
)

// CA is an authority of one's own with its serving certificate.
type CA struct {
	cfg Config
	now func() time.Time
	log *zap.Logger

	mu          sync.RWMutex // guards what follows
	authorities []pair       // oldest first; none expired
	serving     pair
	changed     chan struct{} // closed when the bundle changes
}

// Open reads the directory and makes what is missing in it.
func Open(c Config, now func() time.Time, log *zap.Logger) (*CA, error) {
	a := &CA{cfg: c, now: now, log: log, changed: make(chan struct{})}
	if err := durable.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening own ca: %w", err)
	}
	if err := a.load(); err != nil {
		return nil, fmt.Errorf("opening own ca: %w", err)
	}
	if err := a.renew(); err != nil {
		return nil, fmt.Errorf("opening own ca: %w", err)
	}
	return a, nil
}

// load reads what earlier starts made. A damaged file is an error: to make a new authority
// in its place would lock every client out unseen.
func (a *CA) load() error {
	names, err := filepath.Glob(filepath.Join(a.cfg.Dir, authorityPrefix+"*"+authoritySuffix))
	if err != nil {
		return err
	}
	for _, name := range names {
		p, err := readPair(name)
		if err != nil {
			return err
		}
		a.authorities = append(a.authorities, p)
	}
	slices.SortFunc(a.authorities, func(x, y pair) int { return x.cert.NotBefore.Compare(y.cert.NotBefore) })
	p, err := readPair(filepath.Join(a.cfg.Dir, servingFile))
	if err != nil && !os.IsNotExist(err) {
		a.log.Warn("serving certificate could not be read, a new one is made", zap.Error(err))
	}
	a.serving = p
	return nil
}

// GetCertificate is for tls.Config: each handshake sees the newest certificate.
func (a *CA) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.serving.tls(), nil
}

// Bundle returns the certificates (PEM) that clients must trust, and a channel that is
// closed when there are others.
func (a *CA) Bundle() ([]byte, <-chan struct{}) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var out bytes.Buffer
	for _, p := range a.authorities {
		_ = pem.Encode(&out, &pem.Block{Type: typeCertificate, Bytes: p.cert.Raw}) // a buffer takes everything
	}
	return out.Bytes(), a.changed
}

// Run renews what will expire, until ctx ends.
func (a *CA) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := a.renew()
		if err != nil && !failing {
			a.log.Error("certificate not renewed, the last one stays", zap.Error(err))
		}
		failing = err != nil
	}
}

// renew makes a new authority and a new serving certificate when it is time.
func (a *CA) renew() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if err := a.renewAuthorities(now); err != nil {
		return err
	}
	signer := a.signer(now)
	if !wanting(a.serving, signer, a.cfg.hosts(), now) {
		return nil
	}
	p, err := newServing(signer, a.cfg.hosts(), now)
	if err != nil {
		return err
	}
	if err := p.write(filepath.Join(a.cfg.Dir, servingFile)); err != nil {
		return err
	}
	a.serving = p
	a.log.Info("serving certificate made", zap.Strings("names", a.cfg.hosts()), zap.Time("expires", p.cert.NotAfter))
	return nil
}

func (a *CA) renewAuthorities(now time.Time) error {
	live := slices.DeleteFunc(slices.Clone(a.authorities), func(p pair) bool { return !now.Before(p.cert.NotAfter) })
	if n := len(live); n == 0 || live[n-1].left(now) < authorityLife/10 {
		p, err := newAuthority(now)
		if err != nil {
			return err
		}
		name := authorityPrefix + now.UTC().Format("20060102T150405Z") + authoritySuffix
		if err := p.write(filepath.Join(a.cfg.Dir, name)); err != nil {
			return err
		}
		live = append(live, p)
		a.log.Info("certificate authority made", zap.String("file", name), zap.Time("expires", p.cert.NotAfter))
	}
	if !slices.EqualFunc(live, a.authorities, func(x, y pair) bool { return x.cert.Equal(y.cert) }) {
		a.authorities = live
		close(a.changed)
		a.changed = make(chan struct{})
	}
	return nil
}

// signer is the newest authority that clients have had the time to learn of; the oldest
// when there is none.
func (a *CA) signer(now time.Time) pair {
	for _, p := range slices.Backward(a.authorities) {
		if now.Sub(p.cert.NotBefore) >= settle+backdated {
			return p
		}
	}
	return a.authorities[0]
}

// wanting tells whether a serving certificate must be replaced.
func wanting(p, signer pair, hosts []string, now time.Time) bool {
	return p.cert == nil || p.left(now) < servingLife/3 || p.cert.CheckSignatureFrom(signer.cert) != nil ||
		!slices.Equal(namesOf(p.cert), hosts)
}

func readPair(path string) (pair, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return pair{}, err
	}
	p, err := parsePair(data)
	if err != nil {
		return pair{}, fmt.Errorf("reading %q: %w", path, err)
	}
	return p, nil
}

func (p pair) write(path string) error {
	data, err := p.pem()
	if err != nil {
		return err
	}
	return durable.WriteFile(path, data, 0o600)
}

// hosts are the names and addresses of the serving certificate, in the order in which a
// certificate lists them.
func (c Config) hosts() []string {
	dns, ips := c.split()
	for _, ip := range ips {
		dns = append(dns, ip.String())
	}
	return dns
}
