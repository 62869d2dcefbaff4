package store_test

import (
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/aggregator/store/storetest"
)

// Captures are named by clocks that are set by an hour, to and fro, around midnight too:
// every report is found again, in the index and without it, and none is swept before its
// time.
func TestReportsThoughTheClockIsSet(t *testing.T) {
	testBuckets(t, func(t *testing.T, b storetest.Bucket) {
		few := func(c *store.Config) { c.IndexReports, c.MaxAge = 3, 24*time.Hour }
		s := b.Open(t, few)
		midnight := time.Now().UTC().Truncate(24 * time.Hour)
		var want []string
		for i, set := range []time.Duration{0, time.Hour, -time.Hour, -2 * time.Hour, 0, 30 * time.Minute, -30 * time.Minute} {
			at := midnight.Add(set)
			s.SetClock(func() time.Time { return at })
			want = append(want, storetest.Store(t, s, storetest.Capture(at, i)).ID)
		}
		for _, set := range []time.Duration{0, time.Hour, -time.Hour, 21 * time.Hour} {
			s.SetClock(func() time.Time { return midnight.Add(set) })
			if err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		anew := b.Open(t, few)
		if err := anew.Fill(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, at := range []*store.Store{s, anew} {
			for _, id := range want {
				if _, err := at.Report(t.Context(), id); err != nil {
					t.Errorf("%s: %v", id, err)
				}
			}
			page, err := at.List(t.Context(), store.Query{Limit: 100})
			if err != nil || len(page.Reports) != len(want) {
				t.Errorf("%d reports listed, %v, want %d", len(page.Reports), err, len(want))
			}
		}
	})
}
