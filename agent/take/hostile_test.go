package take

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

func TestRedirectIsRefused(t *testing.T) {
	var reached atomic.Int32
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	for _, code := range []int{301, 302, 303, 307, 308} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/debug/pprof/heap", code)
		})
		_, err := newTaker(testConfig(), Deps{}).Take(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindHeap))
		wantReason(t, err, gopprof.ReasonRedirected)
		if !strings.Contains(err.Error(), elsewhere.URL) {
			t.Errorf("error %q does not say where to", err)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the redirect's goal was reached %d times", n)
	}
}

func TestTransportHasNoProxyAndKeepsNothing(t *testing.T) {
	tr, err := transport(testConfig(), gopprof.Endpoint{Scheme: "http", Host: "127.0.0.1", Port: 1}, nil)
	if err != nil || tr.Proxy != nil || !tr.DisableKeepAlives || !tr.DisableCompression {
		t.Errorf("transport %+v, %v", tr, err)
	}
}

// What a hostile or broken endpoint may answer, and the name it gets.
func TestBadAnswers(t *testing.T) {
	tests := map[string]struct {
		answer http.HandlerFunc
		want   gopprof.Reason
	}{
		"not found":        {http.NotFound, gopprof.ReasonStatus},
		"needs a password": {status(401), gopprof.ReasonStatus},
		"no content":       {status(204), gopprof.ReasonStatus},
		"empty":            {status(200), gopprof.ReasonInvalidProfile},
		"a page":           {text("<html>log in</html>"), gopprof.ReasonInvalidProfile},
		"cut gzip":         {bomb(1 << 10)[:20].serve, gopprof.ReasonInvalidProfile},
		"a bomb":           {bomb(40 << 20).serve, gopprof.ReasonTooLarge},
		"named too large":  {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "999999999") }, gopprof.ReasonTooLarge},
		"endless":          {endless, gopprof.ReasonTooLarge},
		"slow drip":        {drip(true), gopprof.ReasonTimeout},
		"silent":           {drip(false), gopprof.ReasonTimeout},
		"cut":              {cut("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"), gopprof.ReasonUnreachable},
		"no HTTP":          {cut("SSH-2.0-OpenSSH_9.2\r\n"), gopprof.ReasonUnreachable},
		"hung up":          {cut(""), gopprof.ReasonUnreachable},
		"long header":      {headed(100 << 10), gopprof.ReasonUnreachable},
		"endless header":   {cut("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)), gopprof.ReasonUnreachable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := serve(t, tt.answer)
			cfg := testConfig()
			cfg.Timeout, cfg.ConnectTimeout, cfg.MaxBytes = 300*time.Millisecond, 200*time.Millisecond, 4<<20
			if name == "a bomb" || name == "endless" { // these end by their size, whatever the machine's load
				cfg.Timeout = time.Minute
			}
			_, err := newTaker(cfg, Deps{}).Take(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindHeap))
			wantReason(t, err, tt.want)
		})
	}
}

// headed answers with a profile, and a header of so many bytes.
func headed(bytes int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Header", strings.Repeat("x", bytes))
		_, _ = w.Write(profiletest.Heap(profiletest.On(1<<20, "main.f")))
	}
}

// Of what a target says with an error no more is read than is told.
func TestErrorsAreReadInPart(t *testing.T) {
	const size = 64 << 20
	var sent atomic.Int64
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		piece := bytes.Repeat([]byte("x"), 64<<10)
		for sent.Load() < size {
			if _, err := w.Write(piece); err != nil {
				return
			}
			sent.Add(int64(len(piece)))
		}
	})
	_, err := newTaker(testConfig(), Deps{}).Take(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindHeap))
	wantReason(t, err, gopprof.ReasonStatus)
	if n := sent.Load(); n >= size {
		t.Errorf("all of the %d bytes were read", n)
	}
}

// A target that answered nothing in time is not asked for another kind: it holds its place on
// the node for one time-out, however many kinds the order names.
func TestSilenceEndsTheCapture(t *testing.T) {
	s := serve(t, drip(false))
	cfg := testConfig()
	cfg.Timeout, cfg.ConnectTimeout = 300*time.Millisecond, 200*time.Millisecond
	_, err := newTaker(cfg, Deps{}).Take(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindHeap, gopprof.KindAllocs, gopprof.KindGoroutine))
	wantReason(t, err, gopprof.ReasonTimeout)
	if asked := s.asked(); len(asked) != 1 {
		t.Errorf("asked for %q, want the first alone", asked)
	}
	if err == nil || !strings.Contains(err.Error(), "goroutine: timeout") {
		t.Errorf("error %v: it does not say what became of the other kinds", err)
	}
}

