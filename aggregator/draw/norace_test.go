//go:build !race

package draw

import (
	"fmt"
	"os"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	"github.com/gopprof/gopprof/test/poll"
)

// TestIdleWorkerIsSmall: a profile that is small as a file and large in memory leaves nothing
// behind.
func TestIdleWorkerIsSmall(t *testing.T) {
	needDot(t)
	d := newDrawer(t, "draw-worker", func(c *Config) { c.Workers = 1 })
	draw := func(data []byte) int {
		if _, err := d.Draw(t.Context(), gopprof.KindCPU, data); err != nil {
			t.Fatal(err)
		}
		return d.idle[0].PID()
	}
	pid := draw(cpuProfile())
	before := residentBytes(t, pid)
	stacks := make([]profiletest.Stack, 190_000)
	for i := range stacks {
		stacks[i] = profiletest.On(1e7, "main.f", "main.main")
	}
	data := profiletest.CPU(1, stacks...)
	if len(data) > large {
		t.Fatalf("a file of %d bytes", len(data))
	}
	if again := draw(data); again != pid {
		t.Fatal("another worker")
	}
	poll.Until(t, "the worker gives memory back", func() bool { return residentBytes(t, pid) < before+16<<20 })
}

// residentBytes is what a process has of the machine's memory.
func residentBytes(t *testing.T, pid int) int64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}
