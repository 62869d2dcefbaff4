package command

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	operationID = "01935f2a-0000-7000-8000-000000000001"
	reportID    = "01935f2a-0000-7000-8000-0000000000a1"
	report2ID   = "01935f2a-0000-7000-8000-0000000000a2"
	incidentID  = "01935f2a-0000-7000-8000-0000000000f1"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// scene is a server that speaks the API, and a world without a terminal.
type scene struct {
	t      *testing.T
	server *httptest.Server
	world  World
	first  context.Context // ends with interrupt
	// interrupt and leave are the first and the second Ctrl-C.
	interrupt, leave context.CancelFunc

	mu       sync.Mutex // guards what follows
	handlers map[string]http.HandlerFunc
	requests []request
	waits    []time.Duration
	started  []string
}

// request is one that the server got.
type request struct {
	call  string // "GET /api/v1/reports?limit=20"
	key   string
	token string
	body  string
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, handlers: map[string]http.HandlerFunc{}}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	last, leave := context.WithCancel(t.Context())
	s.leave = leave
	s.first, s.interrupt = context.WithCancel(last)
	t.Cleanup(leave)
	s.world = World{
		Name: "kubectl gopprof", Version: "v1.2.3", Last: last,
		Getenv: func(string) string { return "" }, Now: func() time.Time { return noon },
		Wait: func(ctx context.Context, d time.Duration) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.waits = append(s.waits, d)
			return ctx.Err()
		},
		Find: func(program string) (string, error) { return "/bin/" + program, nil },
		Start: func(_ context.Context, program string, args ...string) error {
			s.started = append(s.started, strings.Join(append([]string{program}, args...), " "))
			return nil
		},
	}
	return s
}

// ServeHTTP implements http.Handler.
func (s *scene) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.requests = append(s.requests, request{r.Method + " " + r.URL.RequestURI(), r.Header.Get(api.HeaderIdempotencyKey), r.Header.Get("Authorization"), string(body)})
	handler := s.handlers[r.Method+" "+r.URL.Path]
	s.mu.Unlock()
	if handler == nil {
		problem(404, gopprof.ReasonUnknown, "no such "+r.URL.Path)(w, r)
		return
	}
	handler(w, r)
}

func (s *scene) on(call string, h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[call] = h
}

// got returns the requests so far.
func (s *scene) got() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// calls returns the requests so far, each as its method and URI.
func (s *scene) calls() []string {
	var calls []string
	for _, r := range s.got() {
		calls = append(calls, r.call)
	}
	return calls
}

// run runs a command line against the server.
func (s *scene) run(args ...string) (code int, out, errs string) {
	s.t.Helper()
	return s.bare(append(args, "--server", s.server.URL)...)
}

// bare runs a command line as it is.
func (s *scene) bare(args ...string) (code int, out, errs string) {
	s.t.Helper()
	var o, e strings.Builder
	w := s.world
	w.Out, w.Err = &o, &e
	code = Run(s.first, w, args)
	return code, strings.ReplaceAll(o.String(), s.server.URL, "SERVER"), strings.ReplaceAll(e.String(), s.server.URL, "SERVER")
}

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant (-update writes it):\n%s", name, got, want)
	}
}

func answer(status int, v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
}

func problem(status int, reason gopprof.Reason, detail string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", api.ContentTypeProblem)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(api.Problem{Title: http.StatusText(status), Status: status, Reason: reason, Detail: detail})
	}
}

func bytesOf(data string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = io.WriteString(w, data)
	}
}

// events streams states, and closes.
func events(states ...gopprof.Operation) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, ": here it comes\n\n")
		for _, op := range states {
			data, _ := json.Marshal(op)
			_, _ = fmt.Fprintf(w, "event: state\ndata: %s\n\n", data)
		}
	}
}

// inTurn answers each request by the next handler, the last one again and again.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := handlers[min(n, len(handlers)-1)]
		n++
		mu.Unlock()
		h(w, r)
	}
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

