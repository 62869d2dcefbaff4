package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/aggregator/store/storetest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func later(s *store.Store, by time.Duration) {
	s.SetClock(func() time.Time { return time.Now().Add(by) })
}

func testBuckets(t *testing.T, test func(t *testing.T, b storetest.Bucket)) {
	t.Run("memory", func(t *testing.T) { test(t, memory{memblob.OpenBucket(nil)}) })
	t.Run("file", func(t *testing.T) { test(t, directory(t.TempDir())) })
}

// What never became a report goes after a day; a report of the same age stays.
func TestSweepLeftovers(t *testing.T) {
	testBuckets(t, func(t *testing.T, b storetest.Bucket) {
		s := b.Open(t, func(c *store.Config) { c.MaxAge = 0 })
		report := storetest.Store(t, s, storetest.Capture(storetest.Noon(), 1))
		storetest.Put(t, s, storetest.Capture(storetest.Noon(), 2))
		for _, c := range []struct {
			after time.Duration
			files int
		}{{0, 9}, {23 * time.Hour, 9}, {25 * time.Hour, 5}} {
			later(s, c.after)
			if err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			if keys := b.Keys(t); len(keys) != c.files {
				t.Errorf("after %s: %d files, want %d: %v", c.after, len(keys), c.files, keys)
			}
		}
		if _, err := s.Report(t.Context(), report.ID); err != nil {
			t.Error(err)
		}
	})
}

// A report of an agent whose clock is years ahead is kept as long as the others.
func TestSweepOfTheFuture(t *testing.T) {
	testBuckets(t, func(t *testing.T, b storetest.Bucket) {
		s := b.Open(t, func(c *store.Config) { c.MaxAge = 24 * time.Hour })
		storetest.Store(t, s, storetest.Capture(time.Now().AddDate(3, 0, 0), 1))
		for _, c := range []struct {
			after time.Duration
			swept float64
		}{{-time.Hour, 0}, {23 * time.Hour, 0}, {25 * time.Hour, 1}} {
			later(s, c.after)
			if err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := s.Swept("age"); n != c.swept {
				t.Errorf("after %s: %g swept, want %g", c.after, n, c.swept)
			}
		}
	})
}

// A capture that is delivered again after most of a day is stored again, as far as the
// sweep goes: its report must not lose a profile between storing and commit.
func TestSweepSparesWhatIsStoredAgain(t *testing.T) {
	testBuckets(t, func(t *testing.T, b storetest.Bucket) {
		s := b.Open(t, func(c *store.Config) { c.MaxAge = 0 })
		c := storetest.Capture(storetest.Noon(), 1)
		storetest.Put(t, s, c)
		written := modified(t, b)
		later(s, 13*time.Hour)
		r := storetest.Put(t, s, c)
		if again := modified(t, b); !again.After(written) {
			t.Errorf("the oldest file is of %s as before: not written again", again)
		}
		if err := s.Commit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	})
}

func modified(t *testing.T, b storetest.Bucket) (oldest time.Time) {
	t.Helper()
	for _, key := range b.Keys(t) {
		var at time.Time
		switch b := b.(type) {
		case memory:
			a, err := b.bucket.Attributes(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			at = a.ModTime
		case directory:
			info, err := os.Stat(filepath.Join(string(b), key))
			if err != nil {
				t.Fatal(err)
			}
			at = info.ModTime()
		}
		if oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest
}

// A sweep that dies between any two deletions leaves no report that is listed and has lost
// a file, and the next sweeps clean up.
func TestSweepDiesBetweenDeletions(t *testing.T) {
	for removes := range 6 {
		t.Run(fmt.Sprintf("after %d deletions", removes), func(t *testing.T) {
			testBuckets(t, func(t *testing.T, b storetest.Bucket) {
				s := b.Open(t, func(c *store.Config) { c.MaxAge = time.Hour })
				r := storetest.Store(t, s, storetest.Capture(storetest.Noon().AddDate(-1, 0, 0), 1))
				left := removes
				s.FailRemove(func(string) error {
					if left--; left < 0 {
						return errors.New("killed")
					}
					return nil
				})
				err := s.Sweep(t.Context())
				if (err == nil) != (removes >= 5) {
					t.Errorf("sweep: %v", err)
				}

				restarted := b.Open(t, func(c *store.Config) { c.MaxAge = time.Hour })
				page, err := restarted.List(t.Context(), store.Query{})
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page.Reports {
					for _, f := range r.Files {
						if _, err := restarted.Read(t.Context(), f.Profile); err != nil {
							t.Errorf("listed report %s has lost a file: %v", r.ID, err)
						}
					}
				}
				if listed := len(page.Reports) == 1; listed != (removes == 0) {
					t.Errorf("listed: %v", listed)
				}
				later(restarted, 25*time.Hour)
				if err := restarted.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				if keys := b.Keys(t); len(keys) > 0 {
					t.Errorf("left of %s: %v", r.ID, keys)
				}
			})
		})
	}
}

// One report that cannot be deleted does not hold the others.
func TestSweepGoesOn(t *testing.T) {
	testBuckets(t, func(t *testing.T, b storetest.Bucket) {
		s := b.Open(t, func(c *store.Config) { c.MaxAge = time.Hour })
		old := storetest.Noon().AddDate(-1, 0, 0)
		stuck := storetest.Store(t, s, storetest.Capture(old, 2))
		for i := range 4 {
			storetest.Store(t, s, storetest.Capture(old, i*3+1))
		}
		s.FailRemove(func(key string) error {
			if strings.Contains(key, stuck.ID) {
				return errors.New("permission denied")
			}
			return nil
		})
		if err := s.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), stuck.ID) {
			t.Errorf("sweep: %v, want an error that names %s", err, stuck.ID)
		}
		page, err := s.List(t.Context(), store.Query{})
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		for _, r := range page.Reports {
			left = append(left, r.ID)
		}
		if !slices.Equal(left, []string{stuck.ID}) {
			t.Errorf("left %v, want only %s", left, stuck.ID)
		}
	})
}

