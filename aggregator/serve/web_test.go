package serve_test

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

func TestReportPage(t *testing.T) {
	s := start(t, false)
	r := s.put("shop", "web-1")
	a := s.get(t, "/reports/"+r.ID)
	if a.status != 200 || a.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", a.status, a.header)
	}
	if p := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'none'; style-src 'self'") || strings.Contains(p, "script") {
		t.Errorf("policy: %s", p)
	}
	for _, want := range []string{
		"main.price burns 61 %", "few samples", "Deployment/web", "2026-11-22 11:59:00 UTC", "rule <bdi>cpu</bdi>: cpu above 80.0 % of its limit in 2 windows of 60 s",
		"97.0 % of the CPU time", ">cadvisor<", "0.930 cores of 1.000", "93.0 %", // evidence
		`class="agreement confirmed">confirmed<`, "91.4 %", // the second witness
		"17s", "60.7 %", "67.9 %", "<bdi>main.price</bdi>", // top functions
		`href="../api/v1/reports/` + r.ID + `/drawings/cpu">Call graph<`, `href="../api/v1/reports/` + r.ID + `/profiles/heap">Profile<`,
		`<img class="graph" src="../api/v1/reports/` + r.ID + `/drawings/cpu"`, `href="../api/v1/reports/` + r.ID + `/bundle.zip"`,
		"kubectl gopprof open " + r.ID, "kubectl gopprof capture pod/web-1 -n shop", `href="../operations/new?container=web&amp;name=web-1&amp;place=prod%2Fshop&amp;what=pod"`,
		"no call graph: draw_failed: dot is missing", "mutex: not_enabled",
		"<pre tabindex=\"0\"><code>go tool pprof " + s.URL + "/api/v1/reports/" + r.ID + "/profiles/cpu</code></pre>",
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
	if t.Failed() {
		t.Log(a.body)
	}
	style := s.get(t, "/style.css")
	if style.status != 200 || !strings.Contains(style.body, "prefers-color-scheme: dark") {
		t.Errorf("style: %d", style.status)
	}
}

// A capture that an alert asked for says which, and links to where it comes from, if that can
// be linked to.
func TestReportPageOfAnAlert(t *testing.T) {
	s := start(t, false)
	r := s.put("shop", "web-1")
	alert := &gopprof.Alert{Name: "Hot<script>", StartsAt: noon, GeneratorURL: "https://prometheus.example/graph?a=1&b=2"}
	s.shelf.reports[0].Capture.Trigger = gopprof.Trigger{Kind: gopprof.TriggerAlert, Request: &gopprof.Request{Who: "alertmanager"}, Alert: alert}
	const want = `alert <bdi>Hot&lt;script&gt;</bdi>, since <time datetime="2026-11-22T12:00:00Z">2026-11-22 12:00:00 UTC</time> (<a href="https://prometheus.example/graph?a=1&amp;b=2" rel="noreferrer">source</a>), asked for by <bdi>alertmanager</bdi>`
	if a := s.get(t, "/reports/"+r.ID); !strings.Contains(a.body, want) {
		t.Error(a.body)
	}
	alert.GeneratorURL = "javascript:alert(1)"
	if a := s.get(t, "/reports/"+r.ID); strings.Contains(a.body, "javascript:") {
		t.Error(a.body)
	}
}

// A node's capacity that stands in for a limit is never called a limit.
func TestReportPageOfAContainerWithoutLimit(t *testing.T) {
	s := start(t, false)
	r := s.put("shop", "web-1")
	for i := range r.Capture.Trigger.Evidence.Windows {
		r.Capture.Trigger.Evidence.Windows[i].CPU.Basis = gopprof.BasisNode
	}
	a := s.get(t, "/reports/"+r.ID)
	if !strings.Contains(a.body, "cpu above 80.0 % of its node&#39;s capacity in 2 windows of 60 s") || strings.Contains(a.body, "limit") {
		t.Error(a.body)
	}
}

// Why there is nothing to draw is said once.
func TestReportPageOfAProfileThatIsNotEnabled(t *testing.T) {
	s := start(t, false)
	r := s.put("shop", "web-1")
	stored := &s.shelf.reports[0]
	stored.Files[1].Reason, stored.Files[1].Detail = gopprof.ReasonNotEnabled, "the profiler is off"
	stored.Explanation.Profiles = append(stored.Explanation.Profiles,
		gopprof.TopFunctions{Kind: gopprof.KindHeap, Reason: gopprof.ReasonNotEnabled, Detail: "the profiler is off"})
	a := s.get(t, "/reports/"+r.ID)
	if n := strings.Count(a.body, "the profiler is off"); n != 1 {
		t.Errorf("said %d times: %s", n, a.body)
	}
}

