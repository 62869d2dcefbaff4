package web

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/text"
)

type listPage struct {
	frame
	Filters []filter
	Reports []api.ReportSummary
	Next    string // address of the next page
	Problem string
}

// filter is one field of the list's form: a text, a moment or a choice.
type filter struct {
	Name, Label, Value string
	Moment             bool
	Choices            []string // after "any"
}

// list shows a page of reports. The form's fields are the address's parameters.
func (p *pages) list(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	page := listPage{frame: p.frame(r, "Reports", "reports"), Filters: filters(asked)}
	q, problem := query(asked)
	if problem != "" {
		page.Problem = problem
		p.show(w, r, http.StatusUnprocessableEntity, "list.html", page)
		return
	}
	found, err := p.Reports.List(r.Context(), q)
	switch {
	case gopprof.ReasonOf(err) == gopprof.ReasonBadInput:
		page.Problem = "This page of the list does not exist (any more)."
		p.show(w, r, http.StatusUnprocessableEntity, "list.html", page)
		return
	case err != nil:
		p.fail(w, r, "listing reports", err)
		return
	}
	for _, report := range found.Reports {
		page.Reports = append(page.Reports, api.Summarize(report))
	}
	if found.Next != "" {
		asked.Set("after", found.Next)
		page.Next = "?" + asked.Encode()
	}
	p.show(w, r, http.StatusOK, "list.html", page)
}

func filters(v url.Values) []filter {
	kinds, causes := []string{}, []string{}
	for _, k := range gopprof.Kinds() {
		kinds = append(kinds, string(k))
	}
	for _, c := range gopprof.CauseKinds() {
		causes = append(causes, string(c))
	}
	return filled(v,
		filter{Name: "namespace", Label: "Namespace"}, filter{Name: "workload", Label: "Workload"}, filter{Name: "pod", Label: "Pod"},
		filter{Name: "cause", Label: "Cause", Choices: causes}, filter{Name: "kind", Label: "Profile", Choices: kinds},
		filter{Name: "from", Label: "From (UTC)", Moment: true}, filter{Name: "to", Label: "To (UTC)", Moment: true},
		filter{Name: "cluster", Label: "Cluster"}, filter{Name: "incident", Label: "Incident"})
}

// filled are filters with what the address says.
func filled(v url.Values, all ...filter) []filter {
	for i := range all {
		all[i].Value = v.Get(all[i].Name)
	}
	return all
}

// query reads the list's address, or says what is wrong with it.
func query(v url.Values) (q api.ReportQuery, problem string) {
	q = api.ReportQuery{
		Cluster: v.Get("cluster"), Namespace: v.Get("namespace"), Workload: v.Get("workload"), Pod: v.Get("pod"),
		Incident: v.Get("incident"), After: v.Get("after"), Limit: api.DefaultLimit,
	}
	var err error
	if k := v.Get("kind"); k != "" {
		if q.Kind, err = gopprof.ParseKind(k); err != nil {
			return q, err.Error()
		}
	}
	if c := v.Get("cause"); c != "" {
		if q.Cause, err = gopprof.ParseCauseKind(c); err != nil {
			return q, err.Error()
		}
	}
	if q.Incident != "" {
		if err := gopprof.CheckID(q.Incident); err != nil {
			return q, "Incident: " + err.Error()
		}
	}
	if q.From, err = moment(v.Get("from")); err != nil {
		return q, "From: " + err.Error()
	}
	if q.To, err = moment(v.Get("to")); err != nil {
		return q, "To: " + err.Error()
	}
	if !q.To.IsZero() && !q.From.Before(q.To) {
		return q, "To: must be after From"
	}
	return q, ""
}

// moment reads what a browser's field for date and time sends, in UTC, or RFC 3339.
func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no moment, such as 2026-11-22T03:04", text.Line(s, 40))
}
