package take

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

// counting is a service that counts requests: each reading of its metrics finds so many
// more, and the page is what page makes of the count.
func counting(t *testing.T, page func(w http.ResponseWriter, n int64)) *service {
	t.Helper()
	profiles := realPprof()
	var n atomic.Int64
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			profiles(w, r)
			return
		}
		page(w, n.Add(40))
	})
}

func metricsOf(w http.ResponseWriter, n int64) {
	fmt.Fprintf(w, "# HELP http_requests_total served\n# TYPE http_requests_total counter\nhttp_requests_total{code=\"200\",path=\"/a b{c}\"} %d\n"+
		"http_requests_total{code=\"500\"} %d 1700000000000\nhttp_requests_total_other 7\nother{x=\"http_requests_total\"} 9\n", n, 10*n)
}

// What the target counts between the beginning and the end of its CPU profile is in the
// capture; nothing is asked of one that names no counter.
func TestRequestsAreCountedAroundTheCPUProfile(t *testing.T) {
	s := counting(t, metricsOf)
	target := s.target(t, "a")
	tk := newTaker(testConfig(), Deps{})
	c, err := tk.Take(t.Context(), byHand(id1, target, gopprof.KindCPU))
	if err != nil || c.Requests != 0 || len(s.asked()) != 1 {
		t.Fatalf("%v, %g requests, asked for %q", err, c.Requests, s.asked())
	}
	target.Counter = gopprof.Counter{Metric: "http_requests_total", Path: "/metrics"}
	if c, err = tk.Take(t.Context(), byHand(id2, target, gopprof.KindHeap, gopprof.KindCPU)); err != nil || c.Requests != 440 {
		t.Errorf("%v, %g requests, want 440: 40 and 400 more", err, c.Requests)
	}
	want := []string{"/debug/pprof/profile?seconds=1", "/debug/pprof/heap", "/metrics", "/debug/pprof/profile?seconds=1", "/metrics"}
	if got := s.asked(); !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

// Reading the counter is no part of what the profile is to explain.
func TestCPUOfCountingIsNotThatOfTheProfile(t *testing.T) {
	m := &spent{}
	profiles := realPprof()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			metricsOf(w, m.Add(100))
			return
		}
		m.Add(1)
		profiles(w, r)
	})
	target := s.target(t, "a")
	target.Counter = gopprof.Counter{Metric: "http_requests_total", Path: "/metrics"}
	c, err := newTaker(testConfig(), Deps{Meter: m}).Take(t.Context(), byHand(id1, target, gopprof.KindCPU))
	if err != nil || c.CPUSeconds != 1 || c.Requests == 0 {
		t.Errorf("%g CPU seconds, %g requests, %v", c.CPUSeconds, c.Requests, err)
	}
}

// spent is a meter that a test moves.
type spent struct{ atomic.Int64 }

func (s *spent) CPUSeconds(context.Context, gopprof.Target) (float64, error) {
	return float64(s.Load()), nil
}

// A counter is not read, as nothing is, where by now another pod may have the address.
func TestCounterOfATargetThatIsGone(t *testing.T) {
	for name, asked := range map[string][]string{
		"before the profile": {"/metrics"},
		"after the profile":  {"/metrics", "/debug/pprof/profile?seconds=1"},
	} {
		s := counting(t, metricsOf)
		target := s.target(t, "a")
		target.Counter = gopprof.Counter{Metric: "http_requests_total", Path: "/metrics"}
		verify := func(was gopprof.Target) (gopprof.Target, gopprof.Reason) {
			if len(s.asked()) >= len(asked) {
				return was, gopprof.ReasonGone
			}
			return was, ""
		}
		c, err := newTaker(testConfig(), Deps{Verify: verify}).Take(t.Context(), byHand(id1, target, gopprof.KindCPU))
		if got := s.asked(); !slices.Equal(got, asked) || len(c.Profiles) != len(asked)-1 || c.Requests != 0 {
			t.Errorf("gone %s: asked for %q, %d profiles, %g requests, %v", name, got, len(c.Profiles), c.Requests, err)
		}
	}
}

