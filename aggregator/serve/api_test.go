package serve_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func TestReports(t *testing.T) {
	s := start(t, false)
	first, second := s.put("shop", "web-1"), s.put("cart", "web-2")
	var list api.ReportList
	s.get(t, "/api/v1/reports").into(t, &list)
	if len(list.Reports) != 2 || list.Next != "" || list.Reports[0].ID != second.ID || list.Reports[1].Rule != "cpu" {
		t.Errorf("list: %+v", list)
	}
	s.get(t, "/api/v1/reports?namespace=shop&pod=web-1&kind=profile&limit=1").into(t, &list)
	if len(list.Reports) != 1 || list.Reports[0].ID != first.ID {
		t.Errorf("filtered: %+v", list)
	}
	list = api.ReportList{}
	s.get(t, "/api/v1/reports?namespace=nowhere").into(t, &list)
	if list.Reports == nil || len(list.Reports) != 0 {
		t.Errorf("an empty list must be a list: %+v", list)
	}
	var r gopprof.Report
	a := s.get(t, "/api/v1/reports/"+first.ID)
	a.into(t, &r)
	if !reflect.DeepEqual(r, first) {
		t.Errorf("got %+v\nwant %+v", r, first)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("header: %v", a.header)
	}
}

func TestPages(t *testing.T) {
	s := start(t, false)
	for range 5 {
		s.put("shop", "web")
	}
	seen, after := 0, ""
	for {
		var list api.ReportList
		s.get(t, "/api/v1/reports?limit=2&after="+after).into(t, &list)
		seen += len(list.Reports)
		if after = list.Next; after == "" {
			break
		}
	}
	if seen != 5 {
		t.Errorf("%d of 5 reports in pages of 2", seen)
	}
}

func TestBadRequests(t *testing.T) {
	s := start(t, false)
	r := s.put("shop", "web")
	for path, want := range map[string]struct {
		status int
		names  string
		reason gopprof.Reason
	}{
		"/api/v1/reports?limit=0":                                           {422, "query.limit", ""},
		"/api/v1/reports?limit=201":                                         {422, "query.limit", ""},
		"/api/v1/reports?limit=many":                                        {422, "query.limit", ""},
		"/api/v1/reports?from=yesterday":                                    {422, "query.from", ""},
		"/api/v1/reports?from=2026-11-22T12:00:00Z&to=2026-11-21T12:00:00Z": {422, "query.to", "bad_input"},
		"/api/v1/reports?kind=cmdline":                                      {422, "query.kind", "bad_input"},
		"/api/v1/reports?incident=42":                                       {422, "query.incident", "bad_input"},
		"/api/v1/reports?after=nonsense":                                    {422, "query.after", "bad_input"},
		"/api/v1/reports?namespce=shop":                                     {422, "query.namespce", ""},
		"/api/v1/reports?namespace=" + strings.Repeat("x", 300):             {422, "query.namespace", ""},
		"/api/v1/reports/" + newID():                                        {404, "", "unknown"},
		"/api/v1/reports/42":                                                {404, "", "unknown"},
		"/api/v1/reports/..%2f..%2fetc":                                     {404, "", "unknown"},
		"/api/v1/reports/" + newID() + "/profiles/cpu":                      {404, "", "unknown"},
		"/api/v1/reports/" + r.ID + "/profiles/cmdline":                     {400, "path.kind", "bad_input"},
		"/api/v1/reports/" + r.ID + "/drawings/CPU":                         {400, "path.kind", "bad_input"},
		"/api/v1/reports/" + r.ID + "/profiles/goroutine":                   {404, "", "unknown"},
		"/api/v1/reports/" + r.ID + "/drawings/heap":                        {404, "", "draw_failed"},
		"/api/v1/reports/" + r.ID + "/evidence.svg":                         {404, "", "unknown"},
		"/api/v1/reports/" + newID() + "/evidence.svg":                      {404, "", "unknown"},
		"/api/v1/reports/42/evidence.svg":                                   {404, "", "unknown"},
		"/api/v1/operations/" + newID():                                     {404, "", "unknown"},
		"/api/v1/nothing":                                                   {404, "", ""},
		"/api/v2/reports":                                                   {404, "", ""},
	} {
		a := s.get(t, path)
		p := a.problem(t)
		if a.status != want.status || p.Reason != want.reason {
			t.Errorf("%s: %+v", path, p)
		}
		located := len(p.Errors) > 0 && p.Errors[0].Location == want.names
		if (want.names != "") != located {
			t.Errorf("%s: does not name %q: %+v", path, want.names, p)
		}
	}
	if n := s.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 0 {
		t.Errorf("a caller's mistakes were logged as %d errors", n)
	}
}

