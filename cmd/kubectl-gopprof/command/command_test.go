package command

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// TestExitCodes is the table of --help.
func TestExitCodes(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		code   int
		want   string
	}{
		"bad input":        {problem(422, gopprof.ReasonBadInput, "expect: 7 pods match"), exitUsage, "error: expect: 7 pods match (422)"},
		"bad request":      {problem(400, gopprof.ReasonBadInput, "no"), exitUsage, "no"},
		"not known":        {problem(401, "", "a token is needed"), exitRefused, "a token is needed"},
		"forbidden":        {problem(403, gopprof.ReasonForbidden, "you may not profile"), exitRefused, "you may not profile"},
		"forbidden, plain": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, exitRefused, "answers 403"},
		"limit":            {problem(429, gopprof.ReasonBudget, "four run already"), exitLimited, "four run already"},
		"missing":          {problem(404, gopprof.ReasonUnknown, "no such pod"), exitFailed, "no such pod"},
		"paused":           {problem(409, gopprof.ReasonPaused, "profiling is paused"), exitFailed, "paused"},
		"internal":         {problem(500, gopprof.ReasonInternal, "oops"), exitFailed, "oops"},
		"no agent answers": {problem(504, gopprof.ReasonNoAnswer, "the agent does not answer"), exitUnreachable, "the agent"},
		"starting":         {problem(503, "", "starting"), exitUnreachable, "starting"},
		"hangs up":         {hangUp, exitUnreachable, "SERVER does not answer"},
		"another server":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, exitUnreachable, "is not the API of gopprof"},
		"another's 404":    {http.NotFound, exitUnreachable, "is not the API of gopprof"},
		"a login page": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://login.example/", http.StatusFound)
		}, exitUnreachable, "sends elsewhere (https://login.example/)"},
		"broken JSON": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte("{"))
		}, exitUnreachable, "broke off or is no JSON"},
		"a problem no text": {problem(403, "", ""), exitRefused, "Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.on("POST "+api.PathCaptures, c.answer)
			s.on("GET "+api.PathReports, c.answer)
			for _, args := range [][]string{{"capture", "web-1", "-n", "shop"}, {"reports"}} {
				code, out, errs := s.run(args...)
				if code != c.code || out != "" || !strings.Contains(errs, c.want) {
					t.Errorf("%v: code %d: %s%s", args, code, out, errs)
				}
			}
		})
	}
}

func TestWrongUsage(t *testing.T) {
	s := newScene(t)
	for line, want := range map[string]string{
		"capture":                                  "name what to profile",
		"capture a b":                              "accepts at most 1 arg",
		"capture a -l b=c":                         "exclude each other",
		"capture a --nonsense":                     "unknown flag",
		"capture a --seconds x":                    "must be a number of seconds",
		"capture a --kind x":                       "not one of",
		"capture a -A":                             "-n instead of -A",
		"capture a -A -n x":                        "exclude each other",
		"capture deploy/a -o -":                    "takes one profile",
		"capture a --detach -o f":                  "leave -o out",
		"capture a --server ftp://x":               "must be a URL",
		"capture a --kubeconfig f --server http:x": "goes past Kubernetes",
		"nonsense":                                 "unknown command",
		"reports x":                                "unknown command",
		"reports -o table":                         "is none of json, yaml, wide",
		"reports --limit 0":                        "--limit",
		"reports --kind x":                         "not one of",
		"targets -o table":                         "is none of json, yaml, wide",
		"operations x":                             "not a UUIDv7",
		"cancel ../reports":                        "not a UUIDv7",
		"cancel":                                   "accepts 1 arg",
		"top x":                                    "not a UUIDv7",
		"open x":                                   "neither a file nor",
		"open x --web -o y":                        "exclude each other",
		"proxy --port 70000":                       "invalid argument",
	} {
		args := strings.Fields(line)
		if !strings.Contains(line, "--server") {
			args = append(args, "--server", s.server.URL)
		}
		code, out, errs := s.bare(args...)
		if code != exitUsage || out != "" || !strings.Contains(errs, want) || !strings.Contains(errs, "--help` says more") {
			t.Errorf("%s: code %d: %s%s", line, code, out, errs)
		}
	}
	if len(s.calls()) != 0 {
		t.Errorf("the server was asked: %v", s.calls())
	}
}

