package command

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func TestReports(t *testing.T) {
	s := newScene(t)
	fired := api.Summarize(report(report2ID, "web-2"))
	fired.Trigger, fired.Rule, fired.Agreement, fired.Owner = gopprof.TriggerRule, "cpu", gopprof.AgreementConfirmed, "team-shop"
	s.on("GET "+api.PathReports, answer(200, api.ReportList{Reports: []api.ReportSummary{fired, api.Summarize(report(reportID, "web-1"))}}))
	for _, format := range []string{"", "wide", "json", "yaml"} {
		code, out, errs := s.run("reports", "-n", "shop", "-o", format)
		if code != 0 || errs != "" {
			t.Errorf("%s: code %d: %s", format, code, errs)
		}
		golden(t, "reports."+cmp.Or(format, "txt"), out)
	}
	_, all, _ := s.run("reports")
	if !strings.Contains(all, "NAMESPACE") {
		t.Errorf("without namespaces:\n%s", all)
	}
	s.run("reports", "--workload", "deploy/web", "--pod", "p", "--kind", "profile", "--incident", incidentID, "--since", "90m", "--cluster", "c", "-n", "shop", "--limit", "7")
	want := "GET /api/v1/reports?cluster=c&from=2026-11-28T10%3A30%3A00Z&incident=" + incidentID + "&kind=cpu&limit=7&namespace=shop&pod=p&workload=Deployment%2Fweb"
	if calls := s.calls(); calls[len(calls)-1] != want {
		t.Errorf("%s\nwant %s", calls[len(calls)-1], want)
	}
}

// TestReportsPageByPage: a page may be short although more follow.
func TestReportsPageByPage(t *testing.T) {
	s := newScene(t)
	page := func(n int, next string) http.HandlerFunc {
		return answer(200, api.ReportList{Reports: make([]api.ReportSummary, n), Next: next})
	}
	s.on("GET "+api.PathReports, inTurn(page(200, "a"), page(3, "b"), page(47, "c")))
	code, out, _ := s.run("reports", "-o", "json", "--limit", "250")
	if want := []string{"GET /api/v1/reports?limit=200", "GET /api/v1/reports?after=a&limit=50", "GET /api/v1/reports?after=b&limit=47"}; !slices.Equal(s.calls(), want) {
		t.Errorf("%v", s.calls())
	}
	if code != 0 || strings.Count(out, `"incident"`) != 250 || !strings.Contains(out, `"next": "c"`) {
		t.Errorf("code %d", code)
	}
}

func TestNothingToList(t *testing.T) {
	s := newScene(t)
	s.on("GET "+api.PathReports, answer(200, api.ReportList{}))
	s.on("GET "+api.PathOperations, answer(200, api.OperationList{}))
	s.on("GET "+api.PathTargets, answer(200, api.TargetList{}))
	for _, list := range []string{"reports", "operations", "targets"} {
		if code, out, errs := s.run(list, "-n", "shop"); code != 0 || out != "" || !strings.Contains(errs, "in namespace shop; -A is all") {
			t.Errorf("%s: code %d: %q %q", list, code, out, errs)
		}
		if code, out, _ := s.run(list, "-o", "json"); code != 0 || !strings.Contains(out, "[]") {
			t.Errorf("%s: code %d: %s", list, code, out)
		}
	}
}

func TestOperations(t *testing.T) {
	s := newScene(t)
	group := operation(gopprof.Manual{Selector: "app=web"}, storedAs("web-1", reportID), failed("web-2", gopprof.ReasonNodeBusy, "2 run"), waiting("web-3"))
	elsewhere := operation(gopprof.Manual{Workload: gopprof.Workload{Kind: "Job", Name: "x"}})
	elsewhere.Asked.Namespace, elsewhere.Cancelled = "bank", noon.Add(-time.Hour)
	s.on("GET "+api.PathOperations, answer(200, api.OperationList{Operations: []gopprof.Operation{group, elsewhere}}))
	s.on("GET "+api.PathOperation(operationID), answer(200, group))
	for name, args := range map[string][]string{
		"operations.txt": {"-n", "shop"}, "operations.wide": {"-A", "-o", "wide"}, "operations.json": {"-n", "bank", "-o", "json"}, "operation.txt": {operationID},
	} {
		code, out, errs := s.run(append([]string{"operations"}, args...)...)
		if code != 0 || errs != "" {
			t.Errorf("%s: code %d: %s", name, code, errs)
		}
		golden(t, name, out)
	}
}

