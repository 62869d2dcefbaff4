package draw

import (
	"bytes"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

func cleaned(t *testing.T, kind gopprof.Kind, file []byte) *profile.Profile {
	t.Helper()
	p, err := profile.Parse(file, profile.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Clean(kind)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestGraphsDoNotDependOnEarlierOnes: the driver keeps its configuration from call to call.
func TestGraphsDoNotDependOnEarlierOnes(t *testing.T) {
	heap := profiletest.Heap(profiletest.On(5<<20, "main.a", "main.b", "main.c", "main.main"), profiletest.On(5<<20, "main.d", "main.main"))
	draw := func(nodes int) []byte {
		dot, err := composeDOT(cleaned(t, gopprof.KindHeap, heap), "inuse_space", nodes)
		if err != nil {
			t.Fatal(err)
		}
		return dot
	}
	before := draw(80)
	if _, err := composeDOT(cleaned(t, gopprof.KindCPU, cpuProfile()), "cpu", 1); err != nil {
		t.Fatal(err)
	}
	if draw(2); !bytes.Equal(draw(80), before) {
		t.Error("a graph differs after others were made")
	}
	if !bytes.Contains(before, []byte("Type: inuse_space")) || bytes.Equal(draw(2), before) {
		t.Errorf("the flags have no effect:\n%s", before)
	}
}

// TestEveryDefaultIsSet: a flag of the driver's that is not empty or off by default, and
// that we do not set, would be whatever an earlier call made it.
func TestEveryDefaultIsSet(t *testing.T) {
	args := flags("cpu", 80)
	f := newFlags(append(args, "profile"))
	seen := 0
	out := &capture{}
	err := runDriver(cleaned(t, gopprof.KindCPU, cpuProfile()), f, out)
	if err != nil {
		t.Fatal(err)
	}
	f.VisitAll(func(fl *flag.Flag) {
		seen++
		harmless := []string{"", "false", "-1"} // of what belongs to one call only
		set := slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "-"+fl.Name+"=") || a == "-"+fl.Name })
		if !set && !slices.Contains(harmless, fl.DefValue) {
			t.Errorf("flag -%s with the default %q is not set", fl.Name, fl.DefValue)
		}
	})
	if seen < 50 {
		t.Errorf("the driver defined %d flags only", seen)
	}
}

// TestLargeHeap: a heap profile as large as there are is drawn within the worker's limits.
func TestLargeHeap(t *testing.T) {
	needDot(t)
	var stacks []profiletest.Stack
	for i := range 20_000 {
		var frames []string
		for j := range 12 {
			frames = append(frames, fmt.Sprintf("example.com/pkg%d.f%d", j, (i*(j+3)*7919)%400))
		}
		stacks = append(stacks, profiletest.On(int64(i)<<10, frames...))
	}
	d := newDrawer(t, "draw-worker", nil)
	svg, err := d.Draw(t.Context(), gopprof.KindHeap, profiletest.Heap(stacks...))
	if err != nil {
		t.Fatal(err)
	}
	checkHarmless(t, svg)
	if n := bytes.Count(svg, []byte(`class="node"`)); n < 40 || n > 81 {
		t.Errorf("%d functions in the drawing, want at most 80 and the legend", n)
	}
}
