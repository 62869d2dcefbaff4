package serve_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/aggregator/serve/auth"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func TestNoToken(t *testing.T) {
	s := start(t, true)
	r := s.put("shop", "web")
	for _, path := range []string{"/api/v1/reports", "/api/v1/reports/" + r.ID, "/api/v1/openapi.json", "/api/v1/nothing"} {
		a := s.get(t, path)
		if p := a.problem(t); a.status != 401 || p.Reason != gopprof.ReasonForbidden || len(a.header.Values("WWW-Authenticate")) != 2 {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
	}
	for _, path := range []string{"/", "/reports/" + r.ID, "/style.css"} {
		if a := s.get(t, path); a.status != 401 || strings.Contains(a.body, "web") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// What a caller may not see is not there.
func TestNamespaces(t *testing.T) {
	s := start(t, true)
	mine, theirs := s.put("shop", "web"), s.put("bank", "vault")
	s.explain(theirs.ID, "vault")
	s.desk.nodes = []gopprof.NodeState{
		{Node: "a", Targets: []gopprof.TargetState{{Target: mine.Capture.Target}, {Target: theirs.Capture.Target}}},
		{Node: "b", Targets: []gopprof.TargetState{{Target: theirs.Capture.Target}}, Refused: []gopprof.Refusal{{Target: theirs.Capture.Target}}},
	}
	s.desk.op = gopprof.Operation{ID: newID(), Captures: []gopprof.OperationCapture{{Target: theirs.Capture.Target}}}
	for path, want := range map[string]int{
		"/api/v1/reports/" + mine.ID: 200, "/api/v1/reports/" + mine.ID + "/profiles/cpu": 200, "/reports/" + mine.ID: 200,
		"/api/v1/reports/" + theirs.ID: 404, "/api/v1/reports/" + theirs.ID + "/profiles/cpu": 404,
		"/api/v1/reports/" + theirs.ID + "/evidence.svg": 404, "/api/v1/reports/" + theirs.ID + "/drawings/cpu": 404, "/reports/" + theirs.ID: 404,
		"/api/v1/operations/" + s.desk.op.ID: 404, "/api/v1/reports?namespace=bank": 200, "/api/v1/reports": 200,
		"/api/v1/targets": 200, "/api/v1/targets?namespace=bank": 200, "/": 200, "/?namespace=bank": 200,
	} {
		a := s.do(t, http.MethodGet, path, shopToken, "")
		if a.status != want {
			t.Errorf("%s: %d", path, a.status)
		}
		if strings.Contains(a.body, "vault") {
			t.Errorf("%s shows what is another's: %s", path, a.body)
		}
		if a := s.do(t, http.MethodGet, path, adminToken, ""); a.status != 200 {
			t.Errorf("%s for who sees everything: %d", path, a.status)
		}
	}
	var targets api.TargetList
	s.do(t, http.MethodGet, "/api/v1/targets", shopToken, "").into(t, &targets)
	if len(targets.Nodes) != 1 || len(targets.Nodes[0].Targets) != 1 {
		t.Errorf("targets: %+v", targets)
	}
	if a := s.do(t, http.MethodDelete, "/api/v1/operations/"+s.desk.op.ID, shopToken, ""); a.status != 404 || s.desk.ended != nil {
		t.Errorf("another's operation was cancelled: %d", a.status)
	}
	// Whether a report exists is not told either.
	unknown := s.do(t, http.MethodGet, "/api/v1/reports/"+newID(), shopToken, "").problem(t)
	hidden := s.do(t, http.MethodGet, "/api/v1/reports/"+theirs.ID, shopToken, "").problem(t)
	if strings.ReplaceAll(hidden.Detail, theirs.ID, "") == hidden.Detail || unknown.Reason != hidden.Reason || len(unknown.Detail) != len(hidden.Detail) {
		t.Errorf("%q and %q", unknown.Detail, hidden.Detail)
	}
}

func TestCapturesOfNamespaces(t *testing.T) {
	s := start(t, true)
	if p := s.do(t, http.MethodPost, "/api/v1/captures", shopToken, `{"namespace":"bank","pod":"vault"}`).problem(t); p.Status != 403 || p.Reason != gopprof.ReasonForbidden {
		t.Errorf("%+v", p)
	}
	if len(s.desk.asked) != 0 {
		t.Error("it was asked for all the same")
	}
	if a := s.do(t, http.MethodPost, "/api/v1/captures", shopToken, `{"namespace":"shop","pod":"web"}`); a.status != 202 || s.desk.asked[0].Who != "team-shop" {
		t.Errorf("%d, %+v", a.status, s.desk.asked)
	}
}

// A caller of several namespaces gets full pages out of a store that holds much else.
func TestPagesOfSeveralNamespaces(t *testing.T) {
	s := start(t, true)
	want := map[string]bool{}
	for i := range 60 {
		namespace := []string{"bank", "shop", "bank", "cart", "bank"}[i%5]
		if r := s.put(namespace, "p"); namespace != "bank" {
			want[r.ID] = true
		}
	}
	after, pages := "", 0
	for {
		var list api.ReportList
		s.do(t, http.MethodGet, "/api/v1/reports?limit=5&after="+after, pairToken, "").into(t, &list)
		for _, r := range list.Reports {
			if !want[r.ID] {
				t.Fatalf("report of %s, or twice", r.Namespace)
			}
			delete(want, r.ID)
		}
		if len(list.Reports) > 5 || (len(list.Reports) < 5 && list.Next != "") {
			t.Errorf("%d reports on a page of 5", len(list.Reports))
		}
		pages++
		if after = list.Next; after == "" || pages > 50 {
			break
		}
	}
	if len(want) != 0 {
		t.Errorf("%d reports were never listed, in %d pages", len(want), pages)
	}
}

// A store full of what the caller may not see costs a bounded number of reads.
func TestNothingToSee(t *testing.T) {
	s := start(t, true)
	for range 200 {
		s.put("bank", "p")
	}
	var list api.ReportList
	s.do(t, http.MethodGet, "/api/v1/reports?limit=1", pairToken, "").into(t, &list)
	if s.shelf.lists > 50 || list.Next == "" || len(list.Reports) != 0 {
		t.Errorf("%d reads, %+v", s.shelf.lists, list)
	}
}

// vouched knows one token: of somebody whose cluster's API server lets him do everything.
type vouched struct{ cluster string }

const vouchedToken = "a-token-of-one-cluster"

func (v vouched) Find(_ context.Context, token string) (auth.Caller, bool, error) {
	return auth.Caller{Name: "eve", Cluster: v.cluster, Rights: auth.Fixed{Everywhere: true, Verbs: []auth.Verb{auth.View, auth.Profile, auth.Control}}}, token == vouchedToken, nil
}

// A right on a namespace is one cluster's: the same name in another is somebody else's.
func TestRightsEndAtTheCluster(t *testing.T) {
	s := start(t, false, func(c *serve.Config) { c.TokenReview = true })
	mine, theirs := s.put("shop", "web"), s.put("shop", "vault")
	s.shelf.reports[0].Capture.Target.Cluster = "other" // theirs: put last
	theirs.Capture.Target.Cluster = "other"
	s.desk.nodes = []gopprof.NodeState{
		{Cluster: "prod", Node: "a", Targets: []gopprof.TargetState{{Target: mine.Capture.Target}}},
		{Cluster: "other", Node: "b", Targets: []gopprof.TargetState{{Target: theirs.Capture.Target}}},
	}
	s.desk.op = gopprof.Operation{ID: newID(), Asked: gopprof.Manual{Namespace: "shop"}, Captures: []gopprof.OperationCapture{{Target: theirs.Capture.Target}}}
	for path, want := range map[string]int{
		"/api/v1/reports/" + mine.ID: 200, "/api/v1/reports/" + theirs.ID: 404, "/api/v1/operations/" + s.desk.op.ID: 404,
		"/api/v1/reports": 200, "/api/v1/reports?cluster=other": 200, "/api/v1/targets": 200, "/api/v1/operations": 200,
	} {
		if a := s.do(t, http.MethodGet, path, vouchedToken, ""); a.status != want || strings.Contains(a.body, "vault") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if p := s.do(t, http.MethodPost, "/api/v1/captures", vouchedToken, `{"cluster":"other","namespace":"shop","pod":"vault"}`).problem(t); p.Status != 403 || len(s.desk.asked) != 0 {
		t.Errorf("%+v", p)
	}
	s.do(t, http.MethodPost, "/api/v1/captures", vouchedToken, `{"namespace":"shop","pod":"web"}`)
	if len(s.desk.asked) != 1 || s.desk.asked[0].Cluster != "prod" {
		t.Errorf("asked %+v", s.desk.asked)
	}
	if p := s.do(t, http.MethodPut, "/api/v1/pause", vouchedToken, `{"paused":true}`).problem(t); p.Status != 403 || s.desk.pause.Paused {
		t.Errorf("one cluster's admin paused two: %+v", p)
	}
	s.desk.nodes = s.desk.nodes[:1]
	if a := s.do(t, http.MethodPut, "/api/v1/pause", vouchedToken, `{"paused":true}`); a.status != 200 || !s.desk.pause.Paused {
		t.Errorf("the only cluster's admin: %d", a.status)
	}
}
