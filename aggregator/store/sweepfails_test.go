package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/aggregator/store/storetest"
)

var errSlowDown = errors.New("503 slow down")

func refuseAllButTheMark(key string) error {
	if strings.HasSuffix(key, "/report.json") {
		return nil
	}
	return errSlowDown
}

// overBound opens a store that holds n reports and is a byte above its bound.
func overBound(t *testing.T, b storetest.Bucket, n int) *store.Store {
	t.Helper()
	s := b.Open(t, func(c *store.Config) { c.MaxAge = 0 })
	for i := range n {
		storetest.Store(t, s, storetest.Capture(storetest.Noon(), i))
	}
	held := bytesHeld(t, s, b)
	return b.Open(t, func(c *store.Config) { c.MaxAge, c.MaxBytes = 0, held-1 })
}

func bytesHeld(t *testing.T, s *store.Store, b storetest.Bucket) (sum int64) {
	t.Helper()
	for _, key := range b.Keys(t) {
		data, err := s.Read(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		sum += int64(len(data))
	}
	return sum
}

// listed counts the reports that are there for an aggregator that has just started.
func listed(t *testing.T, b storetest.Bucket) int {
	t.Helper()
	page, err := b.Open(t, func(*store.Config) {}).List(t.Context(), store.Query{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	return len(page.Reports)
}

// A store that takes some deletions and not others loses no more reports than the bound asks
// for, in none of the sweeps that follow either: a report is gone with its report.json,
// whatever is left of it, and what is left pushes no other report out.
func TestSweepOfBytesThatFails(t *testing.T) {
	every := func(refused int) func(string) error {
		calls := 0
		return func(string) error {
			if calls++; calls%2 == refused {
				return errSlowDown
			}
			return nil
		}
	}
	for name, fail := range map[string]func() func(string) error{
		"all but report.json is refused": func() func(string) error { return refuseAllButTheMark },
		"every second one is refused":    func() func(string) error { return every(0) },
		"the first of each two is":       func() func(string) error { return every(1) },
	} {
		t.Run(name, func(t *testing.T) {
			testBuckets(t, func(t *testing.T, b storetest.Bucket) {
				const n = 40
				s := overBound(t, b, n)
				s.FailRemove(fail())
				if err := s.Sweep(t.Context()); err == nil {
					t.Error("a sweep that could not delete is fine")
				}
				for range 3 {
					if left := listed(t, b); left != n-1 {
						t.Fatalf("%d of %d reports left; the bound was passed by one byte", left, n)
					}
					if got := s.Swept("bytes"); got != 1 {
						t.Errorf("%v reports counted as swept, want 1", got)
					}
					reports, held := s.Stored()
					if want := bytesHeld(t, s, b); reports != n-1 || held != want {
						t.Errorf("found %d reports of %d bytes, want %d of %d", reports, held, n-1, want)
					}
					_ = s.Sweep(t.Context())
				}
			})
		})
	}
}

// What is left of a deletion that failed goes with a later sweep, once the store lets it.
func TestSweepOfBytesThatFailedIsEnded(t *testing.T) {
	testBuckets(t, func(t *testing.T, b storetest.Bucket) {
		s := overBound(t, b, 3)
		before := bytesHeld(t, s, b)
		refusing := true
		s.FailRemove(func(key string) error {
			if refusing && strings.HasSuffix(key, "cpu.svg") {
				return errSlowDown
			}
			return nil
		})
		if err := s.Sweep(t.Context()); err == nil {
			t.Error("a sweep that could not delete is fine")
		}
		refusing = false
		later(s, 25*time.Hour)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if keys := b.Keys(t); len(keys) != 2*5 {
			t.Errorf("left: %v, want the files of two reports", keys)
		}
		if got, want := s.SweptBytes(), before-bytesHeld(t, s, b); got != want {
			t.Errorf("%d bytes counted as deleted, want %d", got, want)
		}
	})
}

// A store that refuses is let alone until the next sweep: the pass over bytes does not try
// each of its reports.
func TestSweepOfBytesGivesUp(t *testing.T) {
	for name, refused := range map[string]string{"everything": "", "all but report.json": "cpu"} {
		t.Run(name, func(t *testing.T) {
			testBuckets(t, func(t *testing.T, b storetest.Bucket) {
				const n = 40
				overBound(t, b, n)
				s := b.Open(t, func(c *store.Config) { c.MaxAge, c.MaxBytes = 0, 1 })
				tried := map[string]bool{}
				s.FailRemove(func(key string) error {
					tried[key[:strings.LastIndex(key, "/")]] = true
					if file := key[strings.LastIndex(key, "/")+1:]; strings.HasPrefix(file, refused) {
						return errSlowDown
					}
					return nil
				})
				if err := s.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), "in a row") {
					t.Errorf("sweep: %v, want an error that says where it ended", err)
				}
				if len(tried) != 5 {
					t.Errorf("%d reports tried, want 5", len(tried))
				}
			})
		})
	}
}

// One report that cannot be deleted does not hold those that can.
func TestSweepOfBytesGoesOn(t *testing.T) {
	testBuckets(t, func(t *testing.T, b storetest.Bucket) {
		const n = 40
		overBound(t, b, n)
		s := b.Open(t, func(c *store.Config) { c.MaxAge, c.MaxBytes = 0, 1 })
		var stuck []string
		for i := 0; i < n; i += 4 {
			stuck = append(stuck, storetest.ID(storetest.Noon(), i))
		}
		s.FailRemove(func(key string) error {
			if slices.ContainsFunc(stuck, func(id string) bool { return strings.Contains(key, id) }) {
				return errSlowDown
			}
			return nil
		})
		if err := s.Sweep(t.Context()); err == nil {
			t.Error("a sweep that could not delete is fine")
		}
		if left := listed(t, b); left != len(stuck) {
			t.Errorf("%d reports left, want the %d that are stuck", left, len(stuck))
		}
	})
}

// A deletion whose answer was lost is one.
func TestSweepWhoseAnswersAreLost(t *testing.T) {
	testBuckets(t, func(t *testing.T, b storetest.Bucket) {
		const n = 10
		s := overBound(t, b, n)
		if err := s.Fill(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.LoseAnswers(errors.New("i/o timeout"))
		if err := s.Sweep(t.Context()); err == nil {
			t.Error("a sweep without an answer is fine")
		}
		page, err := s.List(t.Context(), store.Query{})
		if err != nil {
			t.Fatal(err)
		}
		if left := listed(t, b); left != n-1 || len(page.Reports) != n-1 || s.Swept("bytes") != 1 {
			t.Errorf("%d reports left and %d listed, %v counted as swept; want %d, as many, and 1", left, len(page.Reports), s.Swept("bytes"), n-1)
		}
	})
}

// Of reports that are too old it counts how many there are, and the error stays readable
// where the store refuses all.
func TestSweepOfAgeThatFails(t *testing.T) {
	testBuckets(t, func(t *testing.T, b storetest.Bucket) {
		const n = 30
		overBound(t, b, n)
		s := b.Open(t, func(c *store.Config) { c.MaxAge, c.MaxBytes = time.Millisecond, 0 })
		later(s, 400*24*time.Hour)
		s.FailRemove(func(string) error { return errSlowDown })
		err := s.Sweep(t.Context())
		if err == nil || strings.Count(err.Error(), "503") != 10 || !strings.Contains(err.Error(), fmt.Sprintf("%d more", n-10)) {
			t.Errorf("sweep: %v\nwant ten errors, and how many there are more", err)
		}
		if reports, _ := s.Stored(); reports != n || s.Swept("age") != 0 {
			t.Errorf("%d reports found, %v swept; want %d and none", reports, s.Swept("age"), n)
		}
		s = b.Open(t, func(c *store.Config) { c.MaxAge, c.MaxBytes = time.Millisecond, 0 })
		later(s, 400*24*time.Hour)
		s.FailRemove(refuseAllButTheMark)
		_ = s.Sweep(t.Context())
		if reports, held := s.Stored(); reports != 0 || held != bytesHeld(t, s, b) || s.Swept("age") != n {
			t.Errorf("%d reports of %d bytes found, %v swept; want none, what their leftovers hold, and %d", reports, held, s.Swept("age"), n)
		}
	})
}

// A report whose report.json somebody else deleted is listed no more, though the rest of its
// files is still there.
func TestSweepDropsWhatAnotherHalfDeleted(t *testing.T) {
	testBuckets(t, func(t *testing.T, b storetest.Bucket) {
		s := overBound(t, b, 2)
		if err := s.Fill(t.Context()); err != nil {
			t.Fatal(err)
		}
		other := b.Open(t, func(c *store.Config) { c.MaxAge = time.Millisecond })
		later(other, 400*24*time.Hour)
		other.FailRemove(refuseAllButTheMark)
		_ = other.Sweep(t.Context())
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		page, err := s.List(t.Context(), store.Query{})
		if err != nil || len(page.Reports) > 0 {
			t.Errorf("listed: %d reports, %v; want none", len(page.Reports), err)
		}
	})
}
