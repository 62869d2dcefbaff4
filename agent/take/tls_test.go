package take

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

func serveTLS(t *testing.T, h http.HandlerFunc) *service {
	t.Helper()
	s := unstarted(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are the test
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func caFile(t *testing.T, s *service) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTLS(t *testing.T) {
	s := serveTLS(t, realPprof())
	ca := caFile(t, s)
	tests := map[string]struct {
		tls  TLSConfig
		want gopprof.Reason
	}{
		"unknown signer":  {TLSConfig{}, gopprof.ReasonUnreachable},
		"known signer":    {TLSConfig{CAFile: ca}, ""},
		"by name":         {TLSConfig{CAFile: ca, ServerName: "example.com"}, ""},
		"another's name":  {TLSConfig{CAFile: ca, ServerName: "other.test"}, gopprof.ReasonUnreachable},
		"unverified":      {TLSConfig{InsecureSkipVerify: true}, ""},
		"CA file missing": {TLSConfig{CAFile: ca + "x"}, gopprof.ReasonUnreachable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig()
			cfg.TLS = tt.tls
			_, err := newTaker(cfg, Deps{}).Take(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindHeap))
			wantReason(t, err, tt.want)
		})
	}
}

// HTTP/2 is not spoken with targets that offer it: of its floods none can be met, and a request
// that ends closes its connection.
func TestTargetThatOffersHTTP2(t *testing.T) {
	spoken := make(chan string, 1)
	s := unstarted(func(_ http.ResponseWriter, r *http.Request) { spoken <- r.Proto })
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	cfg := testConfig()
	cfg.TLS.CAFile = caFile(t, s)
	_, err := newTaker(cfg, Deps{}).Take(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindHeap))
	wantReason(t, err, gopprof.ReasonInvalidProfile) // it answered nothing
	if got := <-spoken; got != "HTTP/1.1" {
		t.Errorf("asked by %s", got)
	}
}

func TestConfigMistakes(t *testing.T) {
	tests := map[string]struct {
		change func(*Config)
		key    string
	}{
		"defaults":       {func(*Config) {}, ""},
		"no slot":        {func(c *Config) { c.MaxAtOnce = 0 }, "max_at_once"},
		"no patience":    {func(c *Config) { c.Patience = 0 }, "patience"},
		"no retry":       {func(c *Config) { c.ContendedRetry = 0 }, "contended_retry"},
		"no connecting":  {func(c *Config) { c.ConnectTimeout = -1 }, "connect_timeout"},
		"no time":        {func(c *Config) { c.Timeout = 0 }, "timeout"},
		"no bytes":       {func(c *Config) { c.MaxBytes = 0 }, "max_bytes"},
		"no room":        {func(c *Config) { c.MaxCaptureBytes = c.MaxBytes - 1 }, "max_capture_bytes"},
		"no plain bytes": {func(c *Config) { c.MaxDecompressedBytes = 0 }, "max_decompressed_bytes"},
		"short default":  {func(c *Config) { c.DefaultCPUSeconds = time.Millisecond }, "default_cpu_seconds"},
		"short longest":  {func(c *Config) { c.MaxSeconds = 0 }, "max_seconds"},
		"crossed":        {func(c *Config) { c.MaxSeconds = 10 * time.Second }, "max_seconds"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := DefaultConfig()
			tt.change(&c)
			wantKeys(t, c.Check, tt.key)
		})
	}
	wantKeys(t, TLSConfig{CAFile: "/nowhere"}.Check, "ca_file")
	wantKeys(t, TLSConfig{CAFile: caFile(t, serveTLS(t, http.NotFound)), InsecureSkipVerify: true}.Check, "insecure_skip_verify")
}

func wantKeys(t *testing.T, check func(func(key, problem string)), want string) {
	t.Helper()
	got := ""
	check(func(key, problem string) {
		got += key
		if problem == "" {
			t.Errorf("%s: no problem named", key)
		}
	})
	if got != want {
		t.Errorf("mistakes in %q, want %q", got, want)
	}
}
