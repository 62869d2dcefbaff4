package serve_test

import (
	"archive/zip"
	"bytes"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// shop is a scene with everything that a page may show: a report with a verdict and a stored
// sibling, targets of three namespaces on two nodes, an operation.
func shop(t *testing.T, tokens bool, change ...func(*serve.Config)) (s *scene, hot, sibling gopprof.Report) {
	t.Helper()
	s = start(t, tokens, change...)
	sibling, hot = s.put("shop", "web-2"), s.put("shop", "web-1")
	r := s.explain(hot.ID, "main.price")
	r.Siblings[0].Capture = sibling.ID
	r.Explanation.Differences[0].With[0].Report, r.Explanation.Differences[0].With[1].Report = sibling.ID, sibling.ID
	target := func(namespace, pod string) gopprof.Target {
		return gopprof.Target{Cluster: "prod", Node: "node-a", Namespace: namespace, Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}, Pod: pod, Container: "web"}
	}
	s.desk.nodes = []gopprof.NodeState{
		{Cluster: "prod", Node: "node-a", At: noon, Targets: []gopprof.TargetState{
			{Target: target("shop", "web-1"), Local: []gopprof.Window{{HasCPU: true, CPU: gopprof.Use{Mean: 0.93, Limit: 1, Ratio: 0.93}}},
				Rules: []gopprof.RuleState{{Rule: "cpu", Reason: gopprof.ReasonCooldown, LastCapture: hot.ID}}},
			{Target: target("bank", "vault-0"), Rules: []gopprof.RuleState{{Rule: "cpu", Reason: gopprof.ReasonBelowThreshold}}},
		}, Refused: []gopprof.Refusal{{Target: target("shop", "odd"), Reason: gopprof.ReasonNoLimit, Detail: "no limit"}}},
		{Cluster: "prod", Node: "node-b", At: noon.Add(-time.Hour), Targets: []gopprof.TargetState{{Target: target("cart", "cart-1")}}},
	}
	s.desk.merge = []byte("merged")
	s.desk.op = gopprof.Operation{ID: newID(), Who: "ada", At: noon, Asked: gopprof.Manual{Namespace: "shop", Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}},
		Captures: []gopprof.OperationCapture{
			{Capture: hot.ID, Target: target("shop", "web-1"), State: gopprof.CaptureStored, Report: hot.ID},
			{Target: target("shop", "web-2"), State: gopprof.CaptureProfiling, SecondsLeft: 12},
		}}
	return s, *r, sibling
}

var addresses = regexp.MustCompile(`(?:href|src|action|data-events)="([^"]*)"`)

// TestEveryAddressOfEveryPage: what a page leads to is there, resolved as a browser does,
// wherever the server is mounted.
func TestEveryAddressOfEveryPage(t *testing.T) {
	for _, prefix := range []string{"", "/gopprof"} {
		s, hot, sibling := shop(t, false, func(c *serve.Config) { c.PathPrefix = prefix })
		seen := map[string]string{prefix + "/": "the start"}
		for todo := []string{prefix + "/", prefix + "/operations/" + s.desk.op.ID + "/merged"}; len(todo) > 0; todo = todo[1:] {
			a := s.get(t, todo[0])
			if a.status != 200 && !strings.HasSuffix(todo[0], "/cancel") {
				t.Errorf("%s, from %s: %d", todo[0], seen[todo[0]], a.status)
			}
			if !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
				continue
			}
			for _, m := range addresses.FindAllStringSubmatch(a.body, -1) {
				at, err := url.Parse(todo[0])
				if err != nil {
					t.Fatal(err)
				}
				to, err := at.Parse(html.UnescapeString(m[1]))
				if err != nil || to.Host != "" || !strings.HasPrefix(to.Path, prefix+"/") {
					t.Errorf("%s leads to %q", todo[0], m[1])
					continue
				}
				next := to.Path
				if to.RawQuery != "" {
					next += "?" + to.RawQuery
				}
				if _, known := seen[next]; !known && !strings.HasSuffix(next, "/events") && to.Fragment == "" {
					seen[next] = todo[0]
					todo = append(todo, next)
				}
			}
		}
		for _, want := range []string{"/targets", "/operations", "/operations/new", "/live.js", "/operations/" + s.desk.op.ID, "/operations/" + s.desk.op.ID + "/cancel",
			"/reports/" + hot.ID + "/pprof/cpu/flamegraph", "/reports/" + hot.ID + "/pprof/cpu/against/" + sibling.ID + "/flamegraph"} {
			if _, ok := seen[prefix+want]; !ok {
				t.Errorf("nothing leads to %s", want)
			}
		}
		if len(seen) < 15 {
			t.Errorf("only %d addresses: %v", len(seen), slices.Collect(maps.Keys(seen)))
		}
	}
}

