package hostile

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// place is where the corpus is at home: servers on loopback that end with the test.
type place struct {
	t       *testing.T
	good    gopprof.Endpoint
	reached atomic.Int32 // connections to where nobody may go
	away    string       // its address
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t}
	heap := profiletest.Heap(profiletest.On(1<<20, "main.good"))
	p.good = p.start(Case{HTTP: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(heap) }})
	l := p.listen(func(net.Conn) { p.reached.Add(1) })
	p.away = l.Addr().String()
	return p
}

// start starts a case's target.
func (p *place) start(c Case) gopprof.Endpoint {
	if c.Raw != nil {
		return endpoint(c, p.listen(p.below(c)).Addr())
	}
	s := httptest.NewUnstartedServer(p.handler(c))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are the test
	if c.Identity == nil {
		s.Start()
	} else {
		s.TLS = p.identity(*c.Identity)
		s.StartTLS()
	}
	p.t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return endpoint(c, s.Listener.Addr())
}

// handler is the case's, with its payloads out of their files.
func (p *place) handler(c Case) http.Handler {
	if c.Payload == nil {
		return c.Handler()
	}
	for _, k := range c.Kinds() {
		path := written(p.t, c, k)
		if path == "" {
			continue
		}
		file := func(w io.Writer) error {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(w, f)
			return err
		}
		if c.More = maps.Clone(c.More); c.More == nil {
			c.More = map[gopprof.Kind]Payload{}
		}
		c.More[k] = file
	}
	return c.Handler()
}

// below is what answers a case's connections, inside TLS if it has an identity.
func (p *place) below(c Case) func(net.Conn) {
	if c.Identity == nil {
		return c.Raw
	}
	config := p.identity(*c.Identity)
	return func(conn net.Conn) {
		inside := tls.Server(conn, config)
		defer inside.Close()
		c.Raw(inside)
	}
}

// listen accepts connections until the test ends, and waits for what answers them.
func (p *place) listen(answer func(net.Conn)) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	var answering sync.WaitGroup
	answering.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			answering.Go(func() {
				defer c.Close()
				answer(c)
			})
		}
	})
	p.t.Cleanup(func() { l.Close(); answering.Wait() })
	return l
}

func endpoint(c Case, a net.Addr) gopprof.Endpoint {
	to := netip.MustParseAddrPort(a.String())
	return gopprof.Endpoint{Scheme: c.Scheme(), Host: to.Addr().String(), Port: int(to.Port()), Path: "/debug/pprof"}
}

func (p *place) identity(i Identity) *tls.Config {
	certificate, err := i.Certificate()
	if err != nil {
		p.t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MaxVersion: i.Version, NextProtos: i.Speaks}
	if i.Trusted {
		p.trust(certificate.Certificate[0])
	}
	return config
}

// trust adds a certificate to those that the agent holds for authorities.
func (p *place) trust(der []byte) {
	f, err := os.OpenFile(p.authorities(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: der})
		f.Close()
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) authorities() string { return filepath.Join(scratch, "authorities.pem") }