// A target cannot fill the agent's memory by making every kind as large as one may be.
func TestWholeCaptureIsBounded(t *testing.T) {
	cfg := testConfig()
	cfg.MaxBytes, cfg.MaxCaptureBytes = 1<<20, 5<<18 // one and a quarter
	answers := map[string]int{"heap": 1 << 20, "allocs": 1<<18 + 1, "goroutine": 1 << 18, "mutex": 1}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(make([]byte, answers[path.Base(r.URL.Path)]))
	})
	tk := newTaker(cfg, Deps{Validate: func(gopprof.Kind, []byte) error { return nil }})
	c, err := tk.Take(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindHeap, gopprof.KindAllocs, gopprof.KindGoroutine, gopprof.KindMutex))
	if err != nil || len(c.Profiles) != 2 {
		t.Fatalf("capture %+v, %v, want heap and goroutine", c, err)
	}
	wantFailure(t, c, gopprof.KindAllocs, gopprof.ReasonTooLarge)
	wantFailure(t, c, gopprof.KindMutex, gopprof.ReasonTooLarge)
	if asked := s.asked(); len(asked) != 3 {
		t.Errorf("asked for %q: there was no room for the last one", asked)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
}

type body []byte

func (b body) serve(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) }

// bomb is gzip of so many zeros.
func bomb(n int64) body {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, _ = io.CopyN(z, zeros{}, n)
	_ = z.Close()
	return buf.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func endless(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, zeros{}) }

// drip answers with a byte now and then, or not at all, until the client has gone.
func drip(bytes bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
			if bytes {
				_, _ = w.Write([]byte{0x1f})
				_ = http.NewResponseController(w).Flush()
			}
		}
	}
}

// cut answers with these bytes and closes the connection.
func cut(raw string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, raw)
		_ = conn.Close()
	}
}

// A connection cut during one kind says nothing about the next.
func TestNextKindAfterACutConnection(t *testing.T) {
	real := realPprof()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/debug/pprof/profile" {
			cut("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")(w, r)
			return
		}
		real(w, r)
	})
	c, err := newTaker(testConfig(), Deps{}).Take(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindCPU, gopprof.KindHeap))
	if err != nil || len(c.Profiles) != 1 {
		t.Fatalf("capture %+v, %v", c, err)
	}
	wantFailure(t, c, gopprof.KindCPU, gopprof.ReasonUnreachable)
}

func TestNobodyListens(t *testing.T) {
	s := serve(t, http.NotFound)
	target := s.target(t, "a")
	s.Close()
	dialled := 0
	verify := func(tg gopprof.Target) (gopprof.Target, gopprof.Reason) { dialled++; return tg, "" }
	_, err := newTaker(testConfig(), Deps{Verify: verify}).Take(t.Context(), byHand(id1, target, gopprof.KindHeap, gopprof.KindAllocs))
	wantReason(t, err, gopprof.ReasonUnreachable)
	if dialled != 1 {
		t.Errorf("dialled %d times, want once: nobody will listen for the second kind either", dialled)
	}
}

func TestProfileOfAnotherKind(t *testing.T) {
	real := realPprof()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/debug/pprof/goroutine"
		real(w, r)
	})
	_, err := newTaker(testConfig(), Deps{}).Take(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindHeap))
	wantReason(t, err, gopprof.ReasonInvalidProfile)
}

func TestValidatorsVerdict(t *testing.T) {
	verdicts := map[gopprof.Reason]func(gopprof.Kind, []byte) error{
		gopprof.ReasonNotEnabled:     func(gopprof.Kind, []byte) error { return &Error{Reason: gopprof.ReasonNotEnabled} },
		gopprof.ReasonInvalidProfile: func(gopprof.Kind, []byte) error { return errors.New("odd") },
	}
	s := serve(t, realPprof())
	for want, validate := range verdicts {
		_, err := newTaker(testConfig(), Deps{Validate: validate}).Take(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindMutex))
		wantReason(t, err, want)
	}
	panics := func(gopprof.Kind, []byte) error { panic("index out of range") }
	_, err := newTaker(testConfig(), Deps{Validate: panics}).Take(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindHeap))
	wantReason(t, err, gopprof.ReasonInvalidProfile)
}

// Connecting takes seconds where packets are lost: a target that was replaced meanwhile, so that
// another has its address now, is sent nothing.
func TestTargetIsReplacedWhileItIsDialled(t *testing.T) {
	other := serve(t, realPprof())
	for name, as := range map[string]struct {
		now  func(gopprof.Target) (gopprof.Target, gopprof.Reason)
		want gopprof.Reason
	}{
		"gone":        {func(tg gopprof.Target) (gopprof.Target, gopprof.Reason) { return tg, gopprof.ReasonGone }, gopprof.ReasonGone},
		"terminating": {func(tg gopprof.Target) (gopprof.Target, gopprof.Reason) { return tg, gopprof.ReasonTerminating }, gopprof.ReasonTerminating},
		"moved": {func(tg gopprof.Target) (gopprof.Target, gopprof.Reason) {
			tg.Endpoint = other.target(t, "a").Endpoint
			return tg, ""
		}, gopprof.ReasonGone},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, realPprof())
			for _, kind := range []gopprof.Kind{gopprof.KindHeap, gopprof.KindCPU} {
				if name == "moved" && kind == gopprof.KindCPU {
					continue // taken where it is now, without the count
				}
				target, dialled := s.target(t, "a"), 0
				target.Counter = gopprof.Counter{Metric: "http_requests_total", Path: "/metrics"}
				_, err := newTaker(testConfig(), Deps{
					Allow: func(string) error { dialled++; return nil },
					Verify: func(tg gopprof.Target) (gopprof.Target, gopprof.Reason) {
						if dialled > 0 {
							return as.now(tg)
						}
						return tg, ""
					},
				}).Take(t.Context(), byHand(id1, target, kind))
				wantReason(t, err, as.want)
				if dialled == 0 {
					t.Error("it was not dialled")
				}
			}
			if asked := s.asked(); len(asked) != 0 {
				t.Errorf("asked for %q", asked)
			}
		})
	}
}

