package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// mostTargets is how many targets stand on one page.
const mostTargets = 200

type targetsPage struct {
	frame
	Filters []filter
	Targets []targetRow
	Total   int // that the filters let through
	Next    string
	Nodes   int
	Silent  []string // nodes whose agent was not heard of lately
}

// targetRow is a target with what its agent told last, or why it is none.
type targetRow struct {
	gopprof.Target
	key     string
	Stale   bool // its agent is silent
	Paused  bool
	Gone    bool
	Refused gopprof.Reason // why it is not watched; empty: it is
	Detail  string
	Rules   []gopprof.RuleState
	Window  *gopprof.Window // the newest
	Ask     string          // address of the form to profile it, if the caller may
}

// targets shows what is watched, and what is not and why.
func (p *pages) targets(w http.ResponseWriter, r *http.Request) {
	nodes, err := p.Nodes(r.Context())
	if err != nil {
		p.fail(w, r, "listing targets", err)
		return
	}
	asked := r.URL.Query()
	page := targetsPage{frame: p.frame(r, "Targets", "targets"), Nodes: len(nodes), Filters: filled(asked,
		filter{Name: "namespace", Label: "Namespace"}, filter{Name: "workload", Label: "Workload"}, filter{Name: "pod", Label: "Pod"},
		filter{Name: "node", Label: "Node"}, filter{Name: "reason", Label: "Reason"})}
	var rows []targetRow
	for _, n := range nodes {
		if p.stale(n) {
			page.Silent = append(page.Silent, n.Node)
		}
		rows = append(rows, p.rowsOf(n)...)
	}
	rows = slices.DeleteFunc(rows, func(t targetRow) bool { return !t.matches(asked) })
	slices.SortFunc(rows, func(a, b targetRow) int { return cmp.Compare(a.key, b.key) })
	page.Total = len(rows)
	from, found := slices.BinarySearchFunc(rows, asked.Get("after"), func(t targetRow, key string) int { return cmp.Compare(t.key, key) })
	if found {
		from++
	}
	if rows = rows[from:]; len(rows) > mostTargets {
		rows = rows[:mostTargets]
		asked.Set("after", rows[mostTargets-1].key)
		page.Next = "?" + asked.Encode()
	}
	if page.Targets, err = p.askable(r.Context(), rows); err != nil {
		p.fail(w, r, "asking what you may profile", err)
		return
	}
	p.show(w, r, http.StatusOK, "targets.html", page)
}

func (p *pages) stale(n gopprof.NodeState) bool { return p.Now().Sub(n.At) > p.StaleAfter }

func (p *pages) rowsOf(n gopprof.NodeState) (rows []targetRow) {
	add := func(row targetRow) {
		t := row.Target
		row.key = strings.Join([]string{t.Cluster, t.Namespace, t.Pod, t.Container, t.PodUID}, "/")
		row.Stale, row.Paused = p.stale(n), n.Paused
		rows = append(rows, row)
	}
	for _, t := range n.Targets {
		row := targetRow{Target: t.Target, Gone: t.Gone, Detail: t.Detail, Rules: t.Rules}
		if len(t.Local) > 0 {
			row.Window = &t.Local[len(t.Local)-1]
		}
		add(row)
	}
	for _, t := range n.Refused {
		add(targetRow{Target: t.Target, Refused: t.Reason, Detail: t.Detail})
	}
	return rows
}

func (t targetRow) matches(v url.Values) bool {
	workload, reason := v.Get("workload"), v.Get("reason")
	return (v.Get("namespace") == "" || v.Get("namespace") == t.Namespace) &&
		(v.Get("pod") == "" || strings.HasPrefix(t.Pod, v.Get("pod"))) &&
		(v.Get("node") == "" || v.Get("node") == t.Node) &&
		(workload == "" || workload == t.Workload.Name || workload == t.Workload.String()) &&
		(reason == "" || reason == string(t.Refused) || slices.ContainsFunc(t.Rules, func(r gopprof.RuleState) bool { return reason == string(r.Reason) }))
}

// askable completes rows with the way to profile them, for what the caller may.
func (p *pages) askable(ctx context.Context, rows []targetRow) ([]targetRow, error) {
	may := p.MayProfile(ctx)
	for i, row := range rows {
		if row.Refused != "" || row.Gone {
			continue
		}
		ok, err := may(row.Cluster, row.Namespace)
		if err != nil {
			return nil, err
		}
		if ok {
			rows[i].Ask = formFor(row.Target)
		}
	}
	return rows, nil
}

// formFor is the address of the form to profile a target now.
func formFor(t gopprof.Target) string {
	v := url.Values{"what": {whatPod}, "name": {t.Pod}, "container": {t.Container}}
	v.Set("place", placeText(t.Cluster, t.Namespace))
	return "/operations/new?" + v.Encode()
}
