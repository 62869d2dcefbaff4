package serve_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/pkg/api"
)

func TestConfigMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*serve.Config)
		keys   string
	}{
		"nothing":                     {func(*serve.Config) {}, ""},
		"not host:port":               {func(c *serve.Config) { c.Listen = "7480" }, "listen"},
		"everywhere without anything": {func(c *serve.Config) { c.Listen = ":7480" }, "listen listen"},
		"everywhere without TLS":      {func(c *serve.Config) { c.Listen, c.TokensFile = "0.0.0.0:7480", "/t" }, "listen"},
		"everywhere without tokens":   {func(c *serve.Config) { c.Listen, c.TLSCertFile, c.TLSKeyFile = "[::]:7480", "/c", "/k" }, "listen"},
		"everywhere with both":        {func(c *serve.Config) { c.Listen, c.TokensFile, c.TLSCertFile, c.TLSKeyFile = ":7480", "/t", "/c", "/k" }, ""},
		"behind an ingress":           {func(c *serve.Config) { c.Listen, c.TokensFile, c.PlainHTTP = ":7480", "/t", true }, ""},
		"another loopback":            {func(c *serve.Config) { c.Listen = "[::1]:0" }, ""},
		"a certificate without key":   {func(c *serve.Config) { c.TLSCertFile = "/c" }, "tls_key_file"},
		"no time":                     {func(c *serve.Config) { c.RequestTimeout = 0 }, "request_timeout"},
		"a prefix that ends with /":   {func(c *serve.Config) { c.PathPrefix = "/x/" }, "path_prefix"},
		"a pattern as prefix":         {func(c *serve.Config) { c.PathPrefix = "/{x}" }, "path_prefix"},
		"a relative prefix":           {func(c *serve.Config) { c.PathPrefix = "x" }, "path_prefix"},
		"an external path":            {func(c *serve.Config) { c.ExternalURL = "https://x/y" }, "external_url"},
		"an external name":            {func(c *serve.Config) { c.ExternalURL = "gopprof.example" }, "external_url"},
		"a script":                    {func(c *serve.Config) { c.ExternalURL = "javascript:alert(1)" }, "external_url"},
		"both paths":                  {func(c *serve.Config) { c.ExternalURL, c.PathPrefix = "https://x/y/", "/y" }, ""},
	} {
		cfg, keys := serve.DefaultConfig(), []string{}
		c.change(&cfg)
		cfg.Check(func(key, _ string) { keys = append(keys, key) })
		if got := strings.Join(keys, " "); got != c.keys {
			t.Errorf("%s: reported %q", name, got)
		}
	}
}

func TestPageURL(t *testing.T) {
	for want, c := range map[string]serve.Config{
		"http://127.0.0.1:9/reports/x":      {},
		"https://127.0.0.1:9/reports/x":     {TLSCertFile: "/c"},
		"http://127.0.0.1:9/y/reports/x":    {PathPrefix: "/y"},
		"https://tools.example/y/reports/x": {PathPrefix: "/y", ExternalURL: "https://tools.example/y/"},
	} {
		if got := c.Page("127.0.0.1:9", "x"); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

// run runs a server until the test ends, and returns its address.
func run(t *testing.T, cfg serve.Config) string {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	s, err := serve.New(cfg, serve.Deps{Reports: &shelf{}, Captures: &desk{}}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	addr, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("stopping: %v", err)
		}
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			t.Error("it still listens")
		}
	})
	return addr
}

func TestRun(t *testing.T) {
	addr := run(t, serve.DefaultConfig())
	res, err := http.Get("http://" + addr + api.PathReports)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("%d", res.StatusCode)
	}
}

// A page of another site that makes its name resolve to this machine gets nothing.
func TestRebinding(t *testing.T) {
	addr := run(t, serve.DefaultConfig())
	r, err := http.NewRequest(http.MethodGet, "http://"+addr+"/api/v1/reports", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "rebound.example:80"
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != 403 || !strings.Contains(string(body), "Host header") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

func certificate(t *testing.T, dir, name string, at time.Time) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for file, text := range map[string][]byte{"tls.crt": cert, "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})} {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return pool
}

// The certificate is read again when it is replaced; a half replaced one changes nothing.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	first := certificate(t, dir, "one.example", time.Unix(1, 0))
	cfg := serve.DefaultConfig()
	cfg.TLSCertFile, cfg.TLSKeyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	addr := run(t, cfg)
	served := func(pool *x509.CertPool, name string) error {
		c := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: name}}}
		res, err := c.Get("https://" + addr + api.PathReports)
		if err == nil {
			_ = res.Body.Close()
			if res.ProtoMajor != 2 || res.StatusCode != 200 {
				t.Errorf("HTTP/%d, %d", res.ProtoMajor, res.StatusCode)
			}
		}
		return err
	}
	if err := served(first, "one.example"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.TLSKeyFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := served(first, "one.example"); err != nil {
		t.Errorf("a half replaced certificate: %v", err)
	}
	second := certificate(t, dir, "two.example", time.Unix(2, 0))
	if err := served(second, "two.example"); err != nil {
		t.Errorf("a replaced certificate: %v", err)
	}
	if res, err := http.Get("http://" + addr + "/"); err == nil {
		if res.Body.Close(); res.StatusCode == 200 {
			t.Error("it speaks plain HTTP as well")
		}
	}
}

func TestFilesThatAreNotThere(t *testing.T) {
	for _, change := range []func(*serve.Config){
		func(c *serve.Config) { c.TokensFile = "/nonexistent/tokens" },
		func(c *serve.Config) { c.TLSCertFile, c.TLSKeyFile = "/nonexistent/c", "/nonexistent/k" },
	} {
		cfg := serve.DefaultConfig()
		change(&cfg)
		if _, err := serve.New(cfg, serve.Deps{Reports: &shelf{}, Captures: &desk{}}, zap.NewNop(), prometheus.NewRegistry()); err == nil || !strings.Contains(err.Error(), "nonexistent") {
			t.Errorf("%v", err)
		}
	}
}

// panicky is a store with a bug.
type panicky struct{ shelf }

func (*panicky) List(context.Context, api.ReportQuery) (api.ReportPage, error) { panic("a bug") }

func TestPanics(t *testing.T) {
	core, logs := observer.New(zapcore.ErrorLevel)
	s, err := serve.New(serve.DefaultConfig(), serve.Deps{Reports: &panicky{}, Captures: &desk{}}, zap.New(core), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/api/v1/reports"} {
		r, w := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil), httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 500 || strings.Contains(w.Body.String(), "a bug") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if logs.Len() != 2 {
		t.Errorf("%d of 2 panics were logged", logs.Len())
	}
}
