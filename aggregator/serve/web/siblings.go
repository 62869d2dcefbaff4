package web

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// How many pods, and how many functions of each, stand side by side.
const (
	besidePods      = 4
	besideFunctions = 8
)

// beside is what several pods spend, side by side: the report's own first.
type beside struct {
	Kind gopprof.Kind
	Pods []besidePod
	Rows []besideRow
}

type besidePod struct {
	Report, Pod string
	Total       int64
	Unit        string
	Drawing     string // path, or empty
}

// besideRow is the parts (0–1) that the pods spend in a function and what it calls; nil where
// it is not among a pod's heaviest.
type besideRow struct {
	Function string
	Shares   []*float64
}

// siblings returns the reports of the pods that were profiled to compare with, of those that
// the caller may see.
func (p *pages) siblings(r *http.Request, report gopprof.Report) (found []gopprof.Report) {
	for _, s := range report.Siblings {
		if s.State != gopprof.SiblingStored || len(found) >= besidePods-1 {
			continue
		}
		if other, err := p.find(r, s.Capture); err == nil {
			found = append(found, other)
		}
	}
	return found
}

// besideOf compares one kind; false when no sibling has it.
func besideOf(report gopprof.Report, siblings []gopprof.Report, k gopprof.Kind) (b beside, ok bool) {
	b.Kind = k
	rows := map[string]*besideRow{}
	all := append([]gopprof.Report{report}, siblings...)
	var tops []gopprof.TopFunctions
	for _, r := range all {
		i := slices.IndexFunc(r.Explanation.Profiles, func(t gopprof.TopFunctions) bool { return t.Kind == k && t.Total > 0 })
		if i < 0 {
			continue
		}
		top := r.Explanation.Profiles[i]
		pod := besidePod{Report: r.ID, Pod: r.Capture.Target.Pod, Total: top.Total, Unit: top.Unit}
		if f, ok := r.File(k); ok && f.Drawing != "" {
			pod.Drawing = api.PathDrawing(r.ID, k)
		}
		b.Pods, tops = append(b.Pods, pod), append(tops, top)
	}
	if len(b.Pods) < 2 || b.Pods[0].Report != report.ID {
		return b, false
	}
	for i, top := range tops {
		for _, f := range top.Functions {
			row := rows[f.Name]
			if row == nil {
				row = &besideRow{Function: f.Name, Shares: make([]*float64, len(tops))}
				rows[f.Name] = row
			}
			row.Shares[i] = new(float64(f.Cum) / float64(top.Total))
		}
	}
	for _, row := range rows {
		b.Rows = append(b.Rows, *row)
	}
	slices.SortFunc(b.Rows, func(x, y besideRow) int {
		return cmp.Or(cmp.Compare(widest(y), widest(x)), cmp.Compare(x.Function, y.Function))
	})
	b.Rows = b.Rows[:min(len(b.Rows), besideFunctions)]
	return b, true
}

// widest is by how much this pod's share is the larger one.
func widest(r besideRow) float64 {
	own, others := 0.0, 0.0
	if r.Shares[0] != nil {
		own = *r.Shares[0]
	}
	for _, s := range r.Shares[1:] {
		if s != nil {
			others = max(others, *s)
		}
	}
	return own - others
}
