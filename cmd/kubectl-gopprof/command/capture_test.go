package command

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/progress"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// one lets the server take the request for one pod, which is profiled and stored.
func one(t *testing.T) *scene {
	s := newScene(t)
	asked := gopprof.Manual{Pod: "web-1"}
	s.on("POST "+api.PathCaptures, answer(202, operation(asked, waiting("web-1"))))
	s.on("GET "+api.PathEvents(operationID), events(operation(asked, profiling("web-1")), operation(asked, storedAs("web-1", reportID))))
	s.reports(report(reportID, "web-1"))
	return s
}

func TestCaptureOfAPod(t *testing.T) {
	s := one(t)
	code, out, errs := s.run("capture", "pod/web-1", "-n", "shop", "--kind", "cpu,heap", "--seconds", "20s", "-c", "web")
	if code != 0 {
		t.Errorf("code %d", code)
	}
	golden(t, "capture-pod.txt", out+"--- standard error\n"+errs)
	var got api.CaptureRequest
	if err := json.Unmarshal([]byte(s.got()[0].body), &got); err != nil {
		t.Fatal(err)
	}
	want := api.CaptureRequest{Namespace: "shop", Pod: "web-1", Container: "web", Kinds: []gopprof.Kind{"cpu", "heap"}, Seconds: 20}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("asked for %+v", got)
	}
	if _, err := uuid.Parse(s.got()[0].key); err != nil {
		t.Errorf("key %q", s.got()[0].key)
	}
}

func TestCaptureOfAGroup(t *testing.T) {
	s := newScene(t)
	asked := gopprof.Manual{Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}, Merge: true}
	s.on("POST "+api.PathCaptures, answer(202, operation(asked, waiting("web-2"), waiting("web-1"), waiting("web-3"))))
	s.on("GET "+api.PathEvents(operationID), events(
		operation(asked, profiling("web-2"), storedAs("web-1", reportID), waiting("web-3")),
		operation(asked, storedAs("web-2", report2ID), storedAs("web-1", reportID), failed("web-3", gopprof.ReasonContended, "")),
	))
	s.on("GET "+api.PathMerged(operationID), answer(200, api.Merged{Operation: operationID, Kinds: []api.MergedKind{{
		Kind: gopprof.KindCPU, Profile: api.PathMergedProfile(operationID, "cpu"), Pods: []api.MergedPod{{Pod: "web-1"}, {Pod: "web-2"}},
		Outliers: []api.Outlier{{Pod: "web-2", Report: report2ID, Summary: "spends 40 % in regexp, others 2 %"}},
		LeftOut:  []api.LeftOut{{Pod: "web-3", Reason: gopprof.ReasonContended}},
	}}}))
	code, out, errs := s.run("capture", "deploy/web", "-n", "shop", "--merge", "--at-once", "2", "--max-pods", "3", "--expect", "3", "--all-at-once")
	if code != exitFailed {
		t.Errorf("code %d", code)
	}
	golden(t, "capture-group.txt", out+"--- standard error\n"+errs)
	const want = `{"namespace":"shop","workload":"Deployment/web","maxPods":3,"atOnce":2,"expect":3,"allAtOnce":true,"merge":true}`
	if s.got()[0].body != want {
		t.Errorf("asked for %s", s.got()[0].body)
	}
}

func TestCaptureAsJSONHasNothingElse(t *testing.T) {
	for _, format := range []string{"json", "yaml", "wide"} {
		s := one(t)
		code, out, _ := s.run("capture", "web-1", "-n", "shop", "-o", format)
		if code != 0 {
			t.Errorf("%s: code %d", format, code)
		}
		golden(t, "capture."+format, out)
	}
}

func TestCaptureOnATerminal(t *testing.T) {
	s := one(t)
	s.world.Screen = &progress.Screen{Size: func() (int, int) { return 60, 10 }}
	code, out, errs := s.run("capture", "web-1", "-n", "shop")
	if code != 0 || strings.Contains(out, "\x1b") {
		t.Errorf("code %d, %q", code, out)
	}
	for _, want := range []string{"web-1  waiting\x1b[K\n", "[##############..........] 12s left\x1b[K\n", "\x1b[2A", "web-1  stored     " + reportID[:40-1-4]} {
		if !strings.Contains(errs, want) {
			t.Errorf("%q is not in %q", want, errs)
		}
	}
}

