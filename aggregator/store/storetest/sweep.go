package storetest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func retentionByAge(t *testing.T, b Bucket) {
	s := start(t, b, func(c *store.Config) { c.MaxAge, c.MaxBytes = 48*time.Hour, 0 })
	now := time.Now()
	var kept, gone []gopprof.Report
	for i, age := range []time.Duration{0, time.Hour, 47 * time.Hour} {
		kept = append(kept, Store(t, s, Capture(now.Add(-age), i)))
	}
	for i, age := range []time.Duration{49 * time.Hour, 72 * time.Hour, 400 * 24 * time.Hour} {
		gone = append(gone, Store(t, s, Capture(now.Add(-age), i)))
	}
	young := Put(t, s, Capture(now.AddDate(0, 0, -300), 9)) // being stored just now: an agent was away for long
	sweep(t, s)
	equal(t, "listed", list(t, s, store.Query{}), ids(kept))
	for _, r := range gone {
		if _, err := s.Report(t.Context(), r.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("swept report: %v, want ErrNotFound", err)
		}
	}
	equal(t, "files left", len(b.Keys(t)), 5*len(kept)+4)
	if err := s.Commit(t.Context(), young); err != nil {
		t.Errorf("committing what was being stored: %v", err)
	}
}

func sweep(t *testing.T, s *store.Store) {
	t.Helper()
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func retentionByBytes(t *testing.T, b Bucket) {
	const size = 10_000
	s := start(t, b, func(c *store.Config) { c.MaxAge, c.MaxBytes = 0, 10*size })
	var newestFirst []string
	for i := range 20 {
		c := Capture(Noon().Add(-time.Duration(i)*5*time.Hour), i)
		c.Profiles = []gopprof.Profile{Profile(gopprof.KindCPU, make([]byte, size))}
		newestFirst = append(newestFirst, Store(t, s, c).ID)
	}
	sweep(t, s)
	left := list(t, s, store.Query{})
	if len(left) < 7 || len(left) > 9 { // a report.json and a drawing weigh a little
		t.Errorf("%d reports left of %d bytes each and more, want 8 or so within %d", len(left), size, 10*size)
	}
	equal(t, "left are the newest", left, newestFirst[:len(left)])
	before := b.Keys(t)
	sweep(t, s)
	equal(t, "files after another sweep", b.Keys(t), before)
}

// sweepLeavesForeign: a bucket may be shared.
func sweepLeavesForeign(t *testing.T, b Bucket) {
	s := b.Open(t, func(c *store.Config) { c.MaxAge, c.MaxBytes = time.Millisecond, 1 })
	r := Store(t, s, Capture(Noon().AddDate(-1, 0, 0), 1))
	own := r.Files[0].Profile
	folder := own[:strings.LastIndex(own, "/")+1]
	foreign := []string{
		"backup.tar", "prod/notes.txt", "prod/2020/01/01/db/dump.sql", "2020/01/01/x", "prod/2020/13/77/x/y/z",
		folder + "notes.txt", strings.Replace(own, "2025/11/14", "2020/01/02", 1), folder + "sub/cpu.pb.gz",
	}
	for _, key := range foreign {
		b.Plant(t, key, []byte("not ours"))
	}
	sweep(t, s)
	slices.Sort(foreign)
	equal(t, "left", b.Keys(t), foreign)
}

func prefix(t *testing.T, b Bucket) {
	one := b.Open(t, func(c *store.Config) { c.Prefix = "team-1/gopprof/" })
	two := b.Open(t, func(c *store.Config) { c.Prefix, c.MaxAge = "team-2", time.Millisecond })
	r := Store(t, one, Capture(Noon(), 1))
	Store(t, two, Capture(Noon(), 2))
	equal(t, "listed below the first", list(t, one, store.Query{}), []string{r.ID})
	sweep(t, two)
	equal(t, "listed below the second", list(t, two, store.Query{}), []string(nil))
	reads(t, one, r.Files[0].Profile, Capture(Noon(), 1).Profiles[0].Bytes)
	for _, key := range b.Keys(t) {
		if !strings.HasPrefix(key, "team-1/gopprof/prod/") {
			t.Errorf("key %q lies outside the prefix", key)
		}
	}
}
