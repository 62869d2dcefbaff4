package api

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

func TestSummarize(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	r := gopprof.Report{
		ID: "r", MadeAt: at, Page: "https://x/reports/r",
		Capture: gopprof.Capture{Incident: "i", Start: at, Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule, Evidence: &gopprof.Evidence{Rule: "cpu"}},
			Target:    gopprof.Target{Cluster: "c", Node: "n", Namespace: "shop", Pod: "web-1", Container: "web", Owner: "o", Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}},
			Agreement: gopprof.Agreement{Result: gopprof.AgreementConfirmed}},
		Explanation: gopprof.Explanation{Summary: "hot", Warnings: []string{"few"}},
		Files:       []gopprof.File{{Kind: gopprof.KindCPU}, {Kind: gopprof.KindHeap}},
	}
	got, err := json.Marshal(Summarize(r))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":"r","incident":"i","trigger":"rule","rule":"cpu","cluster":"c","node":"n","namespace":"shop",` +
		`"workload":{"kind":"Deployment","name":"web"},"pod":"web-1","container":"web","owner":"o","start":"2026-11-22T12:00:00Z",` +
		`"madeAt":"2026-11-22T12:00:00Z","kinds":["cpu","heap"],"agreement":"confirmed","summary":"hot","warnings":["few"],"page":"https://x/reports/r"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if bare, err := json.Marshal(Summarize(gopprof.Report{})); err != nil || !strings.Contains(string(bare), `"kinds":[]`) {
		t.Errorf("%s, %v", bare, err)
	}
}

func TestProblemIsAnError(t *testing.T) {
	p := Problem{Status: 422, Detail: "validation failed", Errors: []ProblemDetail{{Location: "query.limit", Message: "expected number <= 200"}}}
	if got, want := p.Error(), "validation failed (422); query.limit: expected number <= 200"; got != want {
		t.Errorf("%q", got)
	}
}