func TestVerifyComesBeforeEachDial(t *testing.T) {
	old := serve(t, realPprof())
	moved := serve(t, realPprof())
	var steps []string
	verify := func(tg gopprof.Target) (gopprof.Target, gopprof.Reason) {
		steps = append(steps, fmt.Sprintf("verify after %d requests", len(moved.asked())))
		if len(steps) == 5 {
			return tg, gopprof.ReasonTerminating
		}
		tg.Endpoint, tg.ContainerID, tg.Labels = moved.target(t, "a").Endpoint, "new", "app.kubernetes.io/name=web,track="
		return tg, ""
	}
	kinds := []gopprof.Kind{gopprof.KindHeap, gopprof.KindAllocs, gopprof.KindGoroutine, gopprof.KindMutex}
	c, err := newTaker(testConfig(), Deps{Verify: verify}).Take(t.Context(), byHand(id1, old.target(t, "a"), kinds...))
	if err != nil || len(c.Profiles) != 2 || c.Target.ContainerID != "new" {
		t.Fatalf("capture %+v, %v", c, err)
	}
	if want := map[string]string{"app.kubernetes.io/name": "web", "track": ""}; !maps.Equal(c.Labels, want) {
		t.Errorf("labels %q, want those of the target as it was verified, %q", c.Labels, want)
	}
	wantFailure(t, c, gopprof.KindGoroutine, gopprof.ReasonTerminating)
	wantFailure(t, c, gopprof.KindMutex, gopprof.ReasonTerminating)
	want := []string{"verify after 0 requests", "verify after 0 requests", "verify after 1 requests", "verify after 1 requests", "verify after 2 requests"}
	if !slices.Equal(steps, want) {
		t.Errorf("steps %q, want %q", steps, want)
	}
	if n := len(old.asked()); n != 0 {
		t.Errorf("the old address was asked %d times", n)
	}
}

// A failure's detail is a line of a report: foreign text in it is short and printable.
func TestDetailsAreClean(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "a\x1b[31m\nb\xff"+strings.Repeat("x", 5000))
	})
	real := realPprof()
	mixed := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/debug/pprof/heap" {
			real(w, r)
			return
		}
		s.Config.Handler.ServeHTTP(w, r)
	})
	c, err := newTaker(testConfig(), Deps{}).Take(t.Context(), byHand(id1, mixed.target(t, "a"), gopprof.KindMutex, gopprof.KindHeap))
	if err != nil {
		t.Fatal(err)
	}
	d := c.Failures[0].Detail
	if !strings.HasPrefix(d, "answered 418: a [31m b?xxx") || len(d) > 250 || strings.ContainsAny(d, "\x1b\n") {
		t.Errorf("detail %q", d)
	}
}

func TestAddressesThatNamesMayNotLeadTo(t *testing.T) {
	target := gopprof.Target{Endpoint: gopprof.Endpoint{Scheme: "http", Host: "127.0.0.1", Port: 1, Path: "/debug/pprof"}}
	for _, address := range []string{"169.254.169.254:80", "0.0.0.0:80", "[::]:80", "[fe80::1%lo]:80", "224.0.0.1:80", "[::ffff:169.254.169.254]:80", "nonsense"} {
		err := refuseAddr(address)
		wantReason(t, err, gopprof.ReasonInvalidEndpoint)
	}
	if err := refuseAddr(net.JoinHostPort(target.Endpoint.Host, "1")); err != nil {
		t.Errorf("loopback, which static targets use: %v", err)
	}
}

// The dialler holds what a name has led to against the same list, before anybody may connect to
// it. Nothing is dialled here: who is asked after it refuses everything.
func TestDiallerLooksAtTheAddress(t *testing.T) {
	for _, host := range []string{"169.254.169.254", "0.0.0.0", "fe80::1", "224.0.0.1"} {
		asked := 0
		e := gopprof.Endpoint{Scheme: "http", Host: host, Port: 80, Path: "/debug/pprof"}
		_, err := dial(t.Context(), testConfig(), e, func(string) error { asked++; return errors.New("not from this test") })
		wantReason(t, err, gopprof.ReasonInvalidEndpoint)
		if asked > 0 {
			t.Errorf("%s: it would have been dialled", host)
		}
	}
}
