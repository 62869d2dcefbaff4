package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

func TestEveryCaseCanBeRead(t *testing.T) {
	cases, err := readCases("cases")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		for _, rule := range c.Rules {
			if !slices.Contains([]string{"cpu", "memory", "throttled"}, rule) {
				t.Errorf("%s: rule %q", c.Name, rule)
			}
		}
		if c.Bad.Fault == "" && c.Bad.Rate == 0 && c.Bad.LoadCores == 0 && c.Bad.CPUCores == 0 && !c.Bad.Load.given() {
			t.Errorf("%s plants nothing", c.Name)
		}
	}
}

func TestMistakesInCasesAreTold(t *testing.T) {
	for text, want := range map[string]string{
		"name: a": "description", "rules: [cpu]\nname: a\ndescription: b\nexpect: {causes: [haunted]}": "haunted",
		"rules: [cpu]\nname: a\ndescription: b\nexpect: {causes: [traffic], summary: '('}": "missing closing",
		"nane: a": "nane",
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "a.yaml"), text)
		if _, err := readCases(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestJudge(t *testing.T) {
	c := Case{Rules: []string{"cpu"}, Expect: Expect{Causes: []string{"code_hot"}, Summary: `shipping\.`, Never: []string{"moon"}}}
	hot := gopprof.Cause{Kind: gopprof.CauseCodeHot, Confidence: gopprof.ConfidenceSure, Line: "shipping.cheapest uses the CPU"}
	guess := gopprof.Cause{Kind: gopprof.CauseTraffic, Confidence: gopprof.ConfidenceUnsure, Line: "more visitors"}
	moon := gopprof.Cause{Kind: gopprof.CauseTraffic, Confidence: gopprof.ConfidenceSure, Line: "the moon is full"}
	for _, test := range []struct {
		name       string
		rule, line string
		causes     []gopprof.Cause
		right, bad bool // bad: false certainty
	}{
		{"right", "cpu", "shipping.cheapest", []gopprof.Cause{hot, guess}, true, false},
		{"another rule", "memory", "shipping.cheapest", []gopprof.Cause{hot}, false, true},
		{"another function, sure", "cpu", "search.find", []gopprof.Cause{hot}, false, true},
		{"another cause, unsure", "cpu", "shipping.cheapest", []gopprof.Cause{guess, hot}, false, false},
		{"no cause", "cpu", "shipping.cheapest", nil, false, false},
		{"never", "cpu", "shipping.cheapest under the moon", []gopprof.Cause{guess}, false, false},
		{"sure of what must never be said", "cpu", "shipping.cheapest", []gopprof.Cause{hot, moon}, false, true},
	} {
		if j := judge(c, reportOf(test.rule, test.line, test.causes)); j.Right != test.right || j.FalseCertainty != test.bad || j.Right == (j.Why != "") {
			t.Errorf("%s: %+v", test.name, j)
		}
	}
}

func TestJudgeControl(t *testing.T) {
	c := Case{Rules: []string{"cpu"}, Expect: Expect{Causes: []string{"traffic"}, Control: true}}
	for _, test := range []struct {
		kind  gopprof.CauseKind
		sure  gopprof.Confidence
		right bool
	}{
		{gopprof.CauseTraffic, gopprof.ConfidenceSure, true},
		{gopprof.CauseCodeHot, gopprof.ConfidenceLikely, true},
		{gopprof.CauseCodeHot, gopprof.ConfidenceSure, false},
	} {
		j := judge(c, reportOf("cpu", "", []gopprof.Cause{{Kind: test.kind, Confidence: test.sure}}))
		if j.Right != test.right || j.FalseCertainty == test.right {
			t.Errorf("%s, %s: %+v", test.kind, test.sure, j)
		}
	}
}

func reportOf(rule, line string, causes []gopprof.Cause) gopprof.Report {
	r := gopprof.Report{Explanation: gopprof.Explanation{Summary: line}}
	r.Capture.Trigger.Evidence = &gopprof.Evidence{Rule: rule}
	if causes != nil {
		r.Explanation.Verdict = &gopprof.Verdict{Causes: causes}
	}
	return r
}

func TestScore(t *testing.T) {
	right, wrong, bad := outcome{judgement: judgement{Right: true}}, outcome{}, outcome{judgement: judgement{FalseCertainty: true}}
	for _, test := range []struct {
		name     string
		outcomes []outcome
		failed   int
		reached  bool
	}{
		{"all", slices.Repeat([]outcome{right}, 20), 0, true},
		{"19 of 20", append(slices.Repeat([]outcome{right}, 19), wrong), 0, true},
		{"18 of 20", append(slices.Repeat([]outcome{right}, 18), wrong, wrong), 0, false},
		{"19 of 20, and surely wrong", append(slices.Repeat([]outcome{right}, 19), bad), 0, false},
		{"not run", []outcome{right}, 1, false},
		{"nothing", nil, 0, false},
	} {
		if s := scoreOf(test.outcomes, test.failed); s.Reached != test.reached {
			t.Errorf("%s: %+v", test.name, s)
		}
	}
}

func TestFirstRow(t *testing.T) {
	top := "File: burner\nShowing top 1 nodes out of 9\n      flat  flat%   sum%        cum   cum%\n     2.97s 83.43% 83.43%      2.97s 83.43%  time.runtimeNow\n"
	if got := firstRow(top); got != "2.97s 83.43% 83.43% 2.97s 83.43% time.runtimeNow" {
		t.Errorf("%q", got)
	}
}

func TestLoadCountsItsRequests(t *testing.T) {
	var mu sync.Mutex
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := make([]byte, 100)
		n, _ := r.Body.Read(body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Method+r.URL.Path+":"+string(body[:n]))
	}))
	t.Cleanup(server.Close)
	l := Load{URL: "{server}/{n}", Body: "v{n};", Lines: 2, Times: 2, PerSecond: 1000}
	fill := strings.NewReplacer("{server}", server.URL).Replace
	if err := l.run(t.Context(), fill); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(got, " "); text != "POST/0:v0;v1; POST/1:v2;v3;" {
		t.Errorf("asked %q", text)
	}
}

func TestLoadThatIsRefusedIsTold(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	fill := func(s string) string { return s }
	if err := (Load{URL: server.URL}).run(t.Context(), fill); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("%v", err)
	}
	if err := (Load{Command: []string{"sh", "-c", "echo broken; exit 3"}}).run(t.Context(), fill); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (Load{Command: []string{"sleep", "60"}}).run(ctx, fill); err != nil {
		t.Errorf("ended as it should: %v", err)
	}
}
