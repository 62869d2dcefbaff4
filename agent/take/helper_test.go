package take

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
)

const (
	id1 = "01938f00-0000-7000-8000-000000000001"
	id2 = "01938f00-0000-7000-8000-000000000002"
	id3 = "01938f00-0000-7000-8000-000000000003"
)

// service is a target: a server and the requests that reached it.
type service struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string
}

func (s *service) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

// serve starts a target with a handler of its own.
func serve(t *testing.T, h http.HandlerFunc) *service {
	t.Helper()
	s := unstarted(h)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func unstarted(h http.HandlerFunc) *service {
	s := &service{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.URL.RequestURI())
		s.mu.Unlock()
		h(w, r)
	}))
	return s
}

// realPprof is net/http/pprof as a service mounts it. It profiles this test's own process.
func realPprof() http.HandlerFunc {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux.ServeHTTP
}

// target returns the target that a service is; the pod's name tells targets apart.
func (s *service) target(t *testing.T, pod string) gopprof.Target {
	t.Helper()
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	scheme := "http"
	if s.TLS != nil {
		scheme = "https"
	}
	return gopprof.Target{Namespace: "shop", Pod: pod, Container: "app", Endpoint: gopprof.Endpoint{Scheme: scheme, Host: host, Port: n, Path: "/debug/pprof"}}
}

// testConfig is the default with short waits.
func testConfig() Config {
	cfg := DefaultConfig()
	cfg.DefaultCPUSeconds = time.Second
	cfg.ContendedRetry = 10 * time.Millisecond
	return cfg
}

func newTaker(cfg Config, deps Deps) *Taker {
	return New(cfg, deps, zap.NewNop(), prometheus.NewRegistry())
}

func byHand(id string, target gopprof.Target, kinds ...gopprof.Kind) Order {
	return Order{Capture: id, Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual}, Target: target, Kinds: kinds}
}

// background takes a capture and hands over its end.
func background(t *testing.T, tk *Taker, o Order) <-chan result {
	t.Helper()
	done := make(chan result, 1)
	go func() {
		c, err := tk.Take(t.Context(), o)
		done <- result{c, err}
	}()
	return done
}

type result struct {
	capture gopprof.Capture
	err     error
}

func wait(t *testing.T, done <-chan result) result {
	t.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(30 * time.Second):
		t.Fatal("the capture did not end")
	}
	return result{}
}

// poll waits until a condition holds.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func wantReason(t *testing.T, err error, want gopprof.Reason) {
	t.Helper()
	if got := gopprof.ReasonOf(err); got != want {
		t.Errorf("reason %q (%v), want %q", got, err, want)
	}
}

func wantFailure(t *testing.T, c gopprof.Capture, k gopprof.Kind, want gopprof.Reason) {
	t.Helper()
	for _, f := range c.Failures {
		if f.Kind == k {
			if f.Reason != want {
				t.Errorf("%s failed as %q (%s), want %q", k, f.Reason, f.Detail, want)
			}
			return
		}
	}
	t.Errorf("no failure of %s in %+v, want %q", k, c.Failures, want)
}

func counted(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	return testutil.ToFloat64(c)
}
