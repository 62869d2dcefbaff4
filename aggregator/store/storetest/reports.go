package storetest

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

func commitMark(t *testing.T, b Bucket) {
	s := open(t, b)
	c := Capture(Noon(), 1)
	r := Put(t, s, c)
	for _, s := range []*store.Store{s, open(t, b)} {
		if _, ok, err := s.Committed(t.Context(), c); ok || err != nil {
			t.Errorf("before the commit: committed %v, %v", ok, err)
		}
		if _, err := s.Report(t.Context(), r.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("before the commit: %v, want ErrNotFound", err)
		}
		if page, err := s.List(t.Context(), store.Query{}); err != nil || len(page.Reports) > 0 {
			t.Errorf("before the commit: listed %v, %v", ids(page.Reports), err)
		}
	}
	for range 2 {
		if err := s.Commit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	other := r
	other.Explanation.Summary = "something else"
	for _, s := range []*store.Store{s, open(t, b)} {
		if err := s.Commit(t.Context(), other); !errors.Is(err, store.ErrExists) {
			t.Errorf("committing another report: %v, want ErrExists", err)
		}
		got, ok, err := s.Committed(t.Context(), c)
		if err != nil || !ok {
			t.Fatalf("after the commit: committed %v, %v", ok, err)
		}
		equal(t, "committed", got, r)
	}
}

// identifierOfAnother: an agent that sends a capture under the identifier of a report that another
// target has does not take its place.
func identifierOfAnother(t *testing.T, b Bucket) {
	s := start(t, b, func(*store.Config) {})
	c := Capture(Noon(), 1)
	r := Store(t, s, c)
	c.Target.Pod = "another"
	if err := s.Commit(t.Context(), Put(t, s, c)); !errors.Is(err, store.ErrDifferent) {
		t.Errorf("committing: %v, want ErrDifferent", err)
	}
	got, err := s.Report(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the report", got, r)
}

// indexIsItsOwn: the index holds neither the profiles' bytes nor anything that the caller
// may change after the commit.
func indexIsItsOwn(t *testing.T, b Bucket) {
	s := start(t, b, func(*store.Config) {})
	c := Capture(Noon(), 1)
	r := Put(t, s, c)
	want := r
	want.Files = slices.Clone(r.Files)
	r.Capture = c // with bytes
	if err := s.Commit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	r.Files[0].Detail = "changed"
	got, err := s.Report(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "report", got, want)
}

// history stands in a report, wherever it is read from, and in no list.
func history(t *testing.T, b Bucket) {
	s := start(t, b, func(c *store.Config) { c.MaxAge, c.IndexReports = 0, 2 })
	var stored []gopprof.Report
	for i := range 4 {
		c := Capture(Noon().AddDate(0, 0, -i), i)
		c.History = gopprof.History{
			Local:    []gopprof.Point{{Start: Noon(), End: Noon().Add(10 * time.Second), HasCPU: true, CPUCores: 1.5, CPULimitCores: 2}},
			SeriesBy: gopprof.WitnessHeapster,
		}
		stored = append(stored, Store(t, s, c))
	}
	for name, s := range map[string]*store.Store{"indexed": s, "from the store": open(t, b)} {
		for _, want := range stored {
			got, err := s.Report(t.Context(), want.ID)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, name, got, want)
		}
		page, err := s.List(t.Context(), store.Query{})
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range page.Reports {
			want := stored[i]
			want.Capture.History = gopprof.History{}
			equal(t, name+", listed", got, want)
		}
	}
	b.Plant(t, reportKey(stored[0]), []byte("{"))
	if _, err := s.Report(t.Context(), stored[0].ID); !errors.Is(err, store.ErrBroken) {
		t.Errorf("a report that broke since it was indexed: %v, want ErrBroken", err)
	}
}

// linesOfLists: wherever a list is told from, it has what a line shows of a report, and nothing
// that is as large as a target makes it. The report itself has everything.
func linesOfLists(t *testing.T, b Bucket) {
	s := start(t, b, func(c *store.Config) { c.MaxAge, c.IndexReports = 0, 1 })
	var stored, lines []gopprof.Report
	for i := range 2 {
		line := Put(t, s, Capture(Noon().AddDate(0, 0, -i), i))
		line.Capture.Agreement.Result = gopprof.AgreementConfirmed
		line.Capture.Trigger.Evidence = &gopprof.Evidence{Rule: "cpu", Resource: gopprof.ResourceCPU}
		line.Explanation.Warnings, line.Page = []string{"few samples"}, "https://gopprof.example/reports/"+line.ID
		line.Explanation.Verdict = &gopprof.Verdict{
			Version: gopprof.VerdictVersion, Scope: gopprof.ScopePod,
			Causes: []gopprof.Cause{{Kind: gopprof.CauseCodeHot, Confidence: gopprof.ConfidenceSure}, {Kind: gopprof.CauseTraffic, Confidence: gopprof.ConfidenceUnsure}},
		}
		r := verbose(line)
		if err := s.Commit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		stored, lines = append(stored, r), append(lines, line)
	}
	for name, s := range map[string]*store.Store{"indexed": s, "from the store": open(t, b)} {
		page, err := s.List(t.Context(), store.Query{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, name+", listed", page.Reports, lines)
		for _, want := range stored {
			got, err := s.Report(t.Context(), want.ID)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, name, got, want)
		}
	}
}

// verbose returns a report with everything that a line does not show.
func verbose(r gopprof.Report) gopprof.Report {
	at, name := Noon(), strings.Repeat("x", 100)
	evidence := *r.Capture.Trigger.Evidence
	evidence.Windows = []gopprof.Window{{Witness: gopprof.WitnessCadvisor, Start: at, End: at.Add(time.Minute)}}
	r.Capture.Trigger.Evidence = &evidence
	r.Capture.Trigger.Alert = &gopprof.Alert{Name: name, Labels: map[string]string{"a": name}}
	r.Capture.Agreement.Compared = []gopprof.Comparison{{Start: at, End: at.Add(time.Minute), Local: 1}}
	r.Capture.Failures = []gopprof.Failure{{Kind: gopprof.KindMutex, Reason: gopprof.ReasonNotEnabled, Detail: name}}
	r.Capture.Labels, r.Capture.History.SeriesBy = map[string]string{"app": name}, gopprof.WitnessHeapster
	r.Siblings = []gopprof.Sibling{{Capture: r.ID, Target: r.Capture.Target, State: gopprof.SiblingStored}}
	r.Fleet, r.Links = &gopprof.Fleet{Pods: 2}, map[string]string{"dashboard": "https://grafana.example/" + name}
	function := gopprof.Function{Name: name, File: name}
	r.Explanation.Profiles = []gopprof.TopFunctions{{Kind: gopprof.KindCPU, Functions: []gopprof.Function{function}}}
	r.Explanation.Differences = []gopprof.Difference{{
		Kind: gopprof.KindCPU, With: []gopprof.Comparator{{Report: r.ID, Pod: name}},
		Functions: []gopprof.Growth{{Function: name, Path: []string{name}}},
	}}
	verdict := *r.Explanation.Verdict
	verdict.Causes = slices.Clone(verdict.Causes)
	for i := range verdict.Causes {
		c := &verdict.Causes[i]
		c.Line, c.Function, c.Path, c.Proof = name, name, []string{name}, []gopprof.Proof{{What: name}}
	}
	r.Explanation.Verdict = &verdict
	r.Files = slices.Clone(r.Files)
	r.Files[1].Reason, r.Files[1].Detail = gopprof.ReasonInvalidProfile, name
	return r
}

func commitsAtOnce(t *testing.T, b Bucket) {
	s := open(t, b)
	r := Put(t, s, Capture(Noon(), 1))
	errs := atOnce(8, func(i int) error {
		mine := r
		mine.MadeAt = r.MadeAt.Add(time.Duration(i) * time.Second)
		return open(t, b).Commit(t.Context(), mine)
	})
	won := slices.Index(errs, nil)
	if won < 0 {
		t.Fatalf("no commit succeeded: %v", errs)
	}
	if slices.Index(errs[won+1:], nil) >= 0 {
		t.Errorf("two commits succeeded: %v", errs)
	}
	got, _, err := s.Committed(t.Context(), r.Capture)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "made at", got.MadeAt, r.MadeAt.Add(time.Duration(won)*time.Second))
}