func TestWrongMethod(t *testing.T) {
	s := start(t, false)
	a := s.do(t, http.MethodPut, "/api/v1/reports", "", "")
	if a.status != 405 || a.header.Get("Allow") != "GET" {
		t.Errorf("%d, Allow %q", a.status, a.header.Get("Allow"))
	}
	a.problem(t)
	if a := s.do(t, http.MethodHead, "/api/v1/reports", "", ""); a.status != 200 || a.body != "" {
		t.Errorf("HEAD: %+v", a)
	}
}

func TestBrokenStore(t *testing.T) {
	s := start(t, false)
	r := s.put("shop", "web")
	delete(s.shelf.blobs, r.Files[0].Profile)
	a := s.get(t, "/api/v1/reports/"+r.ID+"/profiles/cpu")
	if p := a.problem(t); p.Status != 500 || strings.Contains(a.body, "/secret/place") {
		t.Errorf("%s", a.body)
	}
	s.shelf.broken = errors.New("password=hunter2")
	for _, path := range []string{"/api/v1/reports", "/api/v1/reports/" + r.ID, "/", "/reports/" + r.ID} {
		if a := s.get(t, path); a.status != 500 || strings.Contains(a.body, "hunter2") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if n := s.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 5 {
		t.Errorf("%d of 5 errors were logged", n)
	}
	s.shelf.broken = &gopprof.Error{Reason: gopprof.ReasonStoreFailed, Err: errors.New("password=hunter2")}
	if p := s.get(t, "/api/v1/reports").problem(t); p.Status != 502 || p.Reason != gopprof.ReasonStoreFailed || strings.Contains(p.Detail, "hunter2") {
		t.Errorf("%+v", p)
	}
	if n := s.logs.FilterLevelExact(zapcore.ErrorLevel).FilterFieldKey("reason").Len(); n != 1 {
		t.Errorf("a failed store was logged %d times", n)
	}
	s.shelf.broken = &gopprof.Error{Reason: gopprof.ReasonUnknown}
	if p := s.get(t, "/api/v1/reports/"+r.ID).problem(t); p.Status != 404 {
		t.Errorf("%+v", p)
	}
}

func TestFileThatWasSwept(t *testing.T) {
	s := start(t, false)
	r := s.put("shop", "web")
	s.shelf.reports[0].Files[0].Profile = "swept/cpu"
	if p := s.get(t, "/api/v1/reports/"+r.ID+"/profiles/cpu").problem(t); p.Status != 404 || p.Reason != gopprof.ReasonUnknown {
		t.Errorf("%+v", p)
	}
}

func TestProfileHeaders(t *testing.T) {
	s := start(t, false)
	r := s.put("shop", "web")
	a := s.get(t, "/api/v1/reports/"+r.ID+"/profiles/cpu")
	if a.status != 200 || a.body != string(realProfiles()[gopprof.KindCPU]) {
		t.Fatalf("%d, %d bytes", a.status, len(a.body))
	}
	for key, want := range map[string]string{
		"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff",
		"Content-Disposition": `attachment; filename="cpu-` + r.ID + `.pb.gz"`, "Cache-Control": "private, max-age=86400, immutable",
	} {
		if got := a.header.Get(key); got != want {
			t.Errorf("%s: %q", key, got)
		}
	}
	a = s.get(t, "/api/v1/reports/"+r.ID+"/drawings/profile") // another name of cpu
	if a.status != 200 || a.body != drawing {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for key, want := range map[string]string{
		"Content-Type": "image/svg+xml", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
		"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
	} {
		if got := a.header.Get(key); got != want {
			t.Errorf("%s: %q", key, got)
		}
	}
}

// The promise to every developer: the real tool reads the profile's address.
func TestGoToolPprof(t *testing.T) {
	needTools(t, "go")
	plain, guarded := start(t, false), start(t, true)
	r, g := plain.put("shop", "web"), guarded.put("shop", "web")
	withToken := strings.Replace(guarded.URL, "http://", "http://gopprof:"+shopToken+"@", 1)
	for name, args := range map[string][]string{
		"cpu":        {"-top", plain.URL + "/api/v1/reports/" + r.ID + "/profiles/cpu"},
		"heap":       {"-top", "-sample_index=inuse_space", plain.URL + "/api/v1/reports/" + r.ID + "/profiles/heap"},
		"with token": {"-top", withToken + "/api/v1/reports/" + g.ID + "/profiles/cpu"},
	} {
		c := exec.CommandContext(t.Context(), "go", append([]string{"tool", "pprof"}, args...)...)
		c.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir())
		out, err := c.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "flat%") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if name == "cpu" && !strings.Contains(string(out), "sha256") {
			t.Errorf("%s: not this test's profile\n%s", name, out)
		}
	}
}

