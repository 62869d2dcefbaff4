package profile

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// heapOf is a heap profile of so many stacks.
func heapOf(stacks int) []byte {
	all := make([]profiletest.Stack, stacks)
	for i := range all {
		all[i] = profiletest.On(1<<20, fmt.Sprint("main.f", i%1000), fmt.Sprint("main.g", i))
	}
	return profiletest.Heap(all...)
}

// While somebody has a large profile in memory, nobody else reads one; small ones are read.
func TestLargeProfilesAreReadOneAfterTheOther(t *testing.T) {
	small, large := heapOf(100), heapOf(15_000)
	long := profiletest.Gzip([]byte(strings.Repeat("\x00", largeCost+1))) // to unpack; no profile
	var summands []*Profile
	for _, file := range [][]byte{heapOf(6000), heapOf(7000)} {
		p, err := Parse(file, DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if p.Cost() > largeCost {
			t.Fatalf("one to add costs %d", p.Cost())
		}
		summands = append(summands, p)
	}
	read := func(file []byte) func(Limits) error {
		return func(lim Limits) error { _, err := Parse(file, lim); return err }
	}
	for name, c := range map[string]struct {
		read  func(Limits) error
		waits bool
	}{
		"small":          {read(small), false},
		"large":          {read(large), true},
		"large unpacked": {func(lim Limits) error { _ = read(long)(lim); return nil }, true},
		"small sum":      {func(lim Limits) error { return NewMerger(lim).Add(summands[0]) }, false},
		"large sum": {func(lim Limits) error {
			sum := NewMerger(lim)
			if err := sum.Add(summands[0]); err != nil {
				return err
			}
			return sum.Add(summands[1])
		}, true},
		"twice": {func(lim Limits) error {
			if err := read(large)(lim); err != nil {
				return err
			}
			return read(large)(lim)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := NewGate()
				lim, leave := gate.Through(DefaultLimits())
				if err := read(large)(lim); err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() {
					lim, leave := gate.Through(DefaultLimits())
					defer leave()
					done <- c.read(lim)
				}()
				if synctest.Wait(); (len(done) == 0) != c.waits {
					t.Errorf("waits: %t, want %t", len(done) == 0, c.waits)
				}
				leave()
				if err := <-done; err != nil {
					t.Error(err)
				}
				synctest.Wait()
				lim, leave = gate.Through(DefaultLimits()) // it was given back
				if err := read(large)(lim); err != nil {
					t.Error(err)
				}
				leave()
			})
		})
	}
}
