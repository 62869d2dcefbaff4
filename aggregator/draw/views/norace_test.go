//go:build !race

package views

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// What a view's process of a test may map and hold, where it says nothing else.
const (
	testMemoryBytes   = 320 << 20
	testResidentBytes = 92 << 20
)

// mostResident is what a view's process may have of the machine's memory, whatever it is
// given.
const mostResident = 128_000_000

// eatenWords are in what a process says that has taken all the memory it may.
const eatenWords = "takes more memory than the 92 MiB"

// TestMemory: a profile that is small as a file and large on a page, in the real process, which
// may map little.
func TestMemory(t *testing.T) {
	var stacks []profiletest.Stack
	for i := range 10_000 {
		stacks = append(stacks, profiletest.On(1e6, fmt.Sprint("main.f", i, strings.Repeat("/long", 35)), "main.main"))
	}
	vs := newViews(t, "view-worker", func(c *Config) { c.MemoryBytes = 176 << 20 })
	for range 2 {
		_, err := vs.Page(t.Context(), of("a", gopprof.KindCPU, profiletest.CPU(1, stacks...)), "flamegraph", "")
		if gopprof.ReasonOf(err) != gopprof.ReasonViewFailed || !strings.Contains(err.Error(), "more memory than the 176 MiB") {
			t.Errorf("error %v", err)
		}
	}
	look(t, vs, "another")
	if got := vs.metrics.causes(causeDied); got != 2 {
		t.Errorf("%v died, want 2", got)
	}
}

// TestLargeProfiles: profiles as large services have them are shown on every page, and in as
// little memory as hostile ones are refused in.
func TestLargeProfiles(t *testing.T) {
	for name, large := range map[string]struct{ functions, stacks, samples int }{
		"60,000 samples": {1_000, 6_000, 60_000}, // as of a program that checks the types of net/http
		"20,000 stacks":  {5_000, 20_000, 20_000},
	} {
		t.Run(name, func(t *testing.T) {
			vs := newViews(t, "view-worker", nil)
			v := of("a", gopprof.KindHeap, largeHeap(large.functions, large.stacks, large.samples))
			for _, page := range pages {
				end := watchResident("view-worker")
				html, err := vs.Page(t.Context(), v, page, "")
				had := end()
				t.Logf("%s: %.1f MB resident, %d bytes", page, float64(had)/1e6, len(html))
				if err != nil {
					t.Errorf("%s: %v", page, err)
				}
				if had > mostResident {
					t.Errorf("%s: a process had %d bytes of memory", page, had)
				}
			}
		})
	}
}

// largeHeap is a heap profile whose stacks are 40 deep: a function calls one of four.
func largeHeap(functions, stacks, samples int) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	paths := make([][]string, stacks)
	for i := range paths {
		at := 0
		frames := make([]string, 40)
		for j := range frames {
			frames[len(frames)-1-j] = fmt.Sprintf("example.com/service/internal/package%d.(*Type%d).Method", at%50, at)
			at = (4*at + 1 + rnd.IntN(4)) % functions
		}
		paths[i] = frames
	}
	all := make([]profiletest.Stack, samples)
	for i := range all {
		all[i] = profiletest.On(int64(1+rnd.IntN(1<<20)), paths[i%stacks]...)
	}
	return profiletest.Heap(all...)
}
