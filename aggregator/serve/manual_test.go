package serve_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// operationOf is an operation of one pod in a state.
func operationOf(namespace string, state gopprof.CaptureState) gopprof.Operation {
	return gopprof.Operation{ID: newID(), Asked: gopprof.Manual{Namespace: namespace, Pod: "web-1", Kinds: []gopprof.Kind{gopprof.KindCPU}},
		Captures: []gopprof.OperationCapture{{Capture: newID(), State: state, Target: gopprof.Target{Namespace: namespace, Pod: "web-1"}}}}
}

func TestGroupRequests(t *testing.T) {
	s := start(t, false)
	s.desk.op = operationOf("shop", gopprof.CaptureWaiting)
	for body, want := range map[string]gopprof.Manual{
		`{"namespace":"shop","workload":"Deployment/web","maxPods":4,"atOnce":2,"merge":true}`: {Namespace: "shop", Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}, MaxPods: 4, AtOnce: 2, Merge: true},
		`{"namespace":"shop","selector":"app=web,tier!=x","expect":7,"cluster":"prod"}`:        {Namespace: "shop", Selector: "app=web,tier!=x", Expect: 7, Cluster: "prod"},
		`{"namespace":"shop","workload":"Host/web","allAtOnce":true,"container":"main"}`:       {Namespace: "shop", Workload: gopprof.Workload{Kind: "Host", Name: "web"}, AllAtOnce: true, Container: "main"},
	} {
		s.desk.asked = nil
		if a := s.do(t, http.MethodPost, "/api/v1/captures", "", body); a.status != 202 {
			t.Fatalf("%s: %d %s", body, a.status, a.body)
		}
		want.Who = "anonymous"
		if !reflect.DeepEqual(s.desk.asked[0], want) {
			t.Errorf("%s: asked %+v", body, s.desk.asked[0])
		}
	}
	for _, wrong := range []string{"web", "/web", "Deployment/", "/"} {
		p := s.do(t, http.MethodPost, "/api/v1/captures", "", `{"namespace":"shop","workload":"`+wrong+`"}`).problem(t)
		if p.Status != 422 || len(p.Errors) != 1 || p.Errors[0].Location != "body.workload" {
			t.Errorf("workload %q: %+v", wrong, p)
		}
	}
}