func TestListPage(t *testing.T) {
	s := start(t, false)
	if a := s.get(t, "/"); a.status != 200 || !strings.Contains(a.body, "No reports") {
		t.Errorf("%d %s", a.status, a.body)
	}
	for range 51 {
		s.put("shop", "web-1")
	}
	a := s.get(t, "/?namespace=shop")
	if n := strings.Count(a.body, "<time "); n != 50 {
		t.Errorf("%d reports on the first page", n)
	}
	_, rest, _ := strings.Cut(a.body, `<a href="?`)
	next, _, _ := strings.Cut(rest, `"`)
	if !strings.Contains(next, "namespace=shop") {
		t.Fatalf("no way on: %q", next)
	}
	a = s.get(t, "/?"+strings.ReplaceAll(next, "&amp;", "&"))
	if n := strings.Count(a.body, "<time "); n != 1 || strings.Contains(a.body, "Older reports") {
		t.Errorf("%d reports on the second page", n)
	}
}

func TestMistakesOnPages(t *testing.T) {
	s := start(t, false)
	for path, want := range map[string]int{
		"/reports/" + newID(): 404, "/reports/x": 404, "/nothing": 404, "/?kind=cmdline": 422, "/?incident=1": 422, "/?after=x": 422,
	} {
		a := s.get(t, path)
		if a.status != want || a.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(a.body, "</html>") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// Whatever a profiled program calls itself is text.
func TestHostileNames(t *testing.T) {
	const evil = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x00\n{{.}}javascript:alert(1)"
	s := start(t, false)
	r := s.put("shop", "web")
	c := &s.shelf.reports[0].Capture
	c.Target = gopprof.Target{Cluster: evil, Node: evil, Namespace: evil, Workload: gopprof.Workload{Kind: evil, Name: evil}, Pod: evil,
		Container: evil, Image: evil, Owner: evil}
	c.Incident = evil
	c.Trigger.Kind, c.Trigger.Request = evil, &gopprof.Request{Who: evil}
	c.Trigger.Evidence.Rule, c.Trigger.Evidence.Resource, c.Trigger.Evidence.Windows[0].Witness = evil, evil, evil
	c.Agreement.Result, c.Agreement.Reason, c.Agreement.Detail = evil, evil, evil
	c.Failures = []gopprof.Failure{{Kind: evil, Reason: evil, Detail: evil}}
	e := &s.shelf.reports[0].Explanation
	e.Summary, e.Warnings = evil, []string{evil}
	e.Profiles[0].SampleType, e.Profiles[0].Unit, e.Profiles[0].Reason, e.Profiles[0].Detail = evil, evil, evil, evil
	e.Profiles[0].Functions[0] = gopprof.Function{Name: evil + strings.Repeat("x", 100_000), File: evil}
	s.shelf.reports[0].Files[1].Detail = evil
	s.explain(r.ID, evil)
	s.shelf.reports[0].Page = evil
	for _, path := range []string{"/", "/reports/" + r.ID, "/?namespace=" + strings.ReplaceAll(strings.ReplaceAll("\"><script>alert(1)</script>", "<", "%3C"), ">", "%3E") + "&kind=%3Cscript%3E"} {
		a := s.get(t, path)
		for _, never := range []string{"<script", "<img src=x", "\u202e", "\x00", "\"javascript:"} {
			if strings.Contains(a.body, never) {
				t.Errorf("%s holds %q", path, never)
			}
		}
		if len(a.body) > 100_000 {
			t.Errorf("%s has %d bytes", path, len(a.body))
		}
	}
}

// The command on the page of a server with tokens does what it says, in a real shell.
func TestCommandWithToken(t *testing.T) {
	needTools(t, "curl", "go", "sh")
	s := start(t, true)
	r := s.put("shop", "web")
	a := s.do(t, http.MethodGet, "/reports/"+r.ID, shopToken, "")
	_, rest, _ := strings.Cut(a.body, `<pre tabindex="0"><code>curl`)
	rest = "curl" + rest
	command, _, _ := strings.Cut(rest, "</code>")
	for entity, char := range map[string]string{"&#34;": `"`, "&#39;": "'", "&amp;": "&"} {
		command = strings.ReplaceAll(command, entity, char)
	}
	if strings.Contains(command, shopToken) {
		t.Errorf("the page shows the token: %s", command)
	}
	command = strings.Replace(command, "-http=localhost:0", "-top", 1)
	c := exec.CommandContext(t.Context(), "sh", "-c", command)
	c.Dir = t.TempDir()
	c.Env = append(c.Environ(), "GOPPROF_TOKEN="+shopToken, "PPROF_TMPDIR="+c.Dir, "GOFLAGS=-mod=mod")
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "flat%") {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
}