// nasty is what a hostile pod could call itself.
const nasty = "a\x1b[2J\x1b]0;owned\a\r\n\tb\u202ec\u009b31m\x00\u200b" + "\xff"

// TestHostileNames: nothing that a terminal would obey is ever written.
func TestHostileNames(t *testing.T) {
	s := newScene(t)
	target := gopprof.Target{Cluster: nasty, Node: nasty, Namespace: nasty, Workload: gopprof.Workload{Kind: nasty, Name: nasty}, Pod: nasty, Container: nasty, Owner: nasty}
	r := report(reportID, nasty)
	r.Capture.Target, r.Page = target, nasty
	r.Capture.Failures = []gopprof.Failure{{Kind: nasty, Reason: nasty, Detail: nasty}}
	r.Explanation = gopprof.Explanation{Summary: nasty, Warnings: []string{nasty}, Profiles: []gopprof.TopFunctions{{
		Kind: nasty, Unit: nasty, Reason: nasty, Detail: nasty, Functions: []gopprof.Function{{Name: nasty, File: nasty}}}}}
	op := operation(gopprof.Manual{Selector: nasty, Merge: true, Kinds: []gopprof.Kind{nasty}},
		gopprof.OperationCapture{Capture: nasty, Target: target, State: gopprof.CaptureFailed, Reason: nasty, Detail: nasty},
		gopprof.OperationCapture{Capture: "2", Target: target, State: gopprof.CaptureStored, Report: reportID})
	op.Who, op.Incident = nasty, nasty
	summary := api.Summarize(r)
	summary.Rule, summary.Incident, summary.Agreement = nasty, nasty, nasty
	state := gopprof.TargetState{Target: target, Detail: nasty, Rules: []gopprof.RuleState{{Rule: nasty, Reason: nasty, LastAgreement: gopprof.Agreement{Result: nasty}}}}
	s.on("POST "+api.PathCaptures, answer(202, op))
	s.on("DELETE "+api.PathOperation(operationID), problem(409, nasty, nasty))
	s.on("PUT "+api.PathPause, answer(200, api.PauseState{Pause: gopprof.Pause{Paused: true, Who: nasty, Why: nasty}}))
	s.on("GET "+api.PathPause, s.handlers["PUT "+api.PathPause])
	s.on("GET "+api.PathOperation(operationID), answer(200, op))
	s.on("GET "+api.PathOperations, answer(200, api.OperationList{Operations: []gopprof.Operation{op}}))
	s.on("GET "+api.PathMerged(operationID), answer(200, api.Merged{Operation: operationID, Kinds: []api.MergedKind{{Kind: nasty, Note: nasty, Top: r.Explanation.Profiles[0],
		Outliers: []api.Outlier{{Pod: nasty, Summary: nasty, Report: nasty}}, LeftOut: []api.LeftOut{{Pod: nasty, Reason: nasty, Detail: nasty}}}}}))
	s.on("GET "+api.PathReports, answer(200, api.ReportList{Reports: []api.ReportSummary{summary}, Next: nasty}))
	s.on("GET "+api.PathReport(reportID), answer(200, r))
	s.on("GET "+api.PathTargets, answer(200, api.TargetList{Nodes: []api.Node{{Cluster: nasty, Node: nasty, Stale: true, Paused: true, Version: nasty,
		Targets: []gopprof.TargetState{state, {Target: target, Detail: nasty}}, Refused: []gopprof.Refusal{{Target: target, Reason: nasty, Detail: nasty}}}}}))
	s.on("GET "+api.PathReport(report2ID), problem(403, nasty, nasty))
	for _, line := range []string{
		"capture -n shop -l a=b --merge", "capture -n shop -l a=b --detach", "capture -l a=b", "pause --wait 0", "reports", "operations", "operations " + operationID, "cancel " + operationID,
		"targets", "top " + reportID, "top " + operationID, "top " + report2ID, "open --web " + reportID, "__complete capture ", "__complete top ", "__complete cancel ", "__complete reports -n ",
	} {
		formats := []string{""}
		if f := strings.Fields(line)[0]; f != "cancel" && f != "pause" && f != "open" && f != "__complete" {
			formats = []string{"", "wide", "json", "yaml"}
		}
		for _, format := range formats {
			args := strings.Fields(line)
			switch {
			case args[0] == "__complete":
				args = append([]string{"__complete", "--server", s.server.URL}, append(args[1:], "")...)
			case format != "":
				args = append(args, "-o", format)
			}
			if args[0] != "__complete" {
				args = append(args, "--server", s.server.URL)
			}
			_, out, errs := s.bare(args...)
			if out+errs == "" {
				t.Errorf("%v writes nothing", args)
			}
			if i := strings.IndexFunc(out+errs, dangerous); i >= 0 {
				t.Errorf("%v: %q", args, (out + errs)[max(0, i-40):min(len(out+errs), i+40)])
			}
			if format == "json" && strings.HasPrefix(out, "{") && !json.Valid([]byte(out)) {
				t.Errorf("%v: no JSON: %s", args, out)
			}
		}
	}
}

