//go:build !race

package views

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// testMemoryBytes is what a view's process of a test may hold, where it says nothing else.
const testMemoryBytes = 320 << 20

// eatenWords are in what a process says that has taken all the memory it may.
const eatenWords = "takes more memory than the 320 MiB"

// TestMemory: a profile that is small as a file and large on a page, in the real process.
func TestMemory(t *testing.T) {
	var stacks []profiletest.Stack
	for i := range 10_000 {
		stacks = append(stacks, profiletest.On(1e6, fmt.Sprint("main.f", i, strings.Repeat("/long", 35)), "main.main"))
	}
	vs := newViews(t, "view-worker", func(c *Config) { c.MemoryBytes = 160 << 20 })
	for range 2 {
		_, err := vs.Page(t.Context(), of("a", gopprof.KindCPU, profiletest.CPU(1, stacks...)), "flamegraph", "")
		if gopprof.ReasonOf(err) != gopprof.ReasonViewFailed || !strings.Contains(err.Error(), "more memory than the 160 MiB") {
			t.Errorf("error %v", err)
		}
	}
	look(t, vs, "another")
	if got := vs.metrics.causes(causeDied); got != 2 {
		t.Errorf("%v died, want 2", got)
	}
}