func pod(name string) gopprof.Target {
	return gopprof.Target{
		Cluster: "c1", Node: "node-1", Namespace: "shop", Workload: gopprof.Workload{Kind: "Deployment", Name: "web"},
		Pod: name, Container: "web",
	}
}

// operation returns an operation in namespace shop, a capture for each state.
func operation(asked gopprof.Manual, captures ...gopprof.OperationCapture) gopprof.Operation {
	asked.Namespace = "shop"
	if asked.Kinds == nil {
		asked.Kinds = []gopprof.Kind{gopprof.KindCPU, gopprof.KindHeap}
	}
	return gopprof.Operation{ID: operationID, Who: "ann", At: noon.Add(-90 * time.Second), Asked: asked, Incident: incidentID, Matched: len(captures), Captures: captures}
}

func waiting(name string) gopprof.OperationCapture {
	return gopprof.OperationCapture{Capture: "capture-" + name, Target: pod(name), State: gopprof.CaptureWaiting}
}

func profiling(name string) gopprof.OperationCapture {
	c := waiting(name)
	c.State, c.Started, c.Until, c.SecondsLeft = gopprof.CaptureProfiling, noon, noon.Add(30*time.Second), 12
	return c
}

func storedAs(name, report string) gopprof.OperationCapture {
	c := waiting(name)
	c.State, c.Report = gopprof.CaptureStored, report
	return c
}

func failed(name string, reason gopprof.Reason, detail string) gopprof.OperationCapture {
	c := waiting(name)
	c.State, c.Reason, c.Detail = gopprof.CaptureFailed, reason, detail
	return c
}

func report(id, name string) gopprof.Report {
	return gopprof.Report{
		Version: 1, ID: id, MadeAt: noon, Page: "https://gopprof.example/reports/" + id,
		Capture: gopprof.Capture{
			ID: id, Incident: incidentID, Start: noon.Add(-4 * time.Minute), End: noon, Target: pod(name),
			Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual, Request: &gopprof.Request{Who: "ann", Operation: operationID}},
		},
		Explanation: gopprof.Explanation{
			Summary:  "asked for by ann; shop.(*Catalog).Price and what it calls use 71 % of 14.2 CPU seconds",
			Warnings: []string{"few samples"},
			Profiles: []gopprof.TopFunctions{
				{Kind: gopprof.KindCPU, SampleType: "cpu", Unit: "nanoseconds", Total: 14.2e9, Samples: 312, DurationSeconds: 30, Functions: []gopprof.Function{
					{Name: "runtime.memmove", File: "runtime/memmove_amd64.s", Line: 32, Flat: 6e9, Cum: 6e9},
					{Name: "shop.(*Catalog).Price", Flat: 4.1e9, Cum: 10.1e9},
				}},
				{Kind: gopprof.KindHeap, SampleType: "inuse_space", Unit: "bytes", Total: 3 << 30, Samples: 40, Functions: []gopprof.Function{
					{Name: "shop.load", File: "shop/load.go", Line: 7, Flat: 2 << 30, Cum: 2 << 30},
				}},
				{Kind: gopprof.KindMutex, Unit: "nanoseconds", Reason: gopprof.ReasonNotEnabled},
			},
		},
		Files: []gopprof.File{{Kind: gopprof.KindCPU, Profile: "k1"}, {Kind: gopprof.KindHeap, Profile: "k2"}},
	}
}

// reports lets the server hold reports and their profiles.
func (s *scene) reports(all ...gopprof.Report) {
	for _, r := range all {
		s.on("GET "+api.PathReport(r.ID), answer(200, r))
		for _, f := range r.Files {
			s.on("GET "+api.PathProfile(r.ID, f.Kind), bytesOf(string(f.Kind)+" of "+r.ID))
		}
	}
}

var errAbsent = errors.New("not in PATH")