func TestListFilters(t *testing.T) {
	s, _, _ := shop(t, false)
	a := s.get(t, "/reports?namespace=shop&cause=code_hot&kind=cpu&from=2026-11-22T11:00&to=2026-11-22T13:00")
	for _, want := range []string{`<option selected>code_hot</option>`, `<option selected>cpu</option>`, `value="2026-11-22T11:00"`, `name="workload"`, `class="confidence sure">sure<`} {
		if a.status != 200 || !strings.Contains(a.body, want) {
			t.Errorf("%d: no %s", a.status, want)
		}
	}
	q := s.shelf.asked
	if q.Cause != gopprof.CauseCodeHot || q.Kind != gopprof.KindCPU || !q.From.Equal(noon.Add(-time.Hour)) || !q.To.Equal(noon.Add(time.Hour)) || q.Limit != api.DefaultLimit {
		t.Errorf("asked for %+v", q)
	}
	for path, want := range map[string]string{
		"/?cause=magic": "not one of", "/?from=yesterday": "is no moment", "/?from=2026-11-22&to=2026-11-21": "must be after",
	} {
		if a := s.get(t, path); a.status != 422 || !strings.Contains(a.body, want) || !strings.Contains(a.body, `role="alert"`) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if p := s.get(t, "/api/v1/reports?cause=magic").problem(t); p.Status != 422 || p.Reason != gopprof.ReasonBadInput {
		t.Errorf("%+v", p)
	}
}

func TestSideBySideAndHistory(t *testing.T) {
	s, hot, sibling := shop(t, false)
	s.shelf.reports[1].Explanation.Profiles[0].Functions[0].Cum /= 10
	a := s.get(t, "/reports/"+hot.ID)
	for _, want := range []string{
		"Side by side: cpu", `<th scope="col" class="number"><a href="../reports/` + sibling.ID + `"><bdi>web-2</bdi></a></th>`,
		`<td><code><bdi>main.price</bdi></code></td><td class="number">67.9 %</td><td class="number">6.8 %</td>`, "All of it",
		"go tool pprof -diff_base " + s.URL + "/api/v1/reports/" + sibling.ID + "/profiles/cpu " + s.URL + "/api/v1/reports/" + hot.ID + "/profiles/cpu",
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s", want)
		}
	}
	_, past, _ := strings.Cut(a.body, "<h2>History of")
	if !strings.Contains(past, sibling.ID) || strings.Contains(past, hot.ID) {
		t.Errorf("history: %s", past)
	}
}

func TestTargetsPage(t *testing.T) {
	s, hot, _ := shop(t, true)
	a := s.do(t, http.MethodGet, "/targets", shopToken, "")
	for _, want := range []string{"2 targets on 1 node", "shop/web-1", "0.930 cores of 1.000", "cooldown", `href="reports/` + hot.ID + `"`, "not watched: no_limit", `operations/new?container=web`, "signed in as <bdi>team-shop</bdi>"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in %s", want, a.body)
		}
	}
	if strings.Contains(a.body, "vault") || strings.Contains(a.body, "cart-1") {
		t.Error("another namespace's targets")
	}
	a = s.do(t, http.MethodGet, "/targets?reason=below_threshold&namespace=bank", adminToken, "")
	if !strings.Contains(a.body, "1 target on 2 nodes") || !strings.Contains(a.body, "vault-0") || !strings.Contains(a.body, "Not heard of lately: <bdi>node-b</bdi>") {
		t.Error(a.body)
	}
}

