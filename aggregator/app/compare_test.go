package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// shelf is a store, and what is known of siblings.
type shelf struct {
	siblings []gopprof.Sibling
	reports  map[string]gopprof.Report // of siblings, by capture
	earlier  []gopprof.Report
	queries  []store.Query
	fail     error
}

func (s *shelf) Ready(context.Context, gopprof.Capture) time.Duration { return time.Second }

func (s *shelf) Of(context.Context, gopprof.Capture) (*gopprof.Fleet, []gopprof.Sibling) {
	return &gopprof.Fleet{Pods: 4}, s.siblings
}

func (s *shelf) Committed(_ context.Context, c gopprof.Capture) (gopprof.Report, bool, error) {
	r, ok := s.reports[c.ID]
	for _, e := range s.earlier {
		if e.ID == c.ID {
			r, ok = e, true
		}
	}
	return r, ok, s.fail
}

func (s *shelf) List(_ context.Context, q store.Query) (store.Page, error) {
	s.queries = append(s.queries, q)
	var page store.Page
	first := 1 + slices.IndexFunc(s.earlier, func(r gopprof.Report) bool { return r.ID == q.After })
	for _, r := range s.earlier[first:min(first+q.Limit, len(s.earlier))] {
		r.Capture.History = gopprof.History{} // as the store lists them
		page.Reports = append(page.Reports, r)
	}
	if first+q.Limit < len(s.earlier) {
		page.Next = page.Reports[q.Limit-1].ID
	}
	return page, s.fail
}

func (s *shelf) Read(_ context.Context, key string) ([]byte, error) { return []byte(key), nil }

var hotAt = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// reportOf is the report of a capture of the workload: its name, trigger and use while it was
// made, of which 0 is unknown.
func reportOf(id string, kind gopprof.TriggerKind, ratio float64) gopprof.Report {
	c := gopprof.Capture{
		ID: id, Incident: "before", Trigger: gopprof.Trigger{Kind: kind}, Target: podOf("b"), Start: hotAt, End: hotAt.Add(30 * time.Second),
		Profiles: []gopprof.Profile{{Kind: gopprof.KindCPU}},
	}
	if ratio > 0 {
		for i, cores := range []float64{9, ratio, ratio, 9} { // before, while and after it was made
			start := hotAt.Add(time.Duration(i-1) * 15 * time.Second)
			c.History.Local = append(c.History.Local, gopprof.Point{Start: start, End: start.Add(15 * time.Second), HasCPU: true, CPUCores: cores, CPULimitCores: 1})
		}
	}
	return gopprof.Report{ID: id, Capture: c, Files: []gopprof.File{{Kind: gopprof.KindCPU, Profile: "key-" + id}}}
}

func hotCapture() gopprof.Capture {
	return gopprof.Capture{
		ID: "hot", Incident: "now", Target: podOf("a"), Start: hotAt, End: hotAt.Add(30 * time.Second),
		Trigger:  gopprof.Trigger{Kind: gopprof.TriggerRule, Evidence: &gopprof.Evidence{Resource: gopprof.ResourceCPU, Threshold: 0.8}},
		Profiles: []gopprof.Profile{{Kind: gopprof.KindCPU}},
	}
}

// compared are the captures that the hot one is compared with, earlier ones with a mark.
func (s *shelf) compared(t *testing.T, hot gopprof.Capture) string {
	t.Helper()
	var out []string
	for _, o := range (comparing{s, s, zap.NewNop()}).Around(t.Context(), hot).Others {
		name := o.Report.ID
		if o.Earlier {
			name += " (earlier)"
		}
		out = append(out, name)
		if data, err := o.Read(gopprof.KindCPU); err != nil || string(data) != "key-"+o.Report.ID {
			t.Errorf("%s: %q, %v", name, data, err)
		}
		if _, err := o.Read(gopprof.KindHeap); gopprof.ReasonOf(err) != gopprof.ReasonUnknown {
			t.Errorf("%s: a heap profile that is not there: %v", name, err)
		}
	}
	return strings.Join(out, ", ")
}

func changed(r gopprof.Report, change func(*gopprof.Capture)) gopprof.Report {
	change(&r.Capture)
	return r
}

