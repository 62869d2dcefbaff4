package api

import (
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// The bounds of ReportQuery.Limit.
const (
	DefaultLimit = 50
	MaxLimit     = 200
)

// ReportQuery selects reports. An empty field selects nothing away.
type ReportQuery struct {
	Cluster   string
	Namespace string
	Workload  string // "kind/name", or the name alone
	Pod       string
	Kind      gopprof.Kind      // has a profile of this kind
	Incident  string            // ID
	Cause     gopprof.CauseKind // the main cause
	From, To  time.Time         // when the capture was decided, From inclusive, To exclusive
	Limit     int               // most reports of one page, 1 to MaxLimit
	After     string            // ReportPage.Next of the page before; opaque
}

// ReportPage is one page of reports, newest first. A page may hold fewer reports than
// asked for although more follow: only an empty Next says that there are no more.
type ReportPage struct {
	// Reports have what Summarize shows, and their captures' profiles and times. The rest is in
	// the report itself.
	Reports []gopprof.Report
	Next    string
}

// ReportList is the answer to GET /api/v1/reports, newest first.
type ReportList struct {
	Reports []ReportSummary `json:"reports"`
	Next    string          `json:"next,omitempty" doc:"Pass as 'after' for the next page. Absent on the last page; a page may be short although more follow."`
}

// ReportSummary is one line of a list of reports.
type ReportSummary struct {
	ID        string                  `json:"id"`
	Incident  string                  `json:"incident"`
	Trigger   gopprof.TriggerKind     `json:"trigger"`
	Rule      string                  `json:"rule,omitempty" doc:"Name of the rule that fired, when the trigger is a rule."`
	Cluster   string                  `json:"cluster"`
	Node      string                  `json:"node"`
	Namespace string                  `json:"namespace"`
	Workload  gopprof.Workload        `json:"workload"`
	Pod       string                  `json:"pod"`
	Container string                  `json:"container"`
	Owner     string                  `json:"owner,omitempty"`
	Start     time.Time               `json:"start"`
	MadeAt    time.Time               `json:"madeAt"`
	Kinds     []gopprof.Kind          `json:"kinds"`
	Agreement gopprof.AgreementResult `json:"agreement,omitempty"`
	Cause     gopprof.CauseKind       `json:"cause,omitempty" doc:"The main cause; absent when none is named."`
	// Confidence is how sure that is.
	Confidence gopprof.Confidence `json:"confidence,omitempty" doc:"How sure the cause is."`
	Summary    string             `json:"summary" doc:"The first line that a person reads, plain text."`
	Warnings   []string           `json:"warnings,omitempty"`
	Page       string             `json:"page,omitempty" doc:"URL of the report's page."`
}

// Summarize returns the line of a report in a list.
func Summarize(r gopprof.Report) ReportSummary {
	c := r.Capture
	s := ReportSummary{
		ID: r.ID, Incident: c.Incident, Trigger: c.Trigger.Kind,
		Cluster: c.Target.Cluster, Node: c.Target.Node, Namespace: c.Target.Namespace,
		Workload: c.Target.Workload, Pod: c.Target.Pod, Container: c.Target.Container, Owner: c.Target.Owner,
		Start: c.Start, MadeAt: r.MadeAt, Kinds: []gopprof.Kind{}, Agreement: c.Agreement.Result,
		Summary: r.Explanation.Summary, Warnings: r.Explanation.Warnings, Page: r.Page,
	}
	s.Cause, s.Confidence = r.Explanation.Cause().Kind, r.Explanation.Cause().Confidence
	if c.Trigger.Evidence != nil {
		s.Rule = c.Trigger.Evidence.Rule
	}
	for _, f := range r.Files {
		s.Kinds = append(s.Kinds, f.Kind)
	}
	return s
}
