package serve_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

const picture = `<svg xmlns="http://www.w3.org/2000/svg"><text>evidence</text></svg>`

// explain gives a report a verdict with everything that may be in one, whose names and texts
// are the program's.
func (s *scene) explain(id, name string) *gopprof.Report {
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	r := &s.shelf.reports[slices.IndexFunc(s.shelf.reports, func(r gopprof.Report) bool { return r.ID == id })]
	typical := 0.02
	stored, earlier := newID(), newID()
	r.Picture = id + "/evidence.svg"
	s.shelf.blobs[r.Picture] = []byte(picture)
	r.Explanation.Verdict = &gopprof.Verdict{Version: gopprof.VerdictVersion, Scope: gopprof.ScopePod, Causes: []gopprof.Cause{
		{Kind: gopprof.CauseCodeHot, Confidence: gopprof.ConfidenceSure, Line: name + " takes 61 %", Function: name, Path: []string{name, name}, Share: 0.61, Proof: []gopprof.Proof{
			{What: "CPU in " + name, Value: 0.61, Unit: "ratio", Typical: &typical}, {What: "Time to the limit", Value: 5400, Unit: "seconds"},
			{What: "Heap", Value: 3 << 20, Unit: "bytes"}, {What: "Use", Value: 1.5, Unit: "cores"}, {What: "Goroutines", Value: 12345, Unit: "count"}, {What: name, Value: 1, Unit: name},
		}},
		{Kind: gopprof.CauseKind(name), Confidence: gopprof.Confidence(name), Line: name},
	}}
	r.Explanation.Differences = []gopprof.Difference{{
		Kind: gopprof.KindCPU, Unit: "cores", Here: 1.93, Typical: 0.41, Significant: true, Note: name,
		With:      []gopprof.Comparator{{Report: stored, Pod: "web-2"}, {Report: earlier, Pod: name, Earlier: true}, {Report: name, Pod: name}},
		Functions: []gopprof.Growth{{Function: name, File: name, Here: 1.2, Typical: 0.012, HereShare: 0.62, TypicalShare: 0.029, Excess: 0.78, Sigma: 31.44, Own: true, Below: name, Path: []string{name}}},
	}, {Kind: gopprof.Kind(name), Unit: name, SameShares: true}, {Kind: gopprof.KindHeap, Unit: "bytes"}}
	r.Siblings = []gopprof.Sibling{
		{Capture: stored, Target: gopprof.Target{Pod: "web-2"}, State: gopprof.SiblingStored}, {Capture: name, Target: gopprof.Target{Pod: name}, State: gopprof.SiblingStored},
		{Capture: earlier, Target: gopprof.Target{Pod: "web-3"}, State: gopprof.SiblingFailed, Reason: gopprof.ReasonContended, Detail: name},
		{Capture: earlier, Target: gopprof.Target{Pod: "web-4"}, State: gopprof.SiblingAsked}, {State: gopprof.SiblingState(name), Reason: gopprof.Reason(name)},
	}
	r.Fleet = &gopprof.Fleet{Pods: 6, Build: 5, Hot: 1, Quiet: 4}
	return r
}

func TestWhyOnTheReportPage(t *testing.T) {
	s := start(t, false)
	id := s.put("shop", "web-1").ID
	r := s.explain(id, "main.price")
	page := s.get(t, "/reports/"+id)
	if p := page.header.Get("Content-Security-Policy"); p != "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'" {
		t.Errorf("policy: %s", p)
	}
	last := -1
	for _, want := range []string{ // in this order
		"few samples", "main.price burns 61 %", "<h2>Why</h2>",
		"this pod: others of its workload are quiet", "6 pods, 5 of this build: 1 hot, 4 quiet",
		"main.price takes 61 %", `class="confidence sure">sure<`, "Look first at <code><bdi>main.price</bdi></code>", "main.price → main.price",
		"CPU in main.price", "61.0 %", "2.0 %", "Time to the limit", "1h30m<", "3 MiB<", "1.500 cores", "12345<",
		`<img class="evidence" src="../api/v1/reports/` + id + `/evidence.svg" alt="CPU use of this pod in the 15 minutes`,
		"What grew: cpu", "1.930 cores here, 0.410 cores in others.", `<a href="../reports/` + r.Explanation.Differences[0].With[0].Report + `"><bdi>web-2</bdi></a>`, "<small>earlier</small>", ", <bdi>main.price</bdi>.",
		"1.200 cores <small>62.0 %</small>", "78.0 %", "31.4<", "or less, of the same work", "What grew: heap", "Nothing differs by more than chance",
		`<a href="../reports/` + r.Siblings[0].Capture + `"><bdi>web-2</bdi></a>: profiled`, "<li><bdi>main.price</bdi>: profiled", "web-3</bdi>: failed: contended (", "came too late",
		"Workload", "Deployment/web",
	} {
		at := strings.Index(page.body[last+1:], want)
		if at < 0 {
			t.Fatalf("the page does not hold %q after %q:\n%s", want, page.body[:last+1], page.body[last+1:])
		}
		last += 1 + at
	}
}

// A report of before the verdict has no empty section.
func TestNothingOfWhy(t *testing.T) {
	s := start(t, false)
	if a := s.get(t, "/reports/"+s.put("shop", "web-1").ID); strings.Contains(a.body, "Why</h2>") || strings.Contains(a.body, "evidence.svg") {
		t.Error(a.body)
	}
}

func TestNoCause(t *testing.T) {
	s := start(t, false)
	id := s.put("shop", "web-1").ID
	s.shelf.reports[0].Explanation.Verdict = &gopprof.Verdict{Version: 1, Scope: gopprof.ScopeUnknown}
	if a := s.get(t, "/reports/"+id); !strings.Contains(a.body, "No cause could be named.") || !strings.Contains(a.body, "nothing is known of other pods") {
		t.Error(a.body)
	}
}

func TestEvidencePicture(t *testing.T) {
	s := start(t, true)
	r := s.explain(s.put("shop", "web").ID, "web")
	path := "/api/v1/reports/" + r.ID + "/evidence.svg"
	a := s.do(t, http.MethodGet, path, shopToken, "")
	if a.status != 200 || a.body != picture {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for key, want := range map[string]string{
		"Content-Type": "image/svg+xml", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
		"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox", "Cache-Control": "private, max-age=86400, immutable",
	} {
		if got := a.header.Get(key); got != want {
			t.Errorf("%s: %q", key, got)
		}
	}
	if a := s.get(t, path); a.status != 401 {
		t.Errorf("without a token: %d", a.status)
	}
	r.Picture = "swept/evidence.svg"
	if p := s.do(t, http.MethodGet, path, shopToken, "").problem(t); p.Status != 404 || p.Reason != gopprof.ReasonUnknown {
		t.Errorf("%+v", p)
	}
}