func TestWhoIsComparedWith(t *testing.T) {
	sibling := func(ratio float64) gopprof.Report { return reportOf("s", gopprof.TriggerSibling, ratio) }
	manual := func(ratio float64) gopprof.Report { return reportOf("m", gopprof.TriggerManual, ratio) }
	for name, c := range map[string]struct {
		state   gopprof.SiblingState
		sibling gopprof.Report
		earlier gopprof.Report
		want    string
	}{
		"a sibling":                                        {gopprof.SiblingStored, sibling(0), gopprof.Report{}, "s"},
		"a sibling that was seen":                          {gopprof.SiblingStored, sibling(0.5), gopprof.Report{}, "s"},
		"a sibling that became hot":                        {gopprof.SiblingStored, sibling(0.9), gopprof.Report{}, ""},
		"a sibling that is late":                           {gopprof.SiblingAsked, sibling(0), gopprof.Report{}, ""},
		"a sibling that says it is another build":          {gopprof.SiblingStored, changed(sibling(0), func(c *gopprof.Capture) { c.Target.Build = "x" }), gopprof.Report{}, ""},
		"a sibling with other kinds":                       {gopprof.SiblingStored, changed(sibling(0), func(c *gopprof.Capture) { c.Profiles[0].Kind = gopprof.KindHeap }), gopprof.Report{}, ""},
		"an earlier sibling":                               {"", gopprof.Report{}, sibling(0), "s (earlier)"},
		"both":                                             {gopprof.SiblingStored, sibling(0), reportOf("e", gopprof.TriggerSibling, 0.1), "s, e (earlier)"},
		"an earlier one of another build":                  {"", gopprof.Report{}, changed(sibling(0), func(c *gopprof.Capture) { c.Target.Build = "x" }), ""},
		"an earlier one of another container":              {"", gopprof.Report{}, changed(sibling(0), func(c *gopprof.Capture) { c.Target.Container = "x" }), ""},
		"a sibling of the same incident is no earlier one": {"", gopprof.Report{}, changed(sibling(0), func(c *gopprof.Capture) { c.Incident = "now" }), ""},
		"an earlier hot one":                               {"", gopprof.Report{}, reportOf("e", gopprof.TriggerRule, 0.1), ""},
		"by hand, quiet":                                   {"", gopprof.Report{}, manual(0.39), "m (earlier)"},
		"by hand, not so quiet":                            {"", gopprof.Report{}, manual(0.41), ""},
		"by hand, nobody knows":                            {"", gopprof.Report{}, manual(0), ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &shelf{reports: map[string]gopprof.Report{"s": c.sibling}, earlier: []gopprof.Report{c.earlier}}
			if c.state != "" {
				s.siblings = []gopprof.Sibling{{Capture: "s", State: c.state}}
			}
			if got := s.compared(t, hotCapture()); got != c.want {
				t.Errorf("compared with %q, want %q", got, c.want)
			}
		})
	}
}

func TestEarlierOnesAreFewAndLookedForOnce(t *testing.T) {
	s := &shelf{}
	for i := range 5 {
		s.earlier = append(s.earlier, reportOf(fmt.Sprint("e", i), gopprof.TriggerSibling, 0))
	}
	if got := s.compared(t, hotCapture()); got != "e0 (earlier), e1 (earlier)" {
		t.Errorf("compared with %q", got)
	}
	want := store.Query{Cluster: shopTarget.Cluster, Namespace: "shop", Workload: "Deployment/api", From: hotAt.Add(-7 * 24 * time.Hour), To: hotAt, Limit: 20}
	if len(s.queries) != 1 || s.queries[0] != want {
		t.Errorf("asked for %+v", s.queries)
	}
}

// Each report that is listed may have to be read from a store far away: where the newest few
// hold nobody to compare with, some more are looked at, and not all of a week.
func TestEarlierOnesBehindOthers(t *testing.T) {
	for behind, want := range map[int]string{0: "q (earlier)", 19: "q (earlier)", 20: "q (earlier)", 59: "q (earlier)", 60: "", 500: ""} {
		s := &shelf{}
		for i := range behind {
			s.earlier = append(s.earlier, reportOf(fmt.Sprint("hot", i), gopprof.TriggerRule, 0))
		}
		s.earlier = append(s.earlier, reportOf("q", gopprof.TriggerSibling, 0))
		if got := s.compared(t, hotCapture()); got != want || len(s.queries) > min(behind/20+1, 3) {
			t.Errorf("behind %d others: compared with %q, want %q; %d lists", behind, got, want, len(s.queries))
		}
	}
}

// What cannot be read is not compared with; the report says all the same who was asked.
func TestComparisonThatFails(t *testing.T) {
	s := &shelf{
		siblings: []gopprof.Sibling{{Capture: "s", State: gopprof.SiblingStored}}, fail: errors.New("away"),
		reports: map[string]gopprof.Report{"s": reportOf("s", gopprof.TriggerSibling, 0)},
	}
	around := comparing{s, s, zap.NewNop()}.Around(t.Context(), hotCapture())
	if len(around.Others) != 0 || len(around.Siblings) != 1 || around.Fleet == nil {
		t.Errorf("%+v", around)
	}
}

func TestOnlyRulesAreComparedWithOthers(t *testing.T) {
	for _, kind := range []gopprof.TriggerKind{gopprof.TriggerManual, gopprof.TriggerSibling} {
		s := &shelf{siblings: []gopprof.Sibling{{}}, earlier: []gopprof.Report{reportOf("e", gopprof.TriggerSibling, 0)}}
		hot := hotCapture()
		hot.Trigger.Kind = kind
		if around := (comparing{s, s, zap.NewNop()}).Around(t.Context(), hot); around.Fleet != nil || around.Siblings != nil || around.Others != nil {
			t.Errorf("%s: %+v", kind, around)
		}
	}
}