// Pages of targets hold each once.
func TestPagesOfTargets(t *testing.T) {
	s := start(t, false)
	for i := range 450 {
		n := gopprof.NodeState{Cluster: "prod", Node: "n", At: noon, Targets: []gopprof.TargetState{{Target: gopprof.Target{Cluster: "prod", Namespace: "shop", Pod: "web-" + string(rune('a'+i%26)) + "-" + newID()}}}}
		s.desk.nodes = append(s.desk.nodes, n)
	}
	seen, pages := map[string]int{}, 0
	for path := "/targets?namespace=shop"; path != ""; pages++ {
		a := s.get(t, path)
		for _, m := range regexp.MustCompile(`<bdi>shop/(web-[^<]*)</bdi>`).FindAllStringSubmatch(a.body, -1) {
			seen[m[1]]++
		}
		_, rest, _ := strings.Cut(a.body, `<p><a href="?`)
		next, _, ok := strings.Cut(rest, `"`)
		if path = "/targets?" + html.UnescapeString(next); !ok {
			path = ""
		}
	}
	if pages != 3 || len(seen) != 450 {
		t.Errorf("%d targets on %d pages", len(seen), pages)
	}
	for pod, n := range seen {
		if n != 1 {
			t.Errorf("%s stands there %d times", pod, n)
		}
	}
}

// post sends a form as a browser does, from a page of this server or of another.
func (s *scene) post(t *testing.T, path, token, site string, form url.Values) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", site)
	if token != "" {
		r.SetBasicAuth("me", token)
	}
	res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

func TestProfileNow(t *testing.T) {
	s, _, _ := shop(t, true)
	a := s.do(t, http.MethodGet, "/operations/new?place=prod%2Fshop&what=pod&name=web-1", shopToken, "")
	for _, want := range []string{`<option value="prod/shop" selected>shop (cluster prod)</option>`, `name="name" value="web-1"`, `<option value="Deployment/web">`, `value="heap" checked`, `value="trace"> trace`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the form lacks %s: %s", want, a.body)
		}
	}
	if strings.Contains(a.body, "bank") {
		t.Error("the form offers what the caller may not do")
	}
	key := regexp.MustCompile(`name="key" value="([^"]+)"`).FindStringSubmatch(a.body)
	form := url.Values{"place": {"prod/shop"}, "what": {"workload"}, "name": {"Deployment/web"}, "kinds": {"cpu", "mutex"}, "seconds": {"12.5"}, "max_pods": {"3"}, "merge": {"yes"}, "key": {key[1]}}
	a = s.post(t, "/operations", shopToken, "same-origin", form)
	if a.status != 303 || a.header.Get("Location") != "operations/"+s.desk.op.ID {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	want := gopprof.Manual{Who: "team-shop", Cluster: "prod", Namespace: "shop", Workload: gopprof.Workload{Kind: "Deployment", Name: "web"},
		Kinds: []gopprof.Kind{gopprof.KindCPU, gopprof.KindMutex}, CPUSeconds: 12.5, MaxPods: 3, Merge: true, Key: key[1]}
	if got := s.desk.asked; len(got) != 1 || !equalManual(got[0], want) {
		t.Errorf("asked %+v", got)
	}
	for field, wrong := range map[string]string{"place": "shop", "what": "all", "name": "", "kinds": "cmdline", "seconds": "601", "max_pods": "many"} {
		bad := maps.Clone(form)
		bad[field] = []string{wrong}
		if a := s.post(t, "/operations", shopToken, "same-origin", bad); a.status != 422 || !strings.Contains(a.body, `role="alert"`) || !strings.Contains(a.body, `value="12.5"`) && field != "seconds" {
			t.Errorf("%s=%q: %d %s", field, wrong, a.status, a.body)
		}
	}
	form.Set("place", "prod/bank")
	if a := s.post(t, "/operations", shopToken, "same-origin", form); a.status != 403 || !strings.Contains(a.body, "you may not profile in namespace") {
		t.Errorf("another namespace: %d %s", a.status, a.body)
	}
	form.Set("place", "prod/shop")
	if a := s.post(t, "/operations", shopToken, "cross-site", form); a.status != 403 {
		t.Errorf("from another site: %d", a.status)
	}
	s.desk.err = &gopprof.Error{Reason: gopprof.ReasonBudget, Detail: "too many at once"}
	if a := s.post(t, "/operations", shopToken, "same-origin", form); a.status != 429 || !strings.Contains(a.body, "budget: too many at once") {
		t.Errorf("refused: %d %s", a.status, a.body)
	}
	if len(s.desk.asked) != 2 { // the first and the one refused by the desk
		t.Errorf("%d requests went on", len(s.desk.asked))
	}
}