// A counter that cannot be read costs the capture nothing but the count.
func TestCountersThatSayNothing(t *testing.T) {
	plain := func(text string) func(http.ResponseWriter, int64) {
		return func(w http.ResponseWriter, n int64) { fmt.Fprint(w, strings.ReplaceAll(text, "N", fmt.Sprint(n))) }
	}
	for name, c := range map[string]struct {
		page   func(http.ResponseWriter, int64)
		reason gopprof.Reason // of the first reading
	}{
		"another metric":  {plain("http_requests_total_other N\n"), gopprof.ReasonBadInput},
		"an empty page":   {plain(""), gopprof.ReasonBadInput},
		"no number":       {plain("http_requests_total many\n"), gopprof.ReasonBadInput},
		"a broken label":  {plain("http_requests_total{code=\"200} N\n"), gopprof.ReasonBadInput},
		"NaN":             {plain("http_requests_total NaN\n"), gopprof.ReasonBadInput},
		"infinite":        {plain("http_requests_total +Inf\n"), gopprof.ReasonBadInput},
		"negative":        {plain("http_requests_total -N\n"), gopprof.ReasonBadInput},
		"beyond counting": {plain("http_requests_total 1e300\n"), gopprof.ReasonBadInput},
		// A parser that compares each label with all before it takes seconds for a line.
		"thousands of labels": {plain("http_requests_total{" + strings.Repeat("a=\"\",", 60_000/5) + "} N\n"), gopprof.ReasonTooLarge},
		"an endless line":     {plain("http_requests_total{x=\"" + strings.Repeat("x", 1<<20) + "\"} N\n"), gopprof.ReasonBadInput},
		"too many lines":      {plain(strings.Repeat("http_requests_total{code=\"200\"} N\n", 20_000)), gopprof.ReasonTooLarge},
		"a huge page":         {plain(strings.Repeat("x", countMaxBytes+1)), gopprof.ReasonTooLarge},
		"the same count":      {plain("http_requests_total 5\n"), ""},
		"it began anew":       {func(w http.ResponseWriter, n int64) { fmt.Fprintf(w, "http_requests_total %d\n", 1000-n) }, ""},
		"an error":            {func(w http.ResponseWriter, _ int64) { http.Error(w, "no", http.StatusForbidden) }, gopprof.ReasonStatus},
		"led elsewhere": {func(w http.ResponseWriter, _ int64) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(http.StatusFound)
		}, gopprof.ReasonRedirected},
		"terminal escapes": {plain("http_requests_total \x1b[2J\n"), gopprof.ReasonBadInput},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := counting(t, c.page)
			target := s.target(t, "a")
			target.Counter = gopprof.Counter{Metric: "http_requests_total", Path: "/metrics"}
			tk := newTaker(testConfig(), Deps{})
			capture, err := tk.Take(t.Context(), byHand(id1, target, gopprof.KindCPU))
			if err != nil || len(capture.Profiles) != 1 || capture.Requests != 0 {
				t.Errorf("%v, %d profiles, %g requests", err, len(capture.Profiles), capture.Requests)
			}
			if got := testutil.ToFloat64(tk.metrics.counts.WithLabelValues(string(c.reason))); got == 0 {
				t.Errorf("not counted as %q", c.reason)
			}
		})
	}
}

// A counter is looked for on the target's own host only, at a plain path.
func TestCounterThatLeadsElsewhere(t *testing.T) {
	s := counting(t, metricsOf)
	for _, bad := range []gopprof.Counter{{Metric: "n", Path: "@127.0.0.1:1/x"}, {Metric: "n", Path: "/../x"}, {Metric: "n", Path: "/metrics", Port: 1 << 20}} {
		target := s.target(t, "a")
		target.Counter = bad
		tk := newTaker(testConfig(), Deps{})
		if c, err := tk.Take(t.Context(), byHand(id1, target, gopprof.KindCPU)); err != nil || c.Requests != 0 {
			t.Errorf("%+v: %v, %g requests", bad, err, c.Requests)
		}
		if got := testutil.ToFloat64(tk.metrics.counts.WithLabelValues(string(gopprof.ReasonInvalidEndpoint))); got != 1 {
			t.Errorf("%+v: refused %g times", bad, got)
		}
	}
	for _, asked := range s.asked() {
		if !strings.HasPrefix(asked, "/debug/pprof/") {
			t.Errorf("asked for %q", asked)
		}
	}
}

func FuzzSumOf(f *testing.F) {
	f.Add([]byte("http_requests_total{a=\"b\"} 5\nhttp_requests_total 7\n"))
	f.Add([]byte("http_requests_total{a=\"}\\\"\n\"} 5 6\n# EOF"))
	f.Add([]byte("http_requests_total 1e400\nhttp_requests_total_bucket{le=\"+Inf\"} 3"))
	for _, name := range hostile.Names() {
		f.Add([]byte("http_requests_total{a=\"" + name + "\"} 5\n" + name + " 7\nhttp_requests_total " + name))
	}
	for _, file := range hostile.Files(8 << 10) {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		if n, err := sumOf(page, "http_requests_total"); err == nil && !(n >= 0) {
			t.Errorf("%g requests", n)
		}
	})
}