func TestOperationsWatch(t *testing.T) {
	s := newScene(t)
	asked := gopprof.Manual{Pod: "web-1"}
	s.on("GET "+api.PathOperation(operationID), answer(200, operation(asked, waiting("web-1"))))
	s.on("GET "+api.PathEvents(operationID), events(operation(asked, storedAs("web-1", reportID))))
	s.reports(report(reportID, "web-1"))
	if code, out, errs := s.run("operations", operationID, "--watch"); code != 0 || !strings.Contains(out, reportID) || !strings.Contains(errs, "web-1: stored") {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
	if code, _, _ := s.run("operations", "--watch"); code != exitUsage {
		t.Errorf("nothing to watch: code %d", code)
	}
}

func TestCancel(t *testing.T) {
	s := newScene(t)
	s.on("DELETE "+api.PathOperation(operationID), inTurn(hangUp, answer(200, operation(gopprof.Manual{Pod: "web-1"}, failed("web-1", gopprof.ReasonCancelled, "")))))
	if code, out, _ := s.run("cancel", operationID); code != 0 || out != "cancelled: 1 failed\n" {
		t.Errorf("code %d: %s", code, out)
	}
}

// watchedNodes are two nodes: what fires, what waits, what is refused.
func watchedNodes() api.TargetList {
	hot := gopprof.TargetState{Target: pod("web-1"),
		Local: []gopprof.Window{{HasCPU: true, HasMemory: true, CPU: gopprof.Use{Mean: 0.47, Limit: 0.5, Ratio: 0.94}, Memory: gopprof.Use{Mean: 300 << 20}}},
		Rules: []gopprof.RuleState{
			{Rule: "cpu", Reason: gopprof.ReasonCooldown, FiredAt: noon.Add(-3 * time.Minute), CooldownUntil: noon.Add(27 * time.Minute), LastAgreement: gopprof.Agreement{Result: gopprof.AgreementConfirmed}},
			{Rule: "memory", Reason: gopprof.ReasonNoLimit},
		}}
	quiet := gopprof.TargetState{Target: pod("web-2"), Detail: "read every 60 s",
		Local: []gopprof.Window{{HasCPU: true, HasMemory: true, CPU: gopprof.Use{Mean: 0.01, Limit: 4, Ratio: 0.0025, Basis: gopprof.BasisNode}, Memory: gopprof.Use{Mean: 1 << 30, Limit: 2 << 30, Ratio: 0.5}}},
		Rules: []gopprof.RuleState{{Rule: "cpu", Reason: gopprof.ReasonBelowThreshold}}}
	byHand := gopprof.TargetState{Target: pod("apiserver")}
	gone := gopprof.TargetState{Target: pod("web-0"), Gone: true, Rules: []gopprof.RuleState{{Rule: "cpu", Reason: gopprof.ReasonFired}}}
	return api.TargetList{Nodes: []api.Node{
		{Cluster: "c1", Node: "node-1", At: noon, Paused: true, Targets: []gopprof.TargetState{hot, quiet}},
		{Cluster: "c1", Node: "node-2", At: noon.Add(-7 * time.Minute), Stale: true, Targets: []gopprof.TargetState{byHand, gone}, Refused: []gopprof.Refusal{
			{Target: pod("cache-1"), Reason: gopprof.ReasonAmbiguousContainer},
			{Target: pod("cache-2"), Reason: gopprof.ReasonHostNetwork, Detail: "set discover.kubernetes.host_network"},
		}},
	}}
}

func TestTargets(t *testing.T) {
	s := newScene(t)
	s.on("GET "+api.PathTargets, answer(200, watchedNodes()))
	s.on("GET "+api.PathPause, answer(200, api.PauseState{Pause: gopprof.Pause{Paused: true, Who: "bob", Why: "load test", At: noon.Add(-time.Minute)}, Agents: 2, Obeying: 1}))
	for name, args := range map[string][]string{
		"targets.txt": {"-n", "shop"}, "targets.wide": {"-o", "wide"}, "targets.yaml": {"--pod", "web-2", "-o", "yaml"},
		"targets-refused.txt": {"-n", "shop", "--pod", "cache-1", "--workload", "deploy/web", "--node", "node-2", "--cluster", "c1"},
	} {
		code, out, errs := s.run(append([]string{"targets"}, args...)...)
		if code != 0 || errs != "" {
			t.Errorf("%s: code %d: %s", name, code, errs)
		}
		golden(t, name, out)
	}
	if !slices.Contains(s.calls(), "GET /api/v1/targets?cluster=c1&namespace=shop&node=node-2") {
		t.Errorf("%v", s.calls())
	}
}

func TestTop(t *testing.T) {
	s := newScene(t)
	s.reports(report(reportID, "web-1"))
	for name, args := range map[string][]string{
		"top.txt": {}, "top.wide": {"--kind", "profile", "--limit", "1", "-o", "wide"}, "top.json": {"-o", "json"},
	} {
		code, out, errs := s.run(append([]string{"top", reportID}, args...)...)
		if code != 0 || errs != "" {
			t.Errorf("%s: code %d: %s", name, code, errs)
		}
		golden(t, name, out)
	}
	if code, _, errs := s.run("top", reportID, "--kind", "block"); code != exitUsage || !strings.Contains(errs, "only [cpu heap]") {
		t.Errorf("code %d: %s", code, errs)
	}
}

// The verdict stands between the summary and the figures.
func TestTopSaysWhy(t *testing.T) {
	s := newScene(t)
	r := report(reportID, "web-1")
	r.Explanation.Verdict = &gopprof.Verdict{Version: gopprof.VerdictVersion, Scope: gopprof.ScopePod, Causes: []gopprof.Cause{
		{Kind: gopprof.CauseCodeHot, Confidence: gopprof.ConfidenceSure, Line: "shop.(*Catalog).Price explains 87 % of what this pod uses more than web-2", Function: "shop.(*Catalog).Price"},
		{Kind: gopprof.CauseThrottled, Confidence: gopprof.ConfidenceUnsure, Line: "the limit of 2 cores held it back in 12 % of the periods"},
	}}
	s.reports(r)
	code, out, errs := s.run("top", reportID, "--limit", "1", "--kind", "cpu")
	if code != 0 || errs != "" {
		t.Errorf("code %d: %s", code, errs)
	}
	golden(t, "top-why.txt", out)
}

func TestTopOfAnOperation(t *testing.T) {
	s := newScene(t)
	merged := gopprof.Manual{Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}, Merge: true}
	top := report(reportID, "").Explanation.Profiles[1]
	s.on("GET "+api.PathOperation(operationID), answer(200, operation(merged, storedAs("web-1", reportID))))
	s.on("GET "+api.PathMerged(operationID), answer(200, api.Merged{Operation: operationID, Kinds: []api.MergedKind{{Kind: "heap", Profile: "p", Top: top}}}))
	if code, out, errs := s.run("top", operationID); code != 0 || !strings.Contains(out, "heap: 3 GiB") || !strings.Contains(out, "shop.load") {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
	s.on("GET "+api.PathOperation(operationID), answer(200, operation(gopprof.Manual{Pod: "web-1"}, storedAs("web-1", reportID))))
	s.reports(report(reportID, "web-1"))
	if code, out, _ := s.run("top", operationID); code != 0 || !strings.Contains(out, "runtime.memmove") {
		t.Errorf("code %d: %s", code, out)
	}
	s.on("GET "+api.PathOperation(operationID), answer(200, operation(gopprof.Manual{Selector: "a"}, storedAs("web-1", reportID), storedAs("web-2", report2ID))))
	if code, _, errs := s.run("top", operationID); code != exitUsage || !strings.Contains(errs, report2ID+" of web-2") {
		t.Errorf("code %d: %s", code, errs)
	}
	s.on("GET "+api.PathOperation(operationID), answer(200, operation(gopprof.Manual{Pod: "web-1"}, waiting("web-1"))))
	if code, _, errs := s.run("top", operationID); code != exitFailed || !strings.Contains(errs, "1 waiting") {
		t.Errorf("code %d: %s", code, errs)
	}
	if code, _, errs := s.run("top", report2ID); code != exitFailed || !strings.Contains(errs, "-n or -A") {
		t.Errorf("code %d: %s", code, errs)
	}
}

func TestPause(t *testing.T) {
	state := func(paused bool, obeying int) http.HandlerFunc {
		return answer(200, api.PauseState{Pause: gopprof.Pause{Paused: paused, Who: "ann", Why: "load test", At: noon}, Agents: 3, Obeying: obeying})
	}
	for name, c := range map[string]struct {
		args  []string
		set   http.HandlerFunc
		looks http.HandlerFunc
		code  int
		waits int
		want  string
	}{
		"all obey at once":    {[]string{"pause", "--why", "load test"}, state(true, 3), nil, 0, 0, "all profiling is paused by ann since 0s: load test (3 of 3 agents obey)"},
		"all obey soon":       {[]string{"pause"}, state(true, 1), inTurn(state(true, 2), state(true, 3)), 0, 2, "3 of 3"},
		"one never does":      {[]string{"pause"}, state(true, 1), state(true, 2), exitFailed, 30, "1 agents have not said so"},
		"not waited for":      {[]string{"pause", "--wait", "0"}, state(true, 1), nil, exitFailed, 0, "2 agents have not said so"},
		"resumed":             {[]string{"resume"}, state(false, 0), state(false, 3), 0, 1, "profiling goes on"},
		"switched back":       {[]string{"resume"}, state(false, 0), state(true, 1), exitFailed, 1, "switched it back"},
		"the answer was lost": {[]string{"pause"}, inTurn(hangUp, state(true, 3)), nil, 0, 1, "3 of 3"},
		"not allowed":         {[]string{"pause"}, problem(403, gopprof.ReasonForbidden, "you may not control"), nil, exitRefused, 0, "you may not control"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.on("PUT "+api.PathPause, c.set)
			s.on("GET "+api.PathPause, c.looks)
			code, out, errs := s.run(c.args...)
			if code != c.code || len(s.waits) != c.waits || !strings.Contains(out+errs, c.want) {
				t.Errorf("code %d, %d waits: %s%s", code, len(s.waits), out, errs)
			}
			if want := fmt.Sprintf(`{"paused":%t`, c.args[0] == "pause"); !strings.HasPrefix(s.got()[0].body, want) {
				t.Errorf("asked for %s", s.got()[0].body)
			}
		})
	}
}
