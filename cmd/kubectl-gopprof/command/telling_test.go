package command

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func aSilence() api.Silence {
	return api.Silence{ID: reportID, Namespace: "shop", Workload: "Deployment/web", Cause: gopprof.CauseGCBound, Who: "ada", Why: "load test", At: noon.Add(-time.Hour), Until: noon.Add(2 * time.Hour)}
}

func TestSilence(t *testing.T) {
	s := newScene(t)
	s.on("POST /api/v1/silences", answer(201, aSilence()))
	code, out, errs := s.run("silence", "deploy/web", "--for", "2h", "--why", "load test", "--cause", "gc_bound", "-n", "shop")
	if code != 0 || out != "Deployment/web in shop is silenced until 2026-11-28 14:00 UTC: "+reportID+"\n" || errs != "" {
		t.Errorf("%d %q %q", code, out, errs)
	}
	var r api.SilenceRequest
	if err := json.Unmarshal([]byte(s.got()[0].body), &r); err != nil {
		t.Fatal(err)
	}
	if want := (api.SilenceRequest{Namespace: "shop", Workload: "Deployment/web", Cause: "gc_bound", Why: "load test", Until: noon.Add(2 * time.Hour)}); r != want {
		t.Errorf("asked for %+v", r)
	}
}

func TestSilencesThatMakeNoSense(t *testing.T) {
	s := newScene(t)
	for _, args := range [][]string{
		{"silence"}, {"silence", "web", "--for", "1h", "--why", "x", "-n", "shop"}, {"silence", "deploy/web", "--why", "x", "-n", "shop"},
		{"silence", "deploy/web", "--for", "1000h", "--why", "x", "-n", "shop"}, {"silence", "deploy/web", "--for", "1h", "-n", "shop"},
		{"silence", "deploy/web", "--for", "1h", "--why", "x"}, {"unsilence", "x"}, {"unsilence"}, {"notify", "test"},
	} {
		if code, out, errs := s.run(args...); code != exitUsage || out != "" || errs == "" {
			t.Errorf("%v: %d %q %q", args, code, out, errs)
		}
	}
	if len(s.calls()) != 0 {
		t.Errorf("asked: %v", s.calls())
	}
}

func TestSilences(t *testing.T) {
	s := newScene(t)
	s.on("GET /api/v1/silences", answer(200, api.SilenceList{Silences: []api.Silence{aSilence()}}))
	for name, args := range map[string][]string{"silences.txt": {"silences", "-n", "shop"}, "silences.wide": {"silences", "-A", "-o", "wide"}, "silences.json": {"silences", "-o", "json"}} {
		code, out, errs := s.run(args...)
		if code != 0 || errs != "" {
			t.Errorf("%v: %d %q", args, code, errs)
		}
		golden(t, name, out)
	}
	if calls := s.calls(); !strings.Contains(strings.Join(calls, " "), "namespace=shop") {
		t.Errorf("%v", calls)
	}
	s.on("GET /api/v1/silences", answer(200, api.SilenceList{}))
	if code, out, errs := s.run("silences"); code != 0 || out != "" || !strings.Contains(errs, "no silences") {
		t.Errorf("%d %q %q", code, out, errs)
	}
}

func TestUnsilence(t *testing.T) {
	s := newScene(t)
	s.on("DELETE /api/v1/silences/"+reportID, answer(200, aSilence()))
	if code, out, _ := s.run("unsilence", reportID); code != 0 || out != "Deployment/web in shop is told of again\n" {
		t.Errorf("%d %q", code, out)
	}
	if code, _, errs := s.run("unsilence", report2ID); code != exitFailed || errs == "" {
		t.Errorf("%d %q", code, errs)
	}
}

func TestNotifyTest(t *testing.T) {
	s := newScene(t)
	s.on("POST /api/v1/receivers/ops/test", answer(200, api.ReceiverTest{Receiver: "ops", Told: true}))
	if code, out, errs := s.run("notify", "test", "ops"); code != 0 || out != "ops took the message\n" || errs != "" {
		t.Errorf("%d %q %q", code, out, errs)
	}
	s.on("POST /api/v1/receivers/ops/test", answer(200, api.ReceiverTest{Receiver: "ops", Reason: gopprof.ReasonStatus, Detail: "404 Not Found"}))
	if code, out, errs := s.run("notify", "test", "ops"); code != exitFailed || out != "" || !strings.Contains(errs, "given up") || !strings.Contains(errs, "404 Not Found") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	if n := len(s.calls()); n != 2 {
		t.Errorf("%d messages were sent", n)
	}
	s.on("POST /api/v1/receivers/ops/test", func(w http.ResponseWriter, r *http.Request) {
		problem(http.StatusForbidden, gopprof.ReasonForbidden, "you may not control in all namespaces")(w, r)
	})
	if code, _, _ := s.run("notify", "test", "ops"); code != exitRefused {
		t.Errorf("%d", code)
	}
}
