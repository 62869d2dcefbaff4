package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// list reads all pages and checks what holds for each.
func list(t *testing.T, s *store.Store, q store.Query) []string {
	t.Helper()
	var all []string
	for pages := 0; ; pages++ {
		page, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if q.Limit > 0 && len(page.Reports) > q.Limit {
			t.Errorf("a page of %d reports, want at most %d", len(page.Reports), q.Limit)
		}
		all = append(all, ids(page.Reports)...)
		if page.Next == "" {
			return all
		}
		if q.After = page.Next; pages > 1000 {
			t.Fatal("the pages do not end")
		}
	}
}

// fleet stores reports of a few clusters, namespaces, workloads and pods over some days,
// several of them in one millisecond and at the edges of days, and returns them newest first.
func fleet(t *testing.T, s *store.Store) []gopprof.Report {
	t.Helper()
	rnd := random()
	pick := func(names ...string) string { return names[rnd.IntN(len(names))] }
	midnight := Noon().Truncate(24 * time.Hour)
	var reports []gopprof.Report
	for i := range 48 {
		at := midnight.Add(-time.Duration(rnd.IntN(70)) * time.Hour)
		at = at.Add(time.Duration(rnd.IntN(3)-1) * time.Millisecond)
		c := Capture(at, i)
		c.Incident = ID(at.Truncate(24*time.Hour), rnd.IntN(2))
		c.Target.Cluster = pick("prod", "prod-2")
		c.Target.Namespace = pick("shop", "shop-2", "bank")
		c.Target.Workload = gopprof.Workload{Kind: pick("Deployment", "StatefulSet"), Name: pick("api", "api-2", "db")}
		c.Target.Pod = pick("api-0", "api-1", "a_b")
		c.Profiles = c.Profiles[:1+rnd.IntN(2)]
		reports = append(reports, Store(t, s, c))
	}
	slices.SortFunc(reports, func(a, b gopprof.Report) int { return strings.Compare(b.ID, a.ID) })
	return reports
}

func queries() []store.Query {
	noon := Noon()
	return []store.Query{
		{},
		{Cluster: "prod"}, {Cluster: "prod-3"}, {Cluster: "pro"},
		{Namespace: "shop"}, {Namespace: "shop-2"}, {Namespace: "sho"},
		{Workload: "api"}, {Workload: "Deployment/api"}, {Workload: "Deployment/"}, {Workload: "deployment/api"},
		{Namespace: "shop", Workload: "api-2"}, {Namespace: "shop", Workload: "StatefulSet/api-2"},
		{Pod: "api-0"}, {Pod: "a_b"}, {Pod: "api"},
		{Kind: gopprof.KindHeap}, {Kind: gopprof.KindCPU}, {Kind: gopprof.KindTrace}, {Kind: "nonsense"},
		{Incident: ID(noon.Truncate(24*time.Hour).AddDate(0, 0, -1), 1)}, {Incident: "nonsense"},
		{Cause: gopprof.CauseKinds()[2]}, {Cause: gopprof.CauseKinds()[0], Namespace: "shop"}, {Cause: gopprof.CauseTraffic}, {Cause: "nonsense"},
		{From: noon.AddDate(0, 0, -2)}, {To: noon.AddDate(0, 0, -2)},
		{From: noon.AddDate(0, 0, -2), To: noon.AddDate(0, 0, -1)},
		{From: noon.Truncate(24*time.Hour).AddDate(0, 0, -1)}, {To: noon.Truncate(24*time.Hour).AddDate(0, 0, -1)},
		{From: noon, To: noon.AddDate(0, 0, -5)}, {From: noon.AddDate(100, 0, 0)}, {From: noon.AddDate(9000, 0, 0)}, {To: noon.AddDate(9000, 0, 0)}, {To: noon.AddDate(90_000, 0, 0)}, {To: time.UnixMilli(-5)},
		{Cluster: "prod", Namespace: "shop", Workload: "Deployment/api", Pod: "api-1", Kind: gopprof.KindCPU},
	}
}