func TestCaptureRequests(t *testing.T) {
	s := start(t, false)
	s.desk.op = gopprof.Operation{ID: newID(), Who: "anonymous", Captures: []gopprof.OperationCapture{{State: gopprof.CaptureProfiling, Target: gopprof.Target{Namespace: "shop"}}}}
	a := s.do(t, http.MethodPost, "/api/v1/captures", "", `{"namespace":"shop","pod":"web-1","kinds":["cpu"],"seconds":5}`)
	var op gopprof.Operation
	a.into(t, &op)
	if a.status != 202 || op.ID != s.desk.op.ID || a.header.Get("Location") != "/api/v1/operations/"+op.ID {
		t.Errorf("%d %q %+v", a.status, a.header.Get("Location"), op)
	}
	want := gopprof.Manual{Who: "anonymous", Namespace: "shop", Pod: "web-1", Kinds: []gopprof.Kind{"cpu"}, CPUSeconds: 5}
	if !reflect.DeepEqual(s.desk.asked[0], want) {
		t.Errorf("asked %+v", s.desk.asked[0])
	}
	s.get(t, a.header.Get("Location")).into(t, &op)
	s.do(t, http.MethodDelete, a.header.Get("Location"), "", "").into(t, &op)
	if len(s.desk.ended) != 1 {
		t.Errorf("cancelled %v", s.desk.ended)
	}
	for body, location := range map[string]string{
		`{"pod":"web-1"}`:                                      "body",
		`{"namespace":"","pod":"web-1"}`:                       "body.namespace",
		`{"namespace":"shop","pod":"web-1","seconds":601}`:     "body.seconds",
		`{"namespace":"shop","pod":"web-1","seconds":"5"}`:     "body.seconds",
		`{"namespace":"shop","pod":"web-1","second":5}`:        "body",
		`{"namespace":"shop","pod":"web-1","kinds":["cpu",1]}`: "body.kinds[1]",
		`{`: "body",
	} {
		a := s.do(t, http.MethodPost, "/api/v1/captures", "", body)
		p := a.problem(t)
		if a.status != 422 && a.status != 400 || len(p.Errors) == 0 || !strings.HasPrefix(p.Errors[0].Location, location) {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	if a := s.do(t, http.MethodPost, "/api/v1/captures", "", `{"pod":"`+strings.Repeat("x", 70_000)+`"}`); a.status != 413 {
		t.Errorf("a huge body: %d", a.status)
	}
}

func TestRefusedCaptures(t *testing.T) {
	s := start(t, false)
	for reason, status := range map[gopprof.Reason]int{
		gopprof.ReasonUnknown: 404, gopprof.ReasonBadInput: 422, gopprof.ReasonBudget: 429, gopprof.ReasonTerminating: 409,
		gopprof.ReasonNoAnswer: 504, gopprof.ReasonForbidden: 403, gopprof.ReasonInternal: 500,
	} {
		s.desk.err = &gopprof.Error{Reason: reason, Detail: "because"}
		p := s.do(t, http.MethodPost, "/api/v1/captures", "", `{"namespace":"shop","pod":"web-1"}`).problem(t)
		if p.Status != status || p.Reason != reason || p.Detail != "because" {
			t.Errorf("%s: %+v", reason, p)
		}
	}
}

func TestTargets(t *testing.T) {
	s := start(t, false)
	s.desk.nodes = []gopprof.NodeState{
		{Cluster: "prod", Node: "a", At: noon.Add(-time.Minute), Targets: []gopprof.TargetState{
			{Target: gopprof.Target{Namespace: "shop", Pod: "web-1"}, Rules: []gopprof.RuleState{{Rule: "cpu", Reason: gopprof.ReasonBelowThreshold}}},
			{Target: gopprof.Target{Namespace: "cart", Pod: "cart-1"}}}},
		{Cluster: "prod", Node: "b", At: noon.Add(-2 * time.Minute), Refused: []gopprof.Refusal{{Target: gopprof.Target{Namespace: "shop", Pod: "db"}, Reason: gopprof.ReasonInvalidEndpoint}}},
	}
	var all, some api.TargetList
	s.get(t, "/api/v1/targets").into(t, &all)
	if len(all.Nodes) != 2 || all.Nodes[0].Stale || !all.Nodes[1].Stale || len(all.Nodes[0].Targets) != 2 || all.Nodes[1].Targets == nil {
		t.Errorf("%+v", all)
	}
	s.get(t, "/api/v1/targets?node=a&namespace=shop").into(t, &some)
	if len(some.Nodes) != 1 || len(some.Nodes[0].Targets) != 1 || some.Nodes[0].Targets[0].Rules[0].Reason != gopprof.ReasonBelowThreshold {
		t.Errorf("%+v", some)
	}
}

// The OpenAPI document names every operation, and problems as they are.
func TestOpenAPI(t *testing.T) {
	s := start(t, false)
	a := s.get(t, api.PathOpenAPI)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Responses   map[string]struct {
				Content map[string]struct{ Schema map[string]any }
			}
		}
		Components struct{ Schemas map[string]map[string]any }
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatal(err)
	}
	var got []string
	for path, methods := range doc.Paths {
		for method, o := range methods {
			got = append(got, method+" "+path)
			schema := o.Responses["default"].Content[api.ContentTypeProblem].Schema
			if schema["$ref"] != "#/components/schemas/Problem" {
				t.Errorf("%s %s: problems are %v", method, path, schema)
			}
			if len(o.Responses) < 2 {
				t.Errorf("%s %s: responses %v", method, path, o.Responses)
			}
		}
	}
	for status, answer := range doc.Paths[api.PathAlerts]["post"].Responses {
		ref, _ := answer.Content["application/json"].Schema["$ref"].(string)
		if status != "default" && (ref == "" || doc.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")] == nil) {
			t.Errorf("the answer %s to alerts is %q", status, ref)
		}
	}
	if len(got) != 22 {
		t.Errorf("operations: %v", got)
	}
	for _, path := range []string{"/api/v1/reports/{id}/drawings/{kind}", "/api/v1/reports/{id}/evidence.svg"} {
		svg := doc.Paths[path]["get"].Responses["200"].Content
		if _, ok := svg["image/svg+xml"]; !ok {
			t.Errorf("%s answers with %v", path, svg)
		}
	}
	for _, name := range []string{"Report", "ReportList", "Operation", "TargetList", "Problem", "CaptureRequest"} {
		if doc.Components.Schemas[name] == nil {
			t.Errorf("no schema %s", name)
		}
	}
	refs(t, doc.Components.Schemas, a.body)
}