func TestTheSameKeyOverRetries(t *testing.T) {
	s := one(t)
	s.on("POST "+api.PathCaptures, inTurn(hangUp, problem(503, gopprof.ReasonNoAnswer, "starting"), problem(500, gopprof.ReasonInternal, "oops"), s.handlers["POST "+api.PathCaptures]))
	if code, _, errs := s.run("capture", "web-1", "-n", "shop"); code != 0 {
		t.Errorf("code %d: %s", code, errs)
	}
	for _, r := range s.got()[1:4] {
		if r.key == "" || r.key != s.got()[0].key || r.body != s.got()[0].body {
			t.Errorf("%+v after %+v", r, s.got()[0])
		}
	}
	first := s.got()[0].key
	s.run("capture", "web-1", "-n", "shop")
	if got := s.got()[len(s.got())-3].key; got == first {
		t.Error("two invocations under one key")
	}
	if !slices.Equal(s.waits, []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second}) {
		t.Errorf("waited %v", s.waits)
	}
}

func TestNoAnswerForEver(t *testing.T) {
	s := one(t)
	s.on("POST "+api.PathCaptures, hangUp)
	if code, _, errs := s.run("capture", "web-1", "-n", "shop"); code != exitUnreachable || len(s.got()) != 4 || !strings.Contains(errs, "SERVER does not answer") {
		t.Errorf("code %d, %d requests: %s", code, len(s.got()), errs)
	}
}

func TestStreamsThatEndEarly(t *testing.T) {
	asked := gopprof.Manual{Pod: "web-1"}
	half, end := operation(asked, profiling("web-1")), operation(asked, storedAs("web-1", reportID))
	for name, on := range map[string]map[string]http.HandlerFunc{
		"closed, opened again": {"events": inTurn(events(half), events(half, end)), "state": answer(200, half)},
		"closed, ended since":  {"events": events(half), "state": answer(200, end)},
		"none":                 {"events": problem(404, gopprof.ReasonUnknown, "no streams"), "state": inTurn(answer(200, half), answer(200, half), answer(200, end))},
		"not acceptable":       {"events": problem(406, gopprof.ReasonBadInput, ""), "state": answer(200, end)},
		"no stream but JSON":   {"events": answer(200, half), "state": inTurn(answer(200, half), answer(200, end))},
		"broken off":           {"events": inTurn(hangUp, events(end)), "state": inTurn(hangUp, answer(200, half))},
		"garbage":              {"events": rubbish, "state": inTurn(problem(503, "", "restarting"), answer(200, end))},
	} {
		t.Run(name, func(t *testing.T) {
			s := one(t)
			s.on("GET "+api.PathEvents(operationID), on["events"])
			s.on("GET "+api.PathOperation(operationID), on["state"])
			if code, out, errs := s.run("capture", "web-1", "-n", "shop"); code != 0 || !strings.Contains(out, reportID) {
				t.Errorf("code %d: %s%s", code, out, errs)
			}
		})
	}
}

func rubbish(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = w.Write([]byte("event: state\ndata: {\"id\":\"another\"}\n\nevent: state\ndata: no JSON\n\n"))
}

func TestAnOperationThatIsLostSight(t *testing.T) {
	s := one(t)
	s.on("GET "+api.PathEvents(operationID), hangUp)
	s.on("GET "+api.PathOperation(operationID), hangUp)
	code, _, errs := s.run("capture", "web-1", "-n", "shop")
	if code != exitUnreachable || !strings.Contains(errs, "goes on unseen: kubectl gopprof operations "+operationID+" --watch --server SERVER -n shop") {
		t.Errorf("code %d: %s", code, errs)
	}
	if last := s.waits[len(s.waits)-1]; last != 10*time.Second {
		t.Errorf("waited %v", s.waits)
	}
	s.on("GET "+api.PathOperation(operationID), problem(404, gopprof.ReasonUnknown, "no such operation"))
	if code, _, _ := s.run("capture", "web-1", "-n", "shop"); code != exitFailed {
		t.Errorf("gone: code %d", code)
	}
}

