package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/pkg/api"
)

// authority signs certificates of clients.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a := authority{template, newKey(t)}
	a.cert = a.sign(t, template, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a authority) sign(t *testing.T, template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// client makes a certificate; change may be nil.
func (a authority) client(t *testing.T, name string, change func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	key := newKey(t)
	return &tls.Certificate{Certificate: [][]byte{a.sign(t, template, key).Raw}, PrivateKey: key}
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// trusted believes an authority; the headers are those of kube-apiserver's defaults.
func trusted(a authority) Trust {
	return Trust{
		Roots: a.pool(), Names: []string{"front-proxy-client"},
		UserHeaders: []string{"X-Remote-User"}, UIDHeaders: []string{"X-Remote-Uid"}, GroupHeaders: []string{"X-Remote-Group"},
		ExtraPrefixes: []string{"X-Remote-Extra-"},
	}
}

// backDoor is a server whose callers an API server brings, over real TLS.
type backDoor struct {
	*httptest.Server
	trust atomic.Pointer[Trust]
	logs  *observer.ObservedLogs
	came  atomic.Pointer[http.Request] // what was let through last
	who   atomic.Pointer[User]
}

func startBackDoor(t *testing.T, trust Trust) *backDoor {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	b := &backDoor{logs: logs}
	b.trust.Store(&trust)
	h := Proxied(ProxyOptions{
		Trust: func() Trust { return *b.trust.Load() }, Now: time.Now, Log: zap.New(core),
		Rights: func(u User) Rights { b.who.Store(&u); return Fixed{Everywhere: true, Verbs: []Verb{View}} },
		Refuse: func(w http.ResponseWriter, _ *http.Request, p api.Problem) { http.Error(w, p.Detail, p.Status) },
	}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { b.came.Store(r) }))
	b.Server = httptest.NewUnstartedServer(h)
	b.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	b.EnableHTTP2 = true
	b.StartTLS()
	t.Cleanup(b.Close)
	return b
}

// ask comes with a certificate, or with none, and with headers.
func (b *backDoor) ask(t *testing.T, cert *tls.Certificate, header http.Header) (status int) {
	t.Helper()
	return b.do(t, http.MethodGet, cert, header)
}

func (b *backDoor) do(t *testing.T, method string, cert *tls.Certificate, header http.Header) (status int) {
	t.Helper()
	transport := b.Client().Transport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	if cert != nil {
		// Shown whatever authorities the server names.
		transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	r, err := http.NewRequestWithContext(t.Context(), method, b.URL+"/apis/gopprof.io/v1/namespaces/shop/reports", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	answer, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

func forged() http.Header {
	return http.Header{"X-Remote-User": {"admin"}, "X-Remote-Group": {"system:masters"}, "Authorization": {"Bearer x"}}
}

// TestOnlyTheFrontProxyIsBelieved: whoever else says in whose name he comes is refused, and
// nothing of it is done.
func TestOnlyTheFrontProxyIsBelieved(t *testing.T) {
	ours, users := newAuthority(t, "front-proxy-ca"), newAuthority(t, "kubernetes")
	namesake := newAuthority(t, "front-proxy-ca")
	b := startBackDoor(t, trusted(ours))
	for name, cert := range map[string]*tls.Certificate{
		"no certificate":            nil,
		"a user's certificate":      users.client(t, "front-proxy-client", nil),
		"an authority's namesake":   namesake.client(t, "front-proxy-client", nil),
		"another name":              ours.client(t, "aggregator", nil),
		"no name":                   ours.client(t, "", nil),
		"expired":                   ours.client(t, "front-proxy-client", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"not yet":                   ours.client(t, "front-proxy-client", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }),
		"a server's certificate":    ours.client(t, "front-proxy-client", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
		"signed by itself":          selfSigned(t),
		"the name as a DNS name":    ours.client(t, "x", func(c *x509.Certificate) { c.DNSNames = []string{"front-proxy-client"} }),
		"the name and what follows": ours.client(t, "front-proxy-client ", nil),
	} {
		if status := b.ask(t, cert, forged()); status != 401 || b.came.Load() != nil || b.who.Load() != nil {
			t.Errorf("%s: %d", name, status)
		}
		level, got := oneLine(t, b.logs)
		if level != zapcore.InfoLevel || got["who"] != "" || got["status"] != int64(401) || got["resource"] != "reports" || got["namespace"] != "shop" {
			t.Errorf("%s: logged %v", name, got)
		}
	}
	if status := b.ask(t, ours.client(t, "front-proxy-client", nil), forged()); status != 200 {
		t.Errorf("the front proxy: %d", status)
	}
}

func selfSigned(t *testing.T) *tls.Certificate {
	return newAuthority(t, "front-proxy-client").client(t, "front-proxy-client", nil)
}

func TestTheFrontProxySaysWhoCalls(t *testing.T) {
	ours := newAuthority(t, "front-proxy-ca")
	b := startBackDoor(t, trusted(ours))
	proxy := ours.client(t, "front-proxy-client", nil)
	for name, h := range map[string]http.Header{"nobody": {}, "an empty name": {"X-Remote-User": {""}}, "another header": {"X-Remote-Name": {"ada"}}, "groups alone": {"X-Remote-Group": {"system:masters"}}} {
		if status := b.ask(t, proxy, h); status != 401 || b.came.Load() != nil {
			t.Errorf("%s: %d", name, status)
		}
	}
	b.logs.TakeAll()
	status := b.ask(t, proxy, http.Header{
		"X-Remote-User": {"ada"}, "X-Remote-Uid": {"u1"}, "X-Remote-Group": {"dev", "system:authenticated"},
		"X-Remote-Extra-Scopes.example%2fa": {"read", "write"}, "Authorization": {"Bearer secret"}, "Cookie": {"a=b"}, "Accept": {"application/json"},
	})
	want := User{Name: "ada", UID: "u1", Groups: []string{"dev", "system:authenticated"}, Extra: map[string][]string{"scopes.example/a": {"read", "write"}}}
	if got := b.who.Load(); status != 200 || got == nil || !reflect.DeepEqual(*got, want) {
		t.Fatalf("%d, %+v\nwant %+v", status, got, want)
	}
	came := b.came.Load()
	if c := From(came.Context()); c.Name != "ada" || !may(t, c, View, All) {
		t.Errorf("caller %+v", c)
	}
	for key := range came.Header {
		if strings.HasPrefix(key, "X-Remote") || key == "Authorization" || key == "Cookie" {
			t.Errorf("%s goes on", key)
		}
	}
	if came.Header.Get("Accept") == "" {
		t.Error("Accept does not go on")
	}
	if _, got := oneLine(t, b.logs); got["who"] != "ada" || got["groups"] != int64(2) || got["way"] != "apiserver" || got["status"] != int64(200) {
		t.Errorf("logged %v", got)
	}
}

// TestOtherSitesBehindKubectlProxy: a page that somebody lured a browser to must not change
// anything with the rights that `kubectl proxy` lends to whatever comes to it.
func TestOtherSitesBehindKubectlProxy(t *testing.T) {
	ours := newAuthority(t, "front-proxy-ca")
	b := startBackDoor(t, trusted(ours))
	proxy := ours.client(t, "front-proxy-client", nil)
	for site, want := range map[string]int{"cross-site": 403, "same-site": 403, "same-origin": 200, "none": 200, "": 200} {
		h := http.Header{"X-Remote-User": {"ada"}}
		if site != "" {
			h.Set("Sec-Fetch-Site", site)
		}
		if status := b.do(t, http.MethodPost, proxy, h); status != want {
			t.Errorf("%q: %d", site, status)
		}
		if status := b.ask(t, proxy, h); status != 200 {
			t.Errorf("%q, only looking: %d", site, status)
		}
	}
}

// TestTrustChanges: each request is looked at with the eyes of its moment.
func TestTrustChanges(t *testing.T) {
	one, two := newAuthority(t, "one"), newAuthority(t, "two")
	b := startBackDoor(t, Trust{})
	proxy := one.client(t, "any", nil)
	if status := b.ask(t, proxy, forged()); status != 401 {
		t.Errorf("before it is known whom to believe: %d", status)
	}
	trust := trusted(one)
	trust.Names = nil
	b.trust.Store(&trust)
	if status := b.ask(t, proxy, forged()); status != 200 {
		t.Errorf("any name: %d", status)
	}
	trust.Roots = two.pool()
	b.trust.Store(&trust)
	if status := b.ask(t, proxy, forged()); status != 401 {
		t.Errorf("after the authority has changed: %d", status)
	}
}
