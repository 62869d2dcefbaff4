package store_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/aggregator/store/storetest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// unreadable makes a report's mark a file that is there and that nobody can read.
func unreadable(t *testing.T, d directory, r gopprof.Report) {
	t.Helper()
	path := filepath.Join(string(d), filepath.Dir(r.Files[0].Profile), "report.json")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("report.json", path); err != nil {
		t.Fatal(err)
	}
}

// A report that cannot be read does not keep those from being deleted that are too old, nor
// others from being listed.
func TestSweepWithAReportThatCannotBeRead(t *testing.T) {
	d := directory(t.TempDir())
	s := d.Open(t, func(c *store.Config) { c.MaxAge = 24 * time.Hour })
	at := storetest.Noon()
	s.SetClock(func() time.Time { return at })
	if err := s.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	another := d.Open(t, func(c *store.Config) { c.Sweep = false })
	old := storetest.Store(t, another, storetest.Capture(at.Add(-48*time.Hour), 1))
	unreadable(t, d, storetest.Store(t, another, storetest.Capture(at.Add(-time.Hour), 2)))
	fine := storetest.Store(t, another, storetest.Capture(at.Add(-time.Hour), 3))
	if err := s.Sweep(t.Context()); err == nil {
		t.Error("nobody is told of a report that cannot be read")
	}
	page, err := s.List(t.Context(), store.Query{})
	if err != nil || len(page.Reports) != 1 || page.Reports[0].ID != fine.ID {
		t.Errorf("listed %d reports, %v, want the one that can be read", len(page.Reports), err)
	}
	if _, err := s.Report(t.Context(), old.ID); err == nil || s.Swept("age") != 1 {
		t.Errorf("the old report: %v, %g swept", err, s.Swept("age"))
	}
}

// A store starts though a report cannot be read, once it is clear that this will not pass.
func TestStartWithAReportThatCannotBeRead(t *testing.T) {
	d := directory(t.TempDir())
	before := d.Open(t, func(*store.Config) {})
	unreadable(t, d, storetest.Store(t, before, storetest.Capture(storetest.Noon(), 1)))
	fine := storetest.Store(t, before, storetest.Capture(storetest.Noon(), 2))
	synctest.Test(t, func(t *testing.T) {
		s := d.Open(t, func(c *store.Config) { c.Sweep = false })
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		time.Sleep(time.Second)
		if s.Ready() == nil {
			t.Error("ready at the second try: it could have passed")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := s.Ready(); err != nil {
			t.Errorf("after a minute: %v", err)
		}
		page, err := s.List(t.Context(), store.Query{})
		if err != nil || len(page.Reports) != 1 || page.Reports[0].ID != fine.ID {
			t.Errorf("listed %d reports, %v, want the one that can be read", len(page.Reports), err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A list of what the index does not hold is without those few that cannot be read, and says so;
// where many cannot be read it is the store that fails.
func TestListWithAReportThatCannotBeRead(t *testing.T) {
	d := directory(t.TempDir())
	s := d.Open(t, func(c *store.Config) { c.Sweep = false })
	var want []string
	for i := range 30 {
		r := storetest.Store(t, s, storetest.Capture(storetest.Noon().Add(-time.Duration(i)*time.Hour), i))
		if i%10 == 3 {
			unreadable(t, d, r)
			continue
		}
		want = append(want, r.ID)
	}
	anew := d.Open(t, func(c *store.Config) { c.Sweep = false })
	var got []string
	for q, more := (store.Query{Limit: 7}), true; more; more = q.After != "" {
		page, err := anew.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Reports {
			got = append(got, r.ID)
		}
		q.After = page.Next
	}
	if !slices.Equal(got, want) || anew.Failures("list_read") < 3 {
		t.Errorf("listed %d reports, %g left out, want %d and 3 or, by pages that overlap, more", len(got), anew.Failures("list_read"), len(want))
	}
	for i := range 9 {
		unreadable(t, d, storetest.Store(t, s, storetest.Capture(storetest.Noon(), 100+i)))
	}
	if _, err := anew.List(t.Context(), store.Query{Limit: 100}); err == nil {
		t.Error("a list of a store of which twelve reports cannot be read")
	}
}