// dangerous is what must not reach a terminal. The tabulator is cobra's, between a proposal
// and its description.
func dangerous(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }

// TestExamples holds every example of --help against the flags that there are.
func TestExamples(t *testing.T) {
	c := &commands{World: World{Name: "kubectl gopprof", Out: io.Discard, Err: io.Discard}}
	for _, cmd := range c.root().Commands() {
		if cmd.Name() != "version" && cmd.Example == "" {
			t.Errorf("%s has no example", cmd.Name())
		}
		if strings.Contains(cmd.Example, "  NAME ") {
			t.Errorf("%s: a name was left out: %s", cmd.Name(), cmd.Example)
		}
	}
	n := 0
	for _, text := range examples(c.root()) {
		for line := range strings.Lines(text) {
			rest, ok := strings.CutPrefix(strings.TrimSpace(line), "kubectl gopprof ")
			if !ok {
				continue
			}
			rest, _, _ = strings.Cut(rest, " && ")
			rest, _, _ = strings.Cut(rest, " &")
			cmd, args, err := c.root().Find(fields(rest))
			if err == nil {
				err = cmd.ParseFlags(args)
			}
			if err == nil {
				err = cmd.ValidateArgs(cmd.Flags().Args())
			}
			if err != nil || cmd.Name() == "kubectl-gopprof" {
				t.Errorf("%q: %s, %v", rest, cmd.Name(), err)
			}
			n++
		}
	}
	if n < 20 {
		t.Errorf("only %d examples", n)
	}
}

func examples(root *cobra.Command) []string {
	all := []string{root.Example}
	for _, cmd := range root.Commands() {
		all = append(all, cmd.Example)
	}
	return all
}

// fields splits a line as a shell would, as far as the examples need it.
func fields(line string) []string {
	var out []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}

func TestHelpNamesTheCommand(t *testing.T) {
	s := newScene(t)
	code, out, _ := s.bare("--help")
	if code != 0 || !strings.Contains(out, "\n  kubectl gopprof capture pod/") || strings.Contains(out, "kubectl-gopprof capture") {
		t.Errorf("code %d: %s", code, out)
	}
	for code := range map[int]bool{exitFailed: true, exitUsage: true, exitRefused: true, exitUnreachable: true, exitLimited: true, exitInterrupted: true} {
		if !strings.Contains(out, fmt.Sprintf("\n%5d  ", code)) {
			t.Errorf("exit code %d is not documented", code)
		}
	}
	s.world.Name = "gopprof"
	_, out, _ = s.bare("--help")
	if strings.Contains(out, "kubectl gopprof") || !strings.Contains(out, "\n  gopprof capture pod/") || !strings.Contains(out, "http://127.0.0.1:7480") {
		t.Errorf("%s", out)
	}
	if code, out, _ := s.bare("version"); code != 0 || out != "v1.2.3\n" {
		t.Errorf("code %d: %s", code, out)
	}
}