// refs finds no reference to a schema that is not there.
func refs(t *testing.T, schemas map[string]map[string]any, body string) {
	t.Helper()
	for part := range strings.SplitSeq(body, `"#/components/schemas/`) {
		name, _, ok := strings.Cut(part, `"`)
		if ok && !strings.Contains(name, "{") && name != "" && schemas[name] == nil {
			t.Errorf("reference to schema %q, which is not there", name)
		}
	}
}

func TestPrefix(t *testing.T) {
	s := start(t, false, func(c *serve.Config) { c.PathPrefix, c.ExternalURL = "/gopprof", "https://tools.example/gopprof" })
	r := s.put("shop", "web")
	s.desk.op = gopprof.Operation{ID: newID()}
	if a := s.get(t, "/api/v1/reports"); a.status != 404 {
		t.Errorf("without the prefix: %d", a.status)
	}
	var list api.ReportList
	s.get(t, "/gopprof/api/v1/reports").into(t, &list)
	a := s.do(t, http.MethodPost, "/gopprof/api/v1/captures", "", `{"namespace":"shop","pod":"web-1"}`)
	if want := "/gopprof/api/v1/operations/" + s.desk.op.ID; a.header.Get("Location") != want {
		t.Errorf("Location: %q", a.header.Get("Location"))
	}
	if a := s.get(t, "/gopprof"); a.status != 308 || a.header.Get("Location") != "/gopprof/" {
		t.Errorf("the prefix alone: %d %q", a.status, a.header.Get("Location"))
	}
	page := s.get(t, "/gopprof/reports/"+r.ID)
	for _, want := range []string{
		`href="../reports"`, `href="../style.css"`, `href="../api/v1/reports/` + r.ID + `/drawings/cpu"`,
		"go tool pprof https://tools.example/gopprof/api/v1/reports/" + r.ID + "/profiles/cpu",
	} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page does not hold %s", want)
		}
	}
	if a := s.get(t, "/gopprof/style.css"); a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/css") {
		t.Errorf("style sheet: %d", a.status)
	}
	if want := fmt.Sprintf("https://tools.example/gopprof/reports/%s", r.ID); s.config.Page("127.0.0.1:1", r.ID) != want {
		t.Errorf("page: %q", s.config.Page("127.0.0.1:1", r.ID))
	}
}