func TestInterrupts(t *testing.T) {
	asked := gopprof.Manual{Pod: "web-1"}
	cancelled := answer(200, operation(asked, failed("web-1", gopprof.ReasonCancelled, "")))
	during := func(s *scene, h http.HandlerFunc, stop func()) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			stop()
			h(w, r)
		}
	}
	for name, set := range map[string]func(*scene){
		"while it is watched": func(s *scene) {
			s.on("GET "+api.PathEvents(operationID), func(w http.ResponseWriter, r *http.Request) {
				events(operation(asked, profiling("web-1")))(w, r)
				_ = http.NewResponseController(w).Flush()
				s.interrupt()
				<-r.Context().Done()
			})
		},
		"while it is asked for": func(s *scene) {
			s.on("POST "+api.PathCaptures, during(s, s.handlers["POST "+api.PathCaptures], s.interrupt))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := one(t)
			set(s)
			s.on("DELETE "+api.PathOperation(operationID), cancelled)
			code, out, errs := s.run("capture", "web-1", "-n", "shop", "--detach=false")
			if code != exitInterrupted || out != "" || !slices.Contains(s.calls(), "DELETE "+api.PathOperation(operationID)) || !strings.Contains(errs, "cancelled: 1 failed") {
				t.Errorf("code %d, %v: %s%s", code, s.calls(), out, errs)
			}
		})
	}
	t.Run("twice", func(t *testing.T) {
		s := one(t)
		s.on("GET "+api.PathEvents(operationID), during(s, hangUp, s.interrupt))
		s.on("DELETE "+api.PathOperation(operationID), func(_ http.ResponseWriter, r *http.Request) {
			s.leave()
			<-r.Context().Done()
		})
		start := time.Now()
		if code, _, errs := s.run("capture", "web-1", "-n", "shop"); code != exitInterrupted || !strings.Contains(errs, "may go on") || time.Since(start) > grace {
			t.Errorf("code %d after %v: %s", code, time.Since(start), errs)
		}
	})
	t.Run("who only watches cancels nothing", func(t *testing.T) {
		s := one(t)
		s.on("GET "+api.PathOperation(operationID), answer(200, operation(asked, profiling("web-1"))))
		s.on("GET "+api.PathEvents(operationID), during(s, hangUp, s.interrupt))
		if code, _, _ := s.run("operations", operationID, "-w"); code != exitInterrupted || strings.Contains(strings.Join(s.calls(), " "), "DELETE") {
			t.Errorf("code %d, %v", code, s.calls())
		}
	})
}

func TestDetach(t *testing.T) {
	s := one(t)
	code, out, errs := s.run("capture", "web-1", "-n", "shop", "--detach")
	if code != 0 || out != operationID+"\n" || len(s.calls()) != 1 || !strings.Contains(errs, "operations "+operationID+" --watch") {
		t.Errorf("code %d, %v: %s%s", code, s.calls(), out, errs)
	}
}

func TestTheNamespaceIsFound(t *testing.T) {
	in := func(namespaces ...string) api.TargetList {
		var n api.Node
		for _, ns := range namespaces {
			target := pod("host-1")
			target.Namespace = ns
			n.Targets = append(n.Targets, gopprof.TargetState{Target: target})
		}
		return api.TargetList{Nodes: []api.Node{n}}
	}
	for name, c := range map[string]struct {
		list api.TargetList
		arg  string
		code int
		want string
	}{
		"one":           {in("prod", "prod"), "host/host-1", 0, `"namespace":"prod"`},
		"by workload":   {in("prod"), "deploy/web", 0, `"namespace":"prod"`},
		"by labels":     {in("prod"), "-lapp=web", 0, `"namespace":"prod"`},
		"several":       {in("prod", "test"), "host-1", exitUsage, "by -n: prod, test"},
		"several, by l": {in("prod", "test"), "-lapp=web", exitUsage, "by -n: prod, test"},
		"elsewhere":     {in("prod"), "host-2", exitUsage, "prod"},
		"nothing":       {in(), "host-1", exitFailed, "nothing is watched"},
	} {
		s := one(t)
		s.on("GET "+api.PathTargets, answer(200, c.list))
		code, _, errs := s.run("capture", c.arg)
		var body string
		if len(s.got()) > 1 {
			body = s.got()[1].body
		}
		if code != c.code || !strings.Contains(body+errs, c.want) {
			t.Errorf("%s: code %d: %s%s", name, code, body, errs)
		}
	}
}