// Writing and sweeping the same folders at once loses nothing: a directory that became
// empty may be removed at the moment in which a file is written into it.
func TestSweepBesideWriters(t *testing.T) {
	b := directory(t.TempDir())
	s := b.Open(t, func(c *store.Config) { c.MaxAge = time.Hour })
	ctx, cancel := context.WithCancel(t.Context())
	swept := make(chan error, 1)
	go func() {
		var err error
		for ctx.Err() == nil && err == nil {
			if err = s.Sweep(t.Context()); err == nil {
				_, err = s.List(t.Context(), store.Query{})
			}
		}
		swept <- err
	}()
	old, now := storetest.Noon().AddDate(-1, 0, 0), time.Now()
	var kept []gopprof.Report
	for i := range 40 {
		storetest.Store(t, s, storetest.Capture(old, i))
		kept = append(kept, storetest.Store(t, s, storetest.Capture(now, i)))
	}
	cancel()
	if err := <-swept; err != nil {
		t.Error(err)
	}
	for _, r := range kept {
		for _, f := range r.Files {
			if _, err := s.Read(t.Context(), f.Drawing); err != nil {
				t.Error(err)
			}
		}
	}
}

// A leftover whose capture is delivered again in the middle of the sweep is one no more.
func TestSweepLooksAgainBeforeLeftoversGo(t *testing.T) {
	testBuckets(t, func(t *testing.T, b storetest.Bucket) {
		s := b.Open(t, func(c *store.Config) { c.MaxAge = 0 })
		late := storetest.Put(t, s, storetest.Capture(storetest.Noon(), 1))
		storetest.Put(t, s, storetest.Capture(storetest.Noon(), 2)) // is swept first
		other := b.Open(t, func(*store.Config) {})
		s.FailRemove(func(key string) error {
			if strings.Contains(key, late.ID) {
				t.Errorf("%s is deleted", key)
			}
			return other.Commit(t.Context(), late)
		})
		later(s, 25*time.Hour)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if keys := b.Keys(t); len(keys) != 5 {
			t.Errorf("left: %v", keys)
		}
	})
}

// What another aggregator stores is listed while a sweep takes long.
func TestRefreshDuringASweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := directory(t.TempDir())
		another := d.Open(t, func(c *store.Config) { c.Sweep = false })
		storetest.Store(t, another, storetest.Capture(time.Now().Add(-48*time.Hour), 1))
		s := d.Open(t, func(c *store.Config) { c.MaxAge = 24 * time.Hour })
		ctx, stop := context.WithCancel(t.Context())
		s.FailRemove(func(key string) error {
			if strings.HasSuffix(key, "/report.json") { // not the blob of the trial
				<-ctx.Done()
			}
			return ctx.Err()
		})
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		synctest.Wait()
		if err := s.Ready(); err != nil {
			t.Fatal(err)
		}
		fresh := storetest.Store(t, another, storetest.Capture(time.Now(), 2))
		time.Sleep(2 * store.DefaultConfig().RefreshInterval)
		synctest.Wait()
		page, err := s.List(t.Context(), store.Query{Limit: 1})
		if err != nil || len(page.Reports) != 1 || page.Reports[0].ID != fresh.ID {
			t.Errorf("listed %v, %v, want the new report", page.Reports, err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
