package app

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/receive"
	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
)

// troubledS3 is the way to a real S3 server, on which half of all calls fail: below the
// driver, whose own attempts are among them.
type troubledS3 struct {
	server string // "host:port"

	mu      sync.Mutex
	random  *rand.Rand
	first   int            // how many calls fail for certain, before half of them do
	calls   int            // that came
	met     map[string]int // by trouble
	written map[string]int // by path: how often the server wrote it
}

// The troubles. Of the last three the server has done the work, and who asked does not know.
var troubles = []string{"500", "503", "reset", "reset after the work", "500 after the work", "half of the answer"}

// next is the trouble of a call, or nothing.
func (s *troubledS3) next() (trouble string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.calls > s.first && s.random.IntN(2) == 0 {
		return ""
	}
	trouble = troubles[s.random.IntN(len(troubles))]
	s.met[trouble]++
	return trouble
}

func (s *troubledS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	trouble := s.next()
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		reset(w)
		return
	}
	switch trouble {
	case "500":
		http.Error(w, "", http.StatusInternalServerError)
		return
	case "503":
		http.Error(w, "", http.StatusServiceUnavailable)
		return
	case "reset":
		reset(w)
		return
	}
	answer, body, err := s.ask(r, sent)
	switch {
	case err != nil || trouble == "reset after the work":
		reset(w)
		return
	case trouble == "500 after the work":
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	if trouble == "half of the answer" {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		reset(w)
		return
	}
	_, _ = w.Write(body)
}

// ask has the server do what it was asked. The request is the client's own, with the host
// that it signed.
func (s *troubledS3) ask(r *http.Request, sent []byte) (*http.Response, []byte, error) {
	again := r.Clone(r.Context())
	again.RequestURI, again.URL.Scheme, again.URL.Host = "", "http", s.server
	again.Body = io.NopCloser(bytes.NewReader(sent))
	way := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	answer, err := way.RoundTrip(again)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if r.Method == http.MethodPut && answer.StatusCode == http.StatusOK {
		s.mu.Lock()
		s.written[r.URL.Path]++
		s.mu.Unlock()
	}
	return answer, body, err
}

// reset ends the connection as a server does that crashes.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// s3Scene is a scene whose store is in a real S3 server, with troubles on the way of
// aggregators, and none on that of the test.
func s3Scene(t *testing.T, way *troubledS3) *scene {
	t.Helper()
	parts.Need(t, "versitygw")
	server, err := parts.StartS3(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	direct, err := server.Bucket("reports")
	if err != nil {
		t.Fatal(err)
	}
	troubled := httptest.NewServer(way)
	t.Cleanup(troubled.Close)
	way.server = strings.TrimPrefix(server.Endpoint, "http://")
	s := newScene(t)
	s.dir = server.Files("reports")
	open := func(url string) *store.Store {
		cfg := store.DefaultConfig()
		cfg.URL, cfg.CredentialsFile = url, server.CredentialsFile
		out, err := store.Open(t.Context(), cfg, zap.NewNop(), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = out.Close() })
		return out
	}
	s.opens = func() *store.Store { return open(direct) }
	through := strings.Replace(direct, url.QueryEscape(server.Endpoint), url.QueryEscape(troubled.URL), 1)
	s.open = func() (*bus.Aggregator, storer) { return s.b.Aggregator(), open(through) }
	return s
}

// Half of the calls to an S3 server fail, on the wire; of some the server has done the work.
// Every capture is stored once, each of its files is written once, and the log says why
// captures were given back.
func TestS3ThatFailsHalfOfItsCalls(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("the seed is %d", seed)
	const workers, attempts = 3, 3 // the SDK's attempts at one call, unless it is told
	way := &troubledS3{
		random: rand.New(rand.NewPCG(seed, 0)), met: map[string]int{}, written: map[string]int{},
		first: workers*(attempts-1) + 1, // so that all attempts at some call fail, whoever comes first
	}
	s := s3Scene(t, way)
	s.large = 1 << 10
	s.tune = func(c *receive.Config) { c.Workers = workers }
	logs := s.troubles(func(context.Context, string) (before, after error) { return nil, nil })
	captures := s.several(workers)
	s.work()
	s.allOnce(t, captures)
	told := 0
	for _, c := range captures {
		told += givenBack(logs, c, gopprof.ReasonStoreFailed)
	}
	if told == 0 || told != logs.FilterMessage("capture given back").Len() {
		t.Errorf("%d times the log says that the store failed, which was the only trouble: %v", told, logs.All())
	}
	way.check(t, captures)
}

// check checks that there was trouble of each sort of consequence, and that the server wrote
// each file of the captures once.
func (s *troubledS3) check(t *testing.T, captures []gopprof.Capture) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	failed := 0
	for _, n := range s.met {
		failed += n
	}
	t.Logf("%d of %d calls failed: %v", failed, s.calls, s.met)
	if failed < s.calls/4 {
		t.Errorf("only %d of %d calls failed", failed, s.calls)
	}
	const files = 5 // two profiles, two drawings, and the report
	if len(s.written) != files*len(captures) {
		t.Errorf("%d files were written, want %d", len(s.written), files*len(captures))
	}
	for path, n := range s.written {
		if n != 1 {
			t.Errorf("%s was written %d times", path, n)
		}
	}
}
