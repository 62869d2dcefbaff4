package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

type listInput struct {
	Cluster   string    `query:"cluster" maxLength:"253"`
	Namespace string    `query:"namespace" maxLength:"253"`
	Workload  string    `query:"workload" maxLength:"512" doc:"kind/name, or the name alone."`
	Pod       string    `query:"pod" maxLength:"253"`
	Kind      string    `query:"kind" maxLength:"32" doc:"Only reports that hold a profile of this kind."`
	Incident  string    `query:"incident" maxLength:"36"`
	Cause     string    `query:"cause" maxLength:"32" doc:"Only reports of this main cause: code_hot, gc_bound, throttled, contention, heap_growth, goroutines or traffic."`
	From      time.Time `query:"from" doc:"When the capture was decided, inclusive (RFC 3339)."`
	To        time.Time `query:"to" doc:"When the capture was decided, exclusive (RFC 3339)."`
	Limit     int       `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After     string    `query:"after" maxLength:"2048" doc:"'next' of the page before."`
}

type listOutput struct{ Body api.ReportList }

type reportInput struct {
	ID string `path:"id" maxLength:"64" doc:"ID of the report."`
}

type reportOutput struct{ Body gopprof.Report }

func (h handlers) registerReports(a huma.API) {
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "list-reports", Method: http.MethodGet, Path: api.PathReports,
		Summary: "List reports, newest first",
	}), h.list)
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "get-report", Method: http.MethodGet, Path: api.PathReport("{id}"),
		Summary: "Get a report",
	}), h.report)
}

func (h handlers) list(ctx context.Context, in *listInput) (*listOutput, error) {
	q, err := in.query()
	if err != nil {
		return nil, err
	}
	page, err := h.Reports.List(ctx, q)
	if gopprof.ReasonOf(err) == gopprof.ReasonBadInput && in.After != "" {
		return nil, invalid(http.StatusUnprocessableEntity, "query.after", in.After, "not the 'next' of a page")
	}
	if err != nil {
		return nil, h.fail(ctx, "listing reports", err)
	}
	out := &listOutput{Body: api.ReportList{Reports: make([]api.ReportSummary, len(page.Reports)), Next: page.Next}}
	for i, r := range page.Reports {
		out.Body.Reports[i] = api.Summarize(r)
	}
	return out, nil
}

// query checks what the types of listInput do not.
func (in *listInput) query() (api.ReportQuery, error) {
	q := api.ReportQuery{
		Cluster: in.Cluster, Namespace: in.Namespace, Workload: in.Workload, Pod: in.Pod, Incident: in.Incident,
		From: in.From, To: in.To, Limit: in.Limit, After: in.After,
	}
	if in.Kind != "" {
		k, err := gopprof.ParseKind(in.Kind)
		if err != nil {
			return q, invalid(http.StatusUnprocessableEntity, "query.kind", in.Kind, err.Error())
		}
		q.Kind = k
	}
	if in.Cause != "" {
		c, err := gopprof.ParseCauseKind(in.Cause)
		if err != nil {
			return q, invalid(http.StatusUnprocessableEntity, "query.cause", in.Cause, err.Error())
		}
		q.Cause = c
	}
	if in.Incident != "" && gopprof.CheckID(in.Incident) != nil {
		return q, invalid(http.StatusUnprocessableEntity, "query.incident", in.Incident, "not an incident's ID")
	}
	if !in.To.IsZero() && !in.From.Before(in.To) {
		return q, invalid(http.StatusUnprocessableEntity, "query.to", in.To, "must be after from")
	}
	return q, nil
}

func (h handlers) report(ctx context.Context, in *reportInput) (*reportOutput, error) {
	r, err := h.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &reportOutput{r}, nil
}

// find returns a report, or the answer that says why not.
func (h handlers) find(ctx context.Context, id string) (gopprof.Report, error) {
	if err := gopprof.CheckID(id); err != nil {
		return gopprof.Report{}, problem{completed(api.Problem{Status: http.StatusNotFound, Reason: gopprof.ReasonUnknown, Detail: "no such report: " + err.Error()})}
	}
	r, err := h.Reports.Report(ctx, id)
	if gopprof.ReasonOf(err) == gopprof.ReasonUnknown {
		return r, problem{completed(api.Problem{Status: http.StatusNotFound, Reason: gopprof.ReasonUnknown,
			Detail: "no report " + id + ": it was never stored, is older than what is kept, or is not for you to see"})}
	}
	if err != nil {
		return r, h.fail(ctx, "reading report "+id, err)
	}
	return r, nil
}
