package web

import (
	"net/http"
	"net/url"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

type listPage struct {
	Filters []filter
	Reports []api.ReportSummary
	Next    string // address of the next page
	Problem string
}

type filter struct{ Name, Value string }

// filters are the fields of the list's form, each a query parameter.
var filters = []string{"cluster", "namespace", "workload", "pod", "kind", "incident"}

func (p *pages) list(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	page := listPage{}
	for _, name := range filters {
		page.Filters = append(page.Filters, filter{name, asked.Get(name)})
	}
	q, problem := query(asked)
	if problem != "" {
		page.Problem = problem
		p.show(w, http.StatusUnprocessableEntity, "list.html", page)
		return
	}
	found, err := p.Reports.List(r.Context(), q)
	switch {
	case gopprof.ReasonOf(err) == gopprof.ReasonBadInput:
		page.Problem = "This page of the list does not exist (any more)."
		p.show(w, http.StatusUnprocessableEntity, "list.html", page)
		return
	case err != nil:
		p.Log.Error("request failed", zap.String("request", "listing reports"), zap.Error(err))
		p.message(w, http.StatusInternalServerError, "The reports could not be listed; the aggregator's log says why.")
		return
	}
	for _, report := range found.Reports {
		page.Reports = append(page.Reports, api.Summarize(report))
	}
	if found.Next != "" {
		asked.Set("after", found.Next)
		page.Next = p.Prefix + "/?" + asked.Encode()
	}
	p.show(w, http.StatusOK, "list.html", page)
}

// query reads the list's address, or says what is wrong with it.
func query(v url.Values) (api.ReportQuery, string) {
	q := api.ReportQuery{
		Cluster: v.Get("cluster"), Namespace: v.Get("namespace"), Workload: v.Get("workload"), Pod: v.Get("pod"),
		Incident: v.Get("incident"), After: v.Get("after"), Limit: api.DefaultLimit,
	}
	if k := v.Get("kind"); k != "" {
		kind, err := gopprof.ParseKind(k)
		if err != nil {
			return q, err.Error()
		}
		q.Kind = kind
	}
	if q.Incident != "" {
		if err := gopprof.CheckID(q.Incident); err != nil {
			return q, "Incident: " + err.Error()
		}
	}
	return q, ""
}