func reportByID(t *testing.T, b Bucket) {
	s := start(t, b, func(c *store.Config) { c.IndexReports = 2 })
	var stored []gopprof.Report
	for i := range 5 {
		c := Capture(Noon().AddDate(0, 0, -i), i)
		c.Target.Cluster = []string{"prod", "test"}[i%2]
		stored = append(stored, Store(t, s, c))
	}
	Put(t, s, Capture(Noon(), 99)) // not committed
	for _, s := range []*store.Store{s, open(t, b)} {
		for _, want := range stored {
			got, err := s.Report(t.Context(), want.ID)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "report", got, want)
		}
		for _, id := range []string{ID(Noon(), 98), ID(Noon(), 99), ID(time.UnixMilli(0), 1), "ffffffff-ffff-7000-8000-000000000000",
			"", "x", "../x", strings.Repeat("0", 36)} {
			if _, err := s.Report(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("report %q: %v, want ErrNotFound", id, err)
			}
		}
	}
}

func restart(t *testing.T, b Bucket) {
	first := start(t, b, func(*store.Config) {})
	var want []string
	for i := range 30 {
		r := Store(t, first, Capture(Noon().Add(-time.Duration(i)*5*time.Hour), i))
		want = append(want, r.ID)
	}
	for _, most := range []int{1, 7, 29, 30, 31, 1000} {
		again := start(t, b, func(c *store.Config) { c.IndexReports = most })
		page, err := again.List(t.Context(), store.Query{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "listed after a restart", ids(page.Reports), want)
	}
}

// brokenReport: what a report.json may have become must not hide the others.
func brokenReport(t *testing.T, b Bucket) {
	s := open(t, b)
	good := Store(t, s, Capture(Noon(), 0))
	for i, text := range []string{"", "{", "null", "[]", `"x"`, `{"version":99}`, `{"version":1,"id":1}`, `{"version":1,"id":"x"}`, strings.Repeat("[", 100_000)} {
		r := Put(t, s, Capture(Noon(), i+1))
		b.Plant(t, reportKey(r), []byte(text))
	}
	other := Put(t, s, Capture(Noon(), 50))
	r, _ := s.Read(t.Context(), reportKey(good))
	b.Plant(t, reportKey(other), r) // another report's
	bare := good
	bare.Files = nil
	data, err := json.Marshal(bare)
	if err != nil {
		t.Fatal(err)
	}
	b.Plant(t, reportKey(Put(t, s, Capture(Noon(), 51))), data) // another's, without files
	for _, s := range []*store.Store{s, start(t, b, func(*store.Config) {})} {
		page, err := s.List(t.Context(), store.Query{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "listed", ids(page.Reports), []string{good.ID})
		if page.Next != "" {
			t.Errorf("next page %q, want none", page.Next)
		}
		if _, err := s.Report(t.Context(), other.ID); !errors.Is(err, store.ErrBroken) {
			t.Errorf("broken report: %v, want ErrBroken", err)
		}
		if _, ok, err := s.Committed(t.Context(), other.Capture); ok || !errors.Is(err, store.ErrBroken) {
			t.Errorf("broken report: committed %v, %v; want ErrBroken", ok, err)
		}
	}
}

func reportKey(r gopprof.Report) string {
	own := r.Files[0].Profile
	return own[:strings.LastIndex(own, "/")+1] + "report.json"
}

// anotherAggregator stores on the same bucket; what it stores and sweeps is seen.
func anotherAggregator(t *testing.T, b Bucket) {
	often := func(c *store.Config) {
		c.RefreshInterval, c.SweepInterval = 10*time.Millisecond, 50*time.Millisecond
		c.MaxAge, c.MaxBytes, c.Sweep = time.Millisecond, 1, false
	}
	here := start(t, b, often)
	there := open(t, b)
	now := time.Now()
	recent, old := Capture(now, 1), Capture(now.AddDate(0, 0, -10), 2)
	Store(t, there, recent)
	Store(t, there, old)
	poll.Until(t, "both are listed", func() bool { return len(list(t, here, store.Query{})) == 2 })

	sweeper := b.Open(t, func(c *store.Config) { c.MaxAge, c.MaxBytes = 24*time.Hour, 0 })
	if err := sweeper.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "the swept report is listed no more", func() bool {
		return slices.Equal(list(t, here, store.Query{}), []string{recent.ID})
	})
}