func TestCompletion(t *testing.T) {
	s := newScene(t)
	s.on("GET "+api.PathTargets, answer(200, watchedNodes()))
	s.on("GET "+api.PathReports, answer(200, api.ReportList{Reports: []api.ReportSummary{api.Summarize(report(reportID, "web-1"))}}))
	s.on("GET "+api.PathOperations, answer(200, api.OperationList{Operations: []gopprof.Operation{operation(gopprof.Manual{Pod: "web-1"}, waiting("web-1"))}}))
	for line, want := range map[string]string{
		"capture":                  "deployment/web\npod/apiserver\npod/web-0\npod/web-1\npod/web-2\n",
		"top":                      reportID + "\tweb-1: asked for by ann; shop.",
		"open":                     reportID,
		"cancel":                   operationID + "\tpod/web-1: 1 waiting",
		"operations":               operationID,
		"capture web-1 --kind":     "cpu\nheap\n",
		"reports -n":               "shop\n",
		"reports -o":               "json\nyaml\nwide\n",
		"capture web-1 -n shop -o": "",
	} {
		_, out, _ := s.bare(append(append([]string{"__complete", "--server", s.server.URL}, strings.Fields(line)...), "")...)
		if !strings.HasPrefix(out, want) {
			t.Errorf("%s: %s", line, out)
		}
	}
	s.server.Close()
	if code, out, _ := s.bare("__complete", "--server", s.server.URL, "capture", ""); code != 0 || !strings.HasPrefix(out, ":") {
		t.Errorf("without a server: code %d: %s", code, out)
	}
	if code, out, _ := s.bare("completion", "bash"); code != 0 || !strings.Contains(out, "__start_kubectl-gopprof") {
		t.Errorf("code %d", code)
	}
}

func TestProxy(t *testing.T) {
	s := newScene(t)
	s.on("GET "+api.PathReports, answer(200, api.ReportList{}))
	r, w := io.Pipe()
	world := s.world
	world.Out, world.Err = w, io.Discard
	world.Getenv = func(name string) string { return map[string]string{"GOPPROF_TOKEN": "secret"}[name] }
	code := make(chan int)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { code <- Run(ctx, world, []string{"proxy", "--server", s.server.URL}) }()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "http://127.0.0.1:") {
		t.Fatalf("%q, %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	resp, err := http.Get(strings.TrimSpace(line) + api.PathReports)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); resp.StatusCode != 200 {
		t.Fatalf("%s: %s, %v", resp.Status, body, err)
	}
	if got := s.got(); len(got) != 1 || got[0].token != "Bearer secret" {
		t.Errorf("%+v", got)
	}
	stop()
	if got := <-code; got != 0 {
		t.Errorf("code %d", got)
	}
}

func TestHintsLeadToTheSameServer(t *testing.T) {
	c := &commands{World: World{Name: "gopprof"}, namespace: "shop"}
	c.connect.Server, c.connect.TokenFile = "https://x", "/token"
	if got := c.again("open ID"); got != "gopprof open ID --server https://x --token-file /token -n shop" {
		t.Errorf("%q", got)
	}
}

func TestGracefully(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	last, leave := context.WithCancel(t.Context())
	graced, stop := gracefully(ctx, last)
	defer stop()
	interrupt()
	select {
	case <-graced.Done():
		t.Error("ended with the first interrupt")
	default:
	}
	leave()
	<-graced.Done()
}

// TestGraceEnds: a server that does not answer does not hold up who has interrupted once.
func TestGraceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		graced, stop := gracefully(ctx, t.Context())
		defer stop()
		start := time.Now()
		interrupt()
		<-graced.Done()
		if time.Since(start) != grace {
			t.Errorf("after %v", time.Since(start))
		}
	})
}