func equalManual(a, b gopprof.Manual) bool {
	kinds := slices.Equal(a.Kinds, b.Kinds)
	a.Kinds, b.Kinds = nil, nil
	return kinds && a.Who == b.Who && a.Cluster == b.Cluster && a.Namespace == b.Namespace && a.Workload == b.Workload && a.CPUSeconds == b.CPUSeconds &&
		a.MaxPods == b.MaxPods && a.Merge == b.Merge && a.Key == b.Key && a.Pod == b.Pod && a.Selector == b.Selector && a.Container == b.Container
}

func TestOperationPage(t *testing.T) {
	s, hot, _ := shop(t, true)
	path := "/operations/" + s.desk.op.ID
	a := s.do(t, http.MethodGet, path, shopToken, "")
	for _, want := range []string{`data-events="../api/v1/operations/` + s.desk.op.ID + `/events"`, `<script src="../live.js" defer></script>`, `http-equiv="refresh"`, "12 s left", "1 of 2",
		`href="../reports/` + hot.ID + `"`, `action="../operations/` + s.desk.op.ID + `/cancel"`, "shop: Deployment/web", "kubectl gopprof operations " + s.desk.op.ID + " --watch"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in %s", want, a.body)
		}
	}
	if p := a.header.Get("Content-Security-Policy"); !strings.Contains(p, "script-src 'self'; connect-src 'self'") || strings.Contains(p, "unsafe") {
		t.Errorf("policy: %s", p)
	}
	if a := s.post(t, path+"/cancel", shopToken, "same-origin", nil); a.status != 303 || a.header.Get("Location") != "../"+s.desk.op.ID || len(s.desk.ended) != 1 {
		t.Errorf("%d %v", a.status, a.header)
	}
	s.desk.op.Captures[1].State = gopprof.CaptureFailed
	a = s.do(t, http.MethodGet, path, shopToken, "")
	if strings.Contains(a.body, "<script") || strings.Contains(a.body, "refresh") || strings.Contains(a.body, "/cancel") || !strings.Contains(a.body, "ended, 1 of 2 stored") {
		t.Errorf("ended: %s", a.body)
	}
	if a := s.do(t, http.MethodGet, path+"/merged", shopToken, ""); a.status != 200 || !strings.Contains(a.body, "web-2 sorts") {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.desk.op.Asked.Namespace, s.desk.op.Captures = "bank", nil
	for _, path := range []string{path, path + "/merged"} {
		if a := s.do(t, http.MethodGet, path, shopToken, ""); a.status != 404 {
			t.Errorf("%s of another namespace: %d", path, a.status)
		}
	}
}

func TestBundle(t *testing.T) {
	s, hot, _ := shop(t, true)
	path := api.PathBundle(hot.ID)
	if a := s.do(t, http.MethodGet, path, "", ""); a.status != 401 {
		t.Errorf("without a token: %d", a.status)
	}
	delete(s.shelf.blobs, hot.ID+"/heap.pb.gz")
	a := s.do(t, http.MethodGet, path, shopToken, "")
	if a.status != 200 || a.header.Get("Content-Type") != "application/zip" || !strings.Contains(a.header.Get("Content-Disposition"), "attachment") {
		t.Fatalf("%d %v", a.status, a.header)
	}
	z, err := zip.NewReader(strings.NewReader(a.body), int64(len(a.body)))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if got[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, []string{"MISSING.txt", "cpu.pb.gz", "cpu.svg", "evidence.svg", "report.json"}) {
		t.Errorf("holds %v", names)
	}
	if !bytes.Equal(got["cpu.pb.gz"], s.shelf.blobs[hot.ID+"/cpu.pb.gz"]) || string(got["evidence.svg"]) != picture || !bytes.Contains(got["report.json"], []byte(hot.ID)) ||
		!bytes.Contains(got["MISSING.txt"], []byte("heap.pb.gz: internal\n")) || bytes.Contains(got["MISSING.txt"], []byte("secret")) {
		t.Errorf("%s", got["MISSING.txt"])
	}
	if p := s.do(t, http.MethodGet, api.PathBundle(newID()), shopToken, "").problem(t); p.Status != 404 {
		t.Errorf("%+v", p)
	}
	other := s.put("bank", "vault")
	if p := s.do(t, http.MethodGet, api.PathBundle(other.ID), shopToken, "").problem(t); p.Status != 404 {
		t.Errorf("another namespace's: %+v", p)
	}
}