func TestFiles(t *testing.T) {
	s := one(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "cpu.pb.gz")
	if code, _, errs := s.run("capture", "web-1", "-n", "shop", "-o", file); code != 0 || !strings.Contains(errs, "go tool pprof -http=localhost: "+file) {
		t.Errorf("code %d: %s", code, errs)
	}
	holds(t, file, "cpu of "+reportID)
	if !strings.Contains(s.got()[0].body, `"kinds":["cpu"]`) {
		t.Errorf("asked for %s", s.got()[0].body)
	}
	if code, _, errs := s.run("capture", "web-1", "-n", "shop", "-o", dir); code != 0 {
		t.Errorf("code %d: %s", code, errs)
	}
	holds(t, filepath.Join(dir, "web-1-cpu.pb.gz"), "cpu of "+reportID)
	holds(t, filepath.Join(dir, "web-1-heap.pb.gz"), "heap of "+reportID)
	if code, out, _ := s.run("capture", "web-1", "-n", "shop", "-o", "-"); code != 0 || out != "cpu of "+reportID {
		t.Errorf("code %d: %q", code, out)
	}
	if code, _, errs := s.run("capture", "web-1", "-n", "shop", "-o", filepath.Join(dir, "no", "such", "f")); code != exitFailed || !strings.Contains(errs, "no/such") {
		t.Errorf("code %d: %s", code, errs)
	}
	s.world.OutTerminal = true
	if code, _, _ := s.run("capture", "web-1", "-n", "shop", "-o", "-"); code != exitUsage {
		t.Errorf("bytes on a terminal: code %d", code)
	}
}

// TestAProfileThatBreaksOff leaves the file as it was.
func TestAProfileThatBreaksOff(t *testing.T) {
	s := one(t)
	file := filepath.Join(t.TempDir(), "cpu.pb.gz")
	if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.on("GET "+api.PathProfile(reportID, "cpu"), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half"))
	})
	if code, _, _ := s.run("capture", "web-1", "-n", "shop", "-o", file); code != exitUnreachable {
		t.Errorf("code %d", code)
	}
	holds(t, file, "before")
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestFilesOfAGroup(t *testing.T) {
	s := newScene(t)
	asked := gopprof.Manual{Selector: "app=web", Merge: true}
	op := operation(asked, storedAs("web-1", reportID), storedAs("../../web 2", report2ID))
	s.on("POST "+api.PathCaptures, answer(202, op))
	s.on("GET "+api.PathMerged(operationID), answer(200, api.Merged{Operation: operationID, Kinds: []api.MergedKind{{Kind: "cpu", Profile: "p"}, {Kind: "../x", Profile: "p"}}}))
	s.on("GET "+api.PathMergedProfile(operationID, "cpu"), bytesOf("merged"))
	second := report(report2ID, "../../web 2")
	second.Capture.Failures = []gopprof.Failure{{Kind: gopprof.KindMutex, Reason: gopprof.ReasonTimeout}}
	s.reports(report(reportID, "web-1"), second)
	dir := filepath.Join(t.TempDir(), "new") + "/"
	code, out, errs := s.run("capture", "-l", "app=web", "-n", "shop", "--merge", "-o", dir)
	if code != exitFailed { // a mutex profile is missing
		t.Errorf("code %d: %s%s", code, out, errs)
	}
	var names []string
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{"_..___.._web_2-cpu.pb.gz", "_..___.._web_2-heap.pb.gz", "merged-cpu.pb.gz", "web-1-cpu.pb.gz", "web-1-heap.pb.gz"}
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "_..___.._", "_.._.._")
	}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("%v, %v", names, err)
	}
	holds(t, filepath.Join(dir, "merged-cpu.pb.gz"), "merged")
	file := filepath.Join(t.TempDir(), "all.pb.gz")
	if code, _, errs := s.run("capture", "-l", "app=web", "-n", "shop", "--merge", "-o", file); code != 0 {
		t.Errorf("code %d: %s", code, errs)
	}
	holds(t, file, "merged")
}

func holds(t *testing.T, file, want string) {
	t.Helper()
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v", file, got, err)
	}
}

func TestFileNames(t *testing.T) {
	for in, want := range map[string]string{
		"web-1": "web-1", "": "_", "..": "_..", "../x": "_.._x", "-rf": "_-rf", "a\x1b[2Jb": "a__2Jb", "ümlaut": "_mlaut", "/etc": "_etc", ".x": "_.x",
		strings.Repeat("a", 300): strings.Repeat("a", 200),
	} {
		if got := fileName(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
	taken := map[string]bool{}
	for _, want := range []string{"a-cpu", "a-2-cpu", "a-3-cpu"} {
		if got := unique(taken, "a", "-cpu"); got != want {
			t.Errorf("%q", got)
		}
	}
}
