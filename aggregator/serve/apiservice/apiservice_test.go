package apiservice

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func TestDiscovery(t *testing.T) {
	s := newScene(t)
	groups := get[metav1.APIGroupList](s, "/apis", "application/json")
	if groups.Kind != "APIGroupList" || len(groups.Groups) != 1 || groups.Groups[0].Name != "gopprof.io" {
		t.Errorf("%+v", groups)
	}
	if g := get[metav1.APIGroup](s, "/apis/gopprof.io", ""); g.Kind != "APIGroup" || g.PreferredVersion.GroupVersion != "gopprof.io/v1" {
		t.Errorf("%+v", g)
	}
	for path, want := range map[string]string{"/openapi/v2": `"swagger":"2.0"`, "/openapi/v3": `"paths":{}`} {
		if w := s.do(http.MethodGet, path, ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	list := get[metav1.APIResourceList](s, "/apis/gopprof.io/v1", "application/json")
	got := map[string]string{}
	for _, r := range list.APIResources {
		got[r.Name] = strings.Join(r.Verbs, " ")
		if r.Kind == "" || r.Namespaced != (r.Name != "pauses") || (r.SingularName == "") != strings.Contains(r.Name, "/") {
			t.Errorf("%+v", r)
		}
	}
	want := map[string]string{
		"reports": "get list", "targets": "get list", "gateway/proxy": "get create update delete",
		"pods/proxy": "get", "deployments/proxy": "get", "statefulsets/proxy": "get", "daemonsets/proxy": "get", "replicasets/proxy": "get", "jobs/proxy": "get", "cronjobs/proxy": "get",
		"captures": "create", "operations": "get", "pauses": "get update",
	}
	for name, verbs := range want {
		if got[name] != verbs {
			t.Errorf("%s: %q, want %q", name, got[name], verbs)
		}
	}
	if len(got) != len(want) || list.GroupVersion != "gopprof.io/v1" {
		t.Errorf("%+v", list)
	}
}

// TestWhatThereIsNot is answered as an API server does.
func TestWhatThereIsNot(t *testing.T) {
	s := newScene(t)
	s.put("1", "shop", "web-1", nil)
	for _, c := range []struct {
		method, path string
		status       int
		names        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/openapi/v3/apis/gopprof.io/v1", 404, ""},
		{"GET", "/api/v1/reports", 404, ""},
		{"GET", "/apis/gopprof.io/v2", 404, ""},
		{"GET", "/apis/metrics.k8s.io/v1/nodes", 404, ""},
		{"POST", "/apis", 405, ""},
		{"GET", anywhere + "namespaces", 404, ""},
		{"GET", anywhere + "namespaces/shop", 404, ""},
		{"GET", anywhere + "secrets", 404, "secrets"},
		{"GET", inShop + "pods/web-1", 404, "pods"},
		{"GET", inShop + "pods/web-1/log", 404, "pods/log"},
		{"GET", inShop + "reports/1/proxy/x", 404, "reports/proxy"},
		{"GET", inShop + "reports/1/2/3", 404, ""},
		{"GET", inShop + "reports/", 404, ""},
		{"GET", anywhere + "reports/1", 404, ""},
		{"GET", anywhere + "pods/web-1/proxy/debug/pprof/heap", 404, ""},
		{"GET", inShop + "pauses/all", 404, ""},
		{"GET", inShop + "reports?watch=true", 405, "watch"},
		{"GET", inShop + "targets?watch=1", 405, "watch"},
		{"POST", inShop + "reports", 405, "create"},
		{"DELETE", inShop + "reports/1", 405, "delete"},
		{"DELETE", inShop + "reports", 405, "deletecollection"},
		{"PATCH", inShop + "reports/1", 405, "patch"},
		{"PUT", inShop + "pods/web-1/proxy/debug/pprof/heap", 405, "update"},
		{"GET", inShop + "captures", 405, "list"},
		{"POST", inShop + "captures", 405, anywhere + "gateway/v1/proxy/captures"},
		{"GET", inShop + "operations/1", 405, anywhere + "gateway/v1/proxy/operations"},
		{"GET", anywhere + "pauses/all", 405, anywhere + "gateway/v1/proxy/pauses"},
		{"GET", inShop + "reports/2", 404, "2"},
		{"GET", "/apis/gopprof.io/v1/namespaces/bank/reports/1", 404, "1"},
		{"GET", inShop + "targets/none", 404, "none"},
		{"GET", inShop + "reports?labelSelector=app%3Dweb", 400, "labelSelector"},
		{"GET", inShop + "reports?fieldSelector=a%3Db", 400, "fieldSelector"},
		{"GET", inShop + "targets?labelSelector=app", 400, "labelSelector"},
		{"GET", inShop + "reports?limit=many", 400, "limit"},
		{"GET", inShop + "reports?limit=-1", 400, "limit"},
	} {
		w := s.do(c.method, c.path, tableFirst)
		if st := s.status(w); w.Code != c.status || !strings.Contains(st.Message, c.names) {
			t.Errorf("%s %s: %d %s, want %d that names %q", c.method, c.path, w.Code, st.Message, c.status, c.names)
		}
	}
	if s.passed != nil {
		t.Errorf("the HTTP API was asked for %s", s.passed.URL)
	}
}

func TestReports(t *testing.T) {
	s := newScene(t)
	s.put("1", "shop", "web-1", nil)
	s.put("2", "bank", "till-1", func(r *gopprof.Report) {
		r.Capture.Trigger = gopprof.Trigger{Kind: gopprof.TriggerManual}
		r.Capture.Start, r.Explanation.Summary = noon.Add(-90*time.Second), "\x1b[31mred\u202e"+strings.Repeat("x", 300)
	})
	s.put("3", "shop", "other", func(r *gopprof.Report) { r.Capture.Target.Cluster = "test" })
	table := get[metav1.Table](s, inShop+"reports?limit=500", tableFirst)
	const want = "NAME|WORKLOAD|POD|TRIGGER|CAUSE|AGE|\n1|Deployment/web|web-1|rule/cpu|main.price burns 61 %|60m|"
	if got := text(table, false); got != want || table.Kind != "Table" || table.APIVersion != "meta.k8s.io/v1" {
		t.Errorf("%s %s\ngot  %s\nwant %s", table.APIVersion, table.Kind, got, want)
	}
	if !strings.Contains(text(table, true), "node-a|web|") || s.asked[0].Limit != api.MaxLimit {
		t.Errorf("wide: %s; asked for %+v", text(table, true), s.asked[0])
	}
	all := get[metav1.Table](s, anywhere+"reports", tableFirst)
	if len(all.Rows) != 2 || all.Rows[0].Cells[0] != "2" || all.Rows[0].Cells[3] != "manual" || all.Rows[0].Cells[5] != "90s" {
		t.Errorf("all, newest first: %s", text(all, false))
	}
	if cause := all.Rows[0].Cells[4].(string); strings.ContainsAny(cause, "\x1b\u202e") || len(cause) > longestCell+10 || !strings.Contains(cause, "red") {
		t.Errorf("cause %q", cause)
	}
	if raw := string(all.Rows[0].Object.Raw); !strings.Contains(raw, `"namespace":"bank"`) || !strings.Contains(raw, "PartialObjectMetadata") || strings.Contains(raw, "summary") {
		t.Errorf("carries %s", raw)
	}
	whole := get[metav1.Table](s, inShop+"reports?includeObject=Object", tableFirst)
	none := get[metav1.Table](s, inShop+"reports?includeObject=None", tableFirst)
	if !strings.Contains(string(whole.Rows[0].Object.Raw), `"summary":{`) || string(none.Rows[0].Object.Raw) != "null" && none.Rows[0].Object.Raw != nil {
		t.Errorf("whole %s, none %s", whole.Rows[0].Object.Raw, none.Rows[0].Object.Raw)
	}
}

func TestReportsAsObjects(t *testing.T) {
	s := newScene(t)
	for _, id := range []string{"1", "2", "3"} {
		s.put(id, "shop", "web-"+id, nil)
	}
	first := get[reportList](s, inShop+"reports?limit=2", "application/json")
	if first.Kind != "ReportList" || first.APIVersion != "gopprof.io/v1" || len(first.Items) != 2 || first.Items[0].Name != "3" || first.Continue != "2" {
		t.Errorf("%+v", first)
	}
	second := get[reportList](s, inShop+"reports?limit=2&continue="+first.Continue, "application/json")
	if len(second.Items) != 1 || second.Items[0].Name != "1" || second.Continue != "" || second.Items[0].Summary.Pod != "web-1" {
		t.Errorf("%+v", second)
	}
	empty := s.do(http.MethodGet, "/apis/gopprof.io/v1/namespaces/none/reports", "application/json").Body.String()
	if !strings.Contains(empty, `"items":[]`) {
		t.Errorf("an empty list must be a list: %s", empty)
	}
	one := get[report](s, inShop+"reports/1", "application/json")
	if one.Kind != "Report" || one.Namespace != "shop" || one.UID != "1" || !one.CreationTimestamp.Equal(&metav1.Time{Time: noon.Add(-time.Hour)}) || one.Report == nil || one.Report.ID != "1" {
		t.Errorf("%+v", one)
	}
	if table := get[metav1.Table](s, inShop+"reports/1", tableFirst); len(table.Rows) != 1 || table.Rows[0].Cells[2] != "web-1" {
		t.Errorf("%s", text(table, false))
	}
}

func TestAccept(t *testing.T) {
	for accept, want := range map[string]bool{
		tableFirst: true, "application/json;as=Table;g=meta.k8s.io;v=v1": true, "application/json, application/json;as=Table;v=v1;g=meta.k8s.io": false,
		"": false, "*/*": false, "application/json;as=Table;v=v1beta1;g=meta.k8s.io": false, "text/html,*/*": false, "application/json;as=Table;v=v1;g=other": false,
		"application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io": true, ";;;,=": false,
	} {
		r, err := http.NewRequest(http.MethodGet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		if wantsTable(r) != want {
			t.Errorf("%q: not %v", accept, want)
		}
	}
}

// TestFailures: reason and detail of an error are told, its cause is not, but logged.
func TestFailures(t *testing.T) {
	s := newScene(t)
	for _, c := range []struct {
		err    error
		status int
		says   string
		logged int
	}{
		{&gopprof.Error{Reason: gopprof.ReasonNoAnswer, Detail: "away", Err: errors.New("hunter2")}, 503, "away", 0},
		{&gopprof.Error{Reason: gopprof.ReasonForbidden, Detail: "no"}, 403, "no", 0},
		{&gopprof.Error{Reason: gopprof.ReasonBadInput, Detail: "continue"}, 400, "continue", 0},
		{&gopprof.Error{Reason: gopprof.ReasonStoreFailed, Err: errors.New("hunter2")}, 500, "log", 1},
		{errors.New("hunter2"), 500, "log", 1},
	} {
		s.err = c.err
		for _, path := range []string{inShop + "reports", inShop + "reports/1", inShop + "targets"} {
			w := s.do(http.MethodGet, path, tableFirst)
			st := s.status(w)
			if w.Code != c.status || !strings.Contains(st.Message, c.says) || strings.Contains(w.Body.String(), "hunter2") {
				t.Errorf("%v at %s: %d %s", c.err, path, w.Code, w.Body)
			}
			if n := len(s.logs.TakeAll()); n != c.logged {
				t.Errorf("%v at %s: logged %d times", c.err, path, n)
			}
		}
	}
}

func TestEveryReasonOfARuleHasAPlace(t *testing.T) {
	for _, r := range []gopprof.Reason{
		gopprof.ReasonFired, gopprof.ReasonNoReadings, gopprof.ReasonNoLimit, gopprof.ReasonBelowThreshold, gopprof.ReasonOneWindow,
		gopprof.ReasonNotRearmed, gopprof.ReasonCooldown, gopprof.ReasonCapturing, gopprof.ReasonRuleOff,
	} {
		if !slices.Contains(tellingFirst, r) {
			t.Errorf("%s has none", r)
		}
	}
}