func TestIdempotencyKeyAndRetryAfter(t *testing.T) {
	s := start(t, false)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+api.PathCaptures, strings.NewReader(`{"namespace":"shop","pod":"web-1"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(api.HeaderIdempotencyKey, "k-1")
	s.desk.err = &gopprof.Error{Reason: gopprof.ReasonBudget, Detail: "500 captures wait"}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != 429 || res.Header.Get("Retry-After") != "30" || res.Header.Get("Content-Type") != api.ContentTypeProblem || !strings.Contains(string(body), `"budget"`) {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, body)
	}
	if s.desk.asked[0].Key != "k-1" {
		t.Errorf("asked %+v", s.desk.asked[0])
	}
}

// Operations, what is merged of them and their cancelling are for those who may see and
// profile in their namespace.
func TestOperationsOfNamespaces(t *testing.T) {
	s := start(t, true)
	s.desk.op, s.desk.merge = operationOf("bank", gopprof.CaptureStored), []byte("profile")
	id := s.desk.op.ID
	for _, path := range []string{api.PathOperation(id), api.PathEvents(id), api.PathMerged(id), api.PathMergedProfile(id, "cpu")} {
		if a := s.do(t, http.MethodGet, path, shopToken, ""); a.status != 404 || a.problem(t).Reason != gopprof.ReasonUnknown {
			t.Errorf("%s for a stranger: %d %s", path, a.status, a.body)
		}
		if a := s.do(t, http.MethodGet, path, adminToken, ""); a.status != 200 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	var list api.OperationList
	if s.do(t, http.MethodGet, api.PathOperations, shopToken, "").into(t, &list); len(list.Operations) != 0 {
		t.Errorf("a stranger's list: %+v", list)
	}
	if s.do(t, http.MethodGet, api.PathOperations, adminToken, "").into(t, &list); len(list.Operations) != 1 {
		t.Errorf("list: %+v", list)
	}
	if a := s.do(t, http.MethodDelete, api.PathOperation(id), shopToken, ""); a.status != 404 || len(s.desk.cancelled()) != 0 {
		t.Errorf("a stranger cancelled: %d", a.status)
	}
}

func TestMerged(t *testing.T) {
	s := start(t, false, func(c *serve.Config) { c.PathPrefix = "/gopprof" })
	s.desk.op, s.desk.merge = operationOf("shop", gopprof.CaptureStored), []byte("profile")
	var m api.Merged
	s.get(t, "/gopprof"+api.PathMerged(s.desk.op.ID)).into(t, &m)
	if len(m.Kinds) != 1 || m.Kinds[0].Outliers[0].Pod != "web-2" {
		t.Fatalf("%+v", m)
	}
	a := s.get(t, m.Kinds[0].Profile)
	if a.status != 200 || a.body != "profile" || a.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%s: %d %s", m.Kinds[0].Profile, a.status, a.body)
	}
	if p := s.get(t, "/gopprof"+api.PathMergedProfile(s.desk.op.ID, "nothing")).problem(t); p.Status != 400 {
		t.Errorf("%+v", p)
	}
	s.desk.merge = nil
	if p := s.get(t, m.Kinds[0].Profile).problem(t); p.Reason != gopprof.ReasonContended {
		t.Errorf("%+v", p)
	}
}

// The switch is for who may control everything; everybody may see it.
func TestPauseIsForAdmins(t *testing.T) {
	s := start(t, true)
	var state api.PauseState
	if p := s.do(t, http.MethodPut, api.PathPause, shopToken, `{"paused":true}`).problem(t); p.Status != 403 || s.desk.pause.Paused {
		t.Errorf("%+v", p)
	}
	s.do(t, http.MethodPut, api.PathPause, adminToken, `{"paused":true,"why":"release"}`).into(t, &state)
	if !state.Paused || state.Who != "ada" || state.Why != "release" || state.Agents != 3 || state.Obeying != 2 {
		t.Errorf("%+v", state)
	}
	s.do(t, http.MethodGet, api.PathPause, shopToken, "").into(t, &state)
	if !state.Paused {
		t.Errorf("%+v", state)
	}
}

// Progress arrives event by event, each a whole operation.
func TestEvents(t *testing.T) {
	s := start(t, false)
	waiting := operationOf("shop", gopprof.CaptureWaiting)
	profiling := waiting
	profiling.Captures = []gopprof.OperationCapture{{State: gopprof.CaptureProfiling, SecondsLeft: 12.5}}
	s.desk.op, s.desk.shows = waiting, []gopprof.Operation{waiting, profiling}
	a := s.get(t, api.PathEvents(waiting.ID))
	if a.status != 200 || a.header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", a.status, a.header)
	}
	var states []gopprof.CaptureState
	for event := range strings.SplitSeq(strings.TrimSuffix(a.body, "\n\n"), "\n\n") {
		lines := strings.Split(event, "\n")
		data, ok := strings.CutPrefix(lines[2], "data: ")
		var op gopprof.Operation
		if err := json.Unmarshal([]byte(data), &op); err != nil || !ok || lines[0] != "event: state" || len(lines) != 3 {
			t.Fatalf("%q: %v", event, err)
		}
		states = append(states, op.Captures[0].State)
	}
	if !slices.Equal(states, []gopprof.CaptureState{gopprof.CaptureWaiting, gopprof.CaptureProfiling}) {
		t.Errorf("%v", states)
	}
	if p := s.get(t, api.PathEvents(newID())).problem(t); p.Status != 404 {
		t.Errorf("an unknown operation: %+v", p)
	}
}

// An event is sent when it happens, and a reader who leaves ends the following.
func TestEventsAreNotHeldBack(t *testing.T) {
	s := start(t, false)
	s.desk.op, s.desk.hang = operationOf("shop", gopprof.CaptureWaiting), true
	s.desk.shows = []gopprof.Operation{s.desk.op}
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+api.PathEvents(s.desk.op.ID), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	line, err := bufio.NewReader(res.Body).ReadString('\n')
	if err != nil || line != "event: state\n" {
		t.Errorf("%q %v", line, err)
	}
	leave() // Close of the server waits for the handler's end
}

func TestFreshProfiles(t *testing.T) {
	s := start(t, false)
	r := s.put("shop", "web-1")
	done := operationOf("shop", gopprof.CaptureStored)
	done.Captures[0].Report = r.ID
	s.desk.op, s.desk.shows, s.desk.merge = done, []gopprof.Operation{done}, []byte("merged")
	for path, want := range map[string]struct {
		ask  gopprof.Manual
		body string
	}{
		"pods/web-1/debug/pprof/profile?seconds=7":                   {gopprof.Manual{Pod: "web-1", Kinds: []gopprof.Kind{"cpu"}, CPUSeconds: 7}, string(realProfiles()["cpu"])},
		"pods/web-1/debug/pprof/heap?container=main&debug=0":         {gopprof.Manual{Pod: "web-1", Container: "main", Kinds: []gopprof.Kind{"heap"}}, string(realProfiles()["heap"])},
		"deployments/web/debug/pprof/profile?seconds=5&cluster=prod": {gopprof.Manual{Cluster: "prod", Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}, Kinds: []gopprof.Kind{"cpu"}, CPUSeconds: 5, Merge: true, Wave: true}, "merged"},
		"statefulsets/db/debug/pprof/goroutine":                      {gopprof.Manual{Workload: gopprof.Workload{Kind: "StatefulSet", Name: "db"}, Kinds: []gopprof.Kind{"goroutine"}, Merge: true, Wave: true}, "merged"},
	} {
		s.desk.asked = nil
		a := s.get(t, api.PathNamespaces+"/shop/"+path)
		if a.status != 200 || a.body != want.body || a.header.Get("Content-Type") != "application/octet-stream" || a.header.Get("X-Gopprof-Operation") != done.ID {
			t.Errorf("%s: %d %v %.100q", path, a.status, a.header, a.body)
		}
		want.ask.Who, want.ask.Namespace = "anonymous", "shop"
		if !reflect.DeepEqual(s.desk.asked[0], want.ask) {
			t.Errorf("%s: asked %+v", path, s.desk.asked[0])
		}
	}
	if len(s.desk.cancelled()) != 0 {
		t.Errorf("cancelled %v", s.desk.cancelled())
	}
}

func TestRefusedFreshProfiles(t *testing.T) {
	s := start(t, false)
	for path, detail := range map[string]string{
		"pods/web-1/debug/pprof/cmdline":             "no profile",
		"pods/web-1/debug/pprof/heap?gc=1":           "never forced",
		"pods/web-1/debug/pprof/goroutine?debug=2":   "own format",
		"pods/web-1/debug/pprof/heap?seconds=5":      "one moment",
		"pods/web-1/debug/pprof/profile?seconds=x":   "not a number",
		"pods/web-1/debug/pprof/profile?seconds=NaN": "not a number",
		"pods/web-1/debug/pprof/profile?second=5":    "unknown parameter",
		"services/web/debug/pprof/profile":           "deployments",
		"deployments/web/debug/pprof/trace":          "one pod",
	} {
		a := s.get(t, api.PathNamespaces+"/shop/"+path)
		if a.status != 422 || !strings.Contains(a.body, detail) || a.header.Get("X-Go-Pprof") != "1" || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: %d %v %s", path, a.status, a.header, a.body)
		}
	}
	if len(s.desk.asked) != 0 {
		t.Errorf("asked for all the same: %+v", s.desk.asked)
	}
	s.desk.err = &gopprof.Error{Reason: gopprof.ReasonBudget, Detail: "500 captures wait"}
	if a := s.get(t, api.PathPodProfile("shop", "web-1", "profile")); a.status != 429 || a.header.Get("Retry-After") != "30" {
		t.Errorf("a full queue: %d %v", a.status, a.header)
	}
	s.desk.err = nil
	s.desk.op = operationOf("shop", gopprof.CaptureFailed)
	s.desk.op.Captures[0].Reason, s.desk.op.Captures[0].Detail = gopprof.ReasonContended, "somebody else holds it"
	s.desk.shows = []gopprof.Operation{s.desk.op}
	if a := s.get(t, api.PathPodProfile("shop", "web-1", "profile")); a.status != 409 || a.body != "contended: somebody else holds it\n" {
		t.Errorf("%d %q", a.status, a.body)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+api.PathPodProfile("shop", "web-1", "profile"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 409 || res.Header.Get("Content-Type") != api.ContentTypeProblem {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
}

// A caller who leaves gives the target's profiler back.
func TestCallerWhoLeavesCancels(t *testing.T) {
	s := start(t, false)
	s.desk.op, s.desk.hang = operationOf("shop", gopprof.CaptureProfiling), true
	s.desk.shows = []gopprof.Operation{s.desk.op}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+api.PathPodProfile("shop", "web-1", "profile"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := http.DefaultClient.Do(r); err == nil {
		res.Body.Close()
		t.Fatalf("answered %d", res.StatusCode)
	}
	poll.Until(t, "it is cancelled", func() bool { return len(s.desk.cancelled()) > 0 })
	if got := s.desk.cancelled(); !slices.Equal(got, []string{s.desk.op.ID}) {
		t.Errorf("cancelled %v", got)
	}
}

// The real tool takes a fresh profile, and shows why there is none.
func TestGoToolPprofTakesAProfile(t *testing.T) {
	needTools(t, "go")
	s := start(t, false)
	done := operationOf("shop", gopprof.CaptureStored)
	done.Captures[0].Report = s.put("shop", "web-1").ID
	s.desk.mu.Lock()
	s.desk.op, s.desk.shows = done, []gopprof.Operation{done}
	s.desk.mu.Unlock()
	top := func() (string, error) {
		c := exec.CommandContext(t.Context(), "go", "tool", "pprof", "-top", s.URL+api.PathPodProfile("shop", "web-1", "profile")+"?seconds=1")
		c.Env = append(c.Environ(), "PPROF_TMPDIR="+t.TempDir())
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := top(); err != nil || !strings.Contains(out, "sha256") {
		t.Errorf("%v\n%s", err, out)
	}
	s.desk.mu.Lock()
	s.desk.err = &gopprof.Error{Reason: gopprof.ReasonPaused, Detail: "ada paused all profiling"}
	s.desk.mu.Unlock()
	if out, err := top(); err == nil || !strings.Contains(out, "ada paused all profiling") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A picture in another site's page is a GET, and must not profile anybody.
func TestOtherSitesTakeNoProfiles(t *testing.T) {
	s := start(t, false)
	done := operationOf("shop", gopprof.CaptureStored)
	done.Captures[0].Report = s.put("shop", "web-1").ID
	s.desk.op, s.desk.shows = done, []gopprof.Operation{done}
	for _, c := range []struct {
		method, site string
		want         int
	}{{"GET", "cross-site", 403}, {"GET", "same-site", 403}, {"HEAD", "", 422}, {"GET", "same-origin", 200}, {"GET", "none", 200}, {"GET", "", 200}} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+api.PathPodProfile("shop", "web-1", "profile"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		s.desk.asked = nil
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.want || (len(s.desk.asked) > 0) != (c.want == 200) {
			t.Errorf("%s from %q: %d, asked %d times", c.method, c.site, res.StatusCode, len(s.desk.asked))
		}
	}
}

// A reader of progress does not hold up the server's end.
func TestStopEndsStreams(t *testing.T) {
	d := &desk{op: operationOf("shop", gopprof.CaptureWaiting), hang: true}
	d.shows = []gopprof.Operation{d.op}
	cfg := serve.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	server, err := serve.New(cfg, serve.Deps{Reports: &shelf{}, Captures: d, Groups: d}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	addr, err := server.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	res, err := http.Get("http://" + addr + api.PathEvents(d.op.ID))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}
