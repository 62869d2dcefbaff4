package serve

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/serve/auth"
	"github.com/gopprof/gopprof/pkg/selfca"
)

// newBack makes a server with a door for the API server whose client certificate is signed
// by roots.
func newBack(t *testing.T, c APIServiceConfig, roots *x509.CertPool) *Server {
	t.Helper()
	s := &Server{cfg: Config{Listen: "127.0.0.1:0", RequestTimeout: time.Minute, APIService: c}, log: zap.NewNop(), metrics: newMetrics(prometheus.NewRegistry())}
	s.handler = http.NotFoundHandler()
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := auth.From(r.Context())
		may, err := who.May(r.Context(), auth.View, "shop")
		_ = json.NewEncoder(w).Encode([]any{who.Name, may, err == nil, r.URL.Path})
	})
	from := APIServer{
		Cluster: "prod",
		Trust:   func() auth.Trust { return auth.Trust{Roots: roots, UserHeaders: []string{"X-Remote-User"}} },
		Rights: func(u auth.User) auth.Rights {
			return auth.Fixed{Namespaces: []string{map[string]string{"ada": "shop"}[u.Name]}, Verbs: []auth.Verb{auth.View}}
		},
	}
	if err := s.openBack(from, scope{}, inner, time.Now); err != nil {
		t.Fatal(err)
	}
	return s
}

func runServer(t *testing.T, s *Server) {
	t.Helper()
	if _, err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// pair makes a self-signed certificate of a client and server named localhost.
func pair(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "front"}, DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}, pool
}

func askBack(t *testing.T, s *Server, trusted *x509.CertPool, certs []tls.Certificate, path string) (int, string) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, ServerName: "localhost", Certificates: certs}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.APIServiceAddr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Remote-User", "ada")
	answer, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.ProtoMajor != 2 || answer.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v, HTTP/%d, %v", err, answer.ProtoMajor, answer.Header)
	}
	return answer.StatusCode, string(body)
}

// TestBackDoor: the API server trusts the certificate of our own making, and its users
// reach the HTTP API; whoever else comes is refused as an API server refuses.
func TestBackDoor(t *testing.T) {
	front, roots := pair(t)
	s := newBack(t, APIServiceConfig{Listen: "127.0.0.1:0", OwnCA: selfca.Config{Enabled: true, Dir: t.TempDir(), Names: []string{"localhost"}}}, roots)
	runServer(t, s)
	bundle, changed, own := s.CA()
	trusted := x509.NewCertPool()
	if !own || changed == nil || !trusted.AppendCertsFromPEM(bundle) {
		t.Fatalf("own %t: %q", own, bundle)
	}
	const path = "/apis/gopprof.io/v1/gateway/v1/proxy/reports"
	if status, body := askBack(t, s, trusted, []tls.Certificate{front}, path); status != 200 || body != "[\"ada\",true,true,\"/api/v1/reports\"]\n" {
		t.Errorf("%d %s", status, body)
	}
	stranger, _ := pair(t)
	for name, certs := range map[string][]tls.Certificate{"nobody": nil, "a stranger": {stranger}} {
		for _, path := range []string{path, "/apis/gopprof.io/v1", "/api/v1/reports", "/"} {
			if status, body := askBack(t, s, trusted, certs, path); status != 401 || !strings.Contains(body, `"kind":"Status"`) {
				t.Errorf("%s at %s: %d %s", name, path, status, body)
			}
		}
	}
}

// TestBackDoorWithAFile: who has a certificate of somebody else's making publishes none.
func TestBackDoorWithAFile(t *testing.T) {
	front, roots := pair(t)
	key, err := x509.MarshalPKCS8PrivateKey(front.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := APIServiceConfig{Listen: "127.0.0.1:0", TLSCertFile: filepath.Join(dir, "tls.crt"), TLSKeyFile: filepath.Join(dir, "tls.key")}
	for path, block := range map[string]*pem.Block{c.TLSCertFile: {Type: "CERTIFICATE", Bytes: front.Certificate[0]}, c.TLSKeyFile: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := newBack(t, c, roots)
	runServer(t, s)
	if _, _, own := s.CA(); own {
		t.Error("calls the file's authority its own")
	}
	if status, body := askBack(t, s, roots, []tls.Certificate{front}, "/apis"); status != 200 || !strings.Contains(body, "APIGroupList") {
		t.Errorf("%d %s", status, body)
	}
	if err := newDoorless(c).openBack(APIServer{}, scope{}, nil, time.Now); err == nil {
		t.Error("opens a door that nobody can come through")
	}
	c.TLSCertFile += "x"
	if err := newDoorless(c).openBack(APIServer{Trust: func() auth.Trust { return auth.Trust{} }, Rights: func(auth.User) auth.Rights { return nil }}, scope{}, nil, time.Now); err == nil {
		t.Error("opens a door without a certificate")
	}
}

func newDoorless(c APIServiceConfig) *Server {
	return &Server{cfg: Config{APIService: c}, log: zap.NewNop(), metrics: newMetrics(prometheus.NewRegistry())}
}

func TestNoBackDoor(t *testing.T) {
	s := newDoorless(APIServiceConfig{})
	if err := s.openBack(APIServer{}, scope{}, nil, time.Now); err != nil || s.listener.back != nil || s.APIServiceAddr() != "" {
		t.Errorf("%v, %q", err, s.APIServiceAddr())
	}
	if _, _, own := s.CA(); own {
		t.Error("has an authority for no door")
	}
}

func TestAPIServiceConfig(t *testing.T) {
	for want, c := range map[string]APIServiceConfig{
		"":              {},
		"listen":        {Listen: "0.0.0.0:10250"},
		"tls_key_file":  {Listen: "0.0.0.0:10250", TLSCertFile: "a"},
		"listen listen": {Listen: "10250"},
	} {
		var got []string
		c.Check(func(key, _ string) { got = append(got, key) })
		if strings.Join(got, " ") != want {
			t.Errorf("%+v: %q, want %q", c, got, want)
		}
	}
	front := DefaultConfig()
	front.Listen, front.PlainHTTP, front.TokenReview = "0.0.0.0:7480", true, true
	front.Check(func(key, problem string) { t.Errorf("%s: %s", key, problem) })
}
