package store_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/aggregator/store/storetest"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/poll"
)

func s3Server(t *testing.T) (url string, server *parts.S3) {
	t.Helper()
	parts.Need(t, "versitygw")
	server, err := parts.StartS3(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	if url, err = server.Bucket("reports"); err != nil {
		t.Fatal(err)
	}
	return url, server
}

// The file's credentials count, whatever the environment says.
func TestS3CredentialsFile(t *testing.T) {
	url, server := s3Server(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "wrong")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	right, err := os.ReadFile(server.CredentialsFile)
	if err != nil {
		t.Fatal(err)
	}
	wrong := "[default]\naws_access_key_id = x\naws_secret_access_key = not-it-either\n"
	for name, c := range map[string]struct {
		file, parameters string
		works            bool
	}{
		"default profile": {string(right), "", true},
		"named profile":   {wrong + strings.Replace(string(right), "default", "gopprof", 1), "&profile=gopprof", true},
		"wrong secret":    {wrong, "", false},
		"no such profile": {string(right), "&profile=other", false},
		"no key in it":    {"[default]\nregion = x\n", "", false},
		"empty":           {"", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "credentials")
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			err := s3{url + c.parameters, path}.Open(t, func(*store.Config) {}).Fill(t.Context())
			if c.works != (err == nil) {
				t.Errorf("works: %v", err)
			}
			if err != nil && (strings.Contains(err.Error(), "not-it-either") || strings.Contains(err.Error(), "test-secret")) {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

// Without a file, the credentials are the AWS SDK's.
func TestS3CredentialsOfTheEnvironment(t *testing.T) {
	url, server := s3Server(t)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", server.CredentialsFile)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	if err := (s3{url, ""}).Open(t, func(*store.Config) {}).Fill(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestS3NoSuchBucket(t *testing.T) {
	url, server := s3Server(t)
	s := s3{strings.Replace(url, "s3://reports", "s3://nothing", 1), server.CredentialsFile}.Open(t, func(*store.Config) {})
	if err := s.Fill(t.Context()); err == nil {
		t.Error("a bucket that is not there is fine")
	}
}

// fakeS3 is an S3 that keeps blobs and nothing else right: it can be away, and it can
// ignore conditional writes, as old servers do.
type fakeS3 struct {
	away          atomic.Bool
	unconditional bool
	writeOnce     bool // refuses to overwrite, as a bucket under a retention policy does
	keeps         bool // refuses to delete, as that does too
	mu            sync.Mutex
	blobs         map[string][]byte
}

func (f *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.away.Load() {
		w.WriteHeader(http.StatusNotImplemented) // an error that the SDK does not try again
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	data, there := f.blobs[r.URL.Path]
	switch {
	case r.Method == http.MethodPut && there && r.Header.Get("If-None-Match") == "*" && !f.unconditional:
		w.WriteHeader(http.StatusPreconditionFailed)
		_ = xml.NewEncoder(w).Encode(struct {
			XMLName xml.Name `xml:"Error"`
			Code    string
		}{Code: "PreconditionFailed"})
	case r.Method == http.MethodPut && there && f.writeOnce, r.Method == http.MethodDelete && f.keeps:
		w.WriteHeader(http.StatusForbidden)
		_ = xml.NewEncoder(w).Encode(struct {
			XMLName xml.Name `xml:"Error"`
			Code    string
		}{Code: "AccessDenied"})
	case r.Method == http.MethodPut:
		f.blobs[r.URL.Path], _ = io.ReadAll(r.Body)
	case r.Method == http.MethodDelete:
		delete(f.blobs, r.URL.Path)
	case strings.Contains(r.URL.RawQuery, "list-type=2"):
		fmt.Fprint(w, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
	case !there:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		_, _ = w.Write(data)
	}
}

func startFakeS3(t *testing.T, f *fakeS3, log *zap.Logger) *store.Store {
	t.Helper()
	f.blobs = make(map[string][]byte)
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	credentials := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(credentials, []byte("[default]\naws_access_key_id=a\naws_secret_access_key=b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config("s3://bucket?use_path_style=true&region=us-east-1&request_checksum_calculation=when_required&endpoint=" + server.URL)
	cfg.CredentialsFile = credentials
	s, err := store.Open(t.Context(), cfg, log, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A backend that would let one report overwrite another is found out at start.
func TestS3WithoutConditionalWrites(t *testing.T) {
	s := startFakeS3(t, &fakeS3{unconditional: true}, zap.NewNop())
	if err := s.Fill(t.Context()); err == nil || !strings.Contains(err.Error(), "If-None-Match") {
		t.Errorf("filling the index: %v, want an error about If-None-Match", err)
	}
	if err := startFakeS3(t, &fakeS3{}, zap.NewNop()).Fill(t.Context()); err != nil {
		t.Errorf("with conditional writes: %v", err)
	}
}

// A store that is away at start is waited for; it is said once that it is away.
func TestS3AwayAtStart(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	f := &fakeS3{}
	f.away.Store(true)
	s := startFakeS3(t, f, zap.New(core))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	failed := func() int { return logs.FilterMessage("store rebuild failed").Len() }
	poll.Until(t, "the failure is logged", func() bool { return failed() > 0 })
	if err := s.Ready(); err == nil {
		t.Error("ready without a store")
	}
	if _, err := s.List(t.Context(), store.Query{}); err == nil {
		t.Error("listing without a store: no error")
	}
	f.away.Store(false)
	poll.Until(t, "the store is ready", func() bool { return s.Ready() == nil })
	if n := failed(); n != 1 {
		t.Errorf("failure logged %d times, want once", n)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A blob's read is bounded by what the store can hold in memory, not by what is there.
func TestReportTooLargeIsBroken(t *testing.T) {
	b := directory(t.TempDir())
	s := b.Open(t, func(*store.Config) {})
	r := storetest.Put(t, s, storetest.Capture(storetest.Noon(), 1))
	key := filepath.Dir(r.Files[0].Profile) + "/report.json"
	b.Plant(t, key, make([]byte, 17<<20))
	page, err := s.List(t.Context(), store.Query{})
	if err != nil || len(page.Reports) > 0 {
		t.Errorf("listed %d reports, %v", len(page.Reports), err)
	}
}