// want is the plain meaning of a query.
func want(reports []gopprof.Report, q store.Query) []string {
	var found []string
	for _, r := range reports {
		c := r.Capture
		at := c.Start.Add(-time.Second) // as Capture makes it
		_, hasKind := r.File(q.Kind)
		if q.Cluster != "" && c.Target.Cluster != q.Cluster ||
			q.Namespace != "" && c.Target.Namespace != q.Namespace ||
			q.Workload != "" && c.Target.Workload.Name != q.Workload && c.Target.Workload.String() != q.Workload ||
			q.Pod != "" && c.Target.Pod != q.Pod ||
			q.Kind != "" && !hasKind ||
			q.Incident != "" && c.Incident != q.Incident ||
			q.Cause != "" && r.Explanation.Cause().Kind != q.Cause ||
			!q.From.IsZero() && at.Before(q.From) ||
			!q.To.IsZero() && !at.Before(q.To) {
			continue
		}
		found = append(found, r.ID)
	}
	return found
}

func checkQueries(t *testing.T, s *store.Store, reports []gopprof.Report) {
	t.Helper()
	for _, q := range queries() {
		limits := []int{7}
		if (q == store.Query{}) {
			limits = []int{0, 1, 47, 48}
		}
		for _, limit := range limits {
			q.Limit = limit
			equal(t, fmt.Sprintf("%+v", q), list(t, s, q), want(reports, q))
		}
	}
}

func listFromStore(t *testing.T, b Bucket) {
	reports := fleet(t, open(t, b))
	checkQueries(t, open(t, b), reports)
}

func listFromIndex(t *testing.T, b Bucket) {
	reports := fleet(t, open(t, b))
	checkQueries(t, start(t, b, func(c *store.Config) { c.MaxAge = 0 }), reports)
}

func listFromBoth(t *testing.T, b Bucket) {
	reports := fleet(t, open(t, b))
	checkQueries(t, start(t, b, func(c *store.Config) { c.MaxAge, c.IndexReports = 0, 20 }), reports)
}

// listWhileArriving: new reports arrive between the pages, newer than all, in between, and
// older than the cursor. Those that were there are listed once each.
func listWhileArriving(t *testing.T, b Bucket) {
	s := start(t, b, func(c *store.Config) { c.MaxAge, c.IndexReports = 0, 10 })
	var before []string
	for i := range 24 {
		before = append(before, Store(t, s, Capture(Noon().Add(-time.Duration(i)*3*time.Hour), 1)).ID)
	}
	var seen []string
	q := store.Query{Limit: 5}
	for n := 0; ; n++ {
		page, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, ids(page.Reports)...)
		if q.After = page.Next; page.Next == "" {
			break
		}
		Store(t, s, Capture(Noon().Add(time.Duration(n)*time.Minute), 2))
		Store(t, s, Capture(Noon().Add(-time.Duration(n)*17*time.Hour), 3))
	}
	if !slices.IsSortedFunc(seen, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("not newest first: %v", seen)
	}
	if n := len(seen); n != len(slices.Compact(slices.Clone(seen))) {
		t.Errorf("listed twice: %v", seen)
	}
	for _, id := range before {
		if !slices.Contains(seen, id) {
			t.Errorf("report %s was there all the time and was not listed", id)
		}
	}
}

func listBadCursor(t *testing.T, b Bucket) {
	s := open(t, b)
	id := Store(t, s, Capture(Noon(), 1)).ID
	for after, want := range map[string][]string{
		"ffffffff-ffff-7fff-bfff-ffffffffffff": {id}, ID(Noon(), 2): {id}, id: nil, "00000000-0000-7000-8000-000000000000": nil,
	} {
		equal(t, "listed after "+after, list(t, s, store.Query{After: after}), want)
	}
	for _, after := range []string{"x", "../..", strings.Repeat("f", 36)} {
		if _, err := s.List(t.Context(), store.Query{After: after}); !errors.Is(err, store.ErrCursor) {
			t.Errorf("cursor %q: %v, want ErrCursor", after, err)
		}
	}
}

// listLongEmpty: a query that matches little over a long time ends each call soon and
// still finds everything.
func listLongEmpty(t *testing.T, b Bucket) {
	s := open(t, b)
	for i := range 40 {
		Store(t, s, Capture(Noon().AddDate(0, 0, -i), 0))
	}
	c := Capture(Noon().AddDate(0, 0, -45), 0)
	c.Target.Pod = "rare"
	Store(t, s, c)
	page, err := s.List(t.Context(), store.Query{Pod: "rare"})
	if err != nil || len(page.Reports) > 0 || page.Next == "" {
		t.Errorf("first page: %v, next %q, %v; want none yet, and a next", ids(page.Reports), page.Next, err)
	}
	equal(t, "listed", list(t, s, store.Query{Pod: "rare"}), []string{c.ID})
}
