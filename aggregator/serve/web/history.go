package web

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// How much of the past a report's page tells, and how long it may take to find it.
const (
	historyReports = 10
	historyTime    = 14 * 24 * time.Hour
	historyWithin  = 3 * time.Second
)

// history is what else was reported of a workload, newest first.
type history struct {
	Of      string // the workload
	Reports []api.ReportSummary
	All     string // query of the list of all
	Unknown bool   // it could not be read now
}

// history returns the reports of a workload around one: those of the two weeks before it,
// and what came since.
func (p *pages) history(r *http.Request, report gopprof.Report) history {
	t := report.Capture.Target
	workload, pod := workloadOf(t)
	h := history{Of: workload + pod, All: "?" + url.Values{"cluster": {t.Cluster}, "namespace": {t.Namespace}, "workload": {workload}, "pod": {pod}}.Encode()}
	ctx, cancel := context.WithTimeout(r.Context(), historyWithin)
	defer cancel()
	found, err := p.Reports.List(ctx, api.ReportQuery{
		Cluster: t.Cluster, Namespace: t.Namespace, Workload: workload, Pod: pod,
		From: report.Capture.Start.Add(-historyTime), Limit: historyReports + 1,
	})
	h.Unknown = err != nil
	for _, other := range found.Reports {
		if other.ID != report.ID && len(h.Reports) < historyReports {
			h.Reports = append(h.Reports, api.Summarize(other))
		}
	}
	return h
}
