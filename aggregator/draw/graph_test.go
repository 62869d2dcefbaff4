package draw

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
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

// What is left out before the driver changes nothing in its graph: not an edge, not a
// dash, not a number of the legend.
func TestCondensedGraphIsTheSame(t *testing.T) {
	profiles := map[string][]byte{"of this program": cpuProfile()}
	for seed := range uint64(16) {
		profiles[fmt.Sprint("seed ", seed)] = profiletest.Heap(forest(rand.New(rand.NewPCG(seed, 1)))...)
	}
	small := 0
	for name, file := range profiles {
		kind := gopprof.KindHeap
		if name == "of this program" {
			kind = gopprof.KindCPU
		}
		whole, condensed := cleaned(t, kind, file), cleaned(t, kind, file).Condense(nodeFraction)
		sampleType, before := whole.Raw().SampleType[0].Type, frames(whole)
		if frames(condensed) < before*3/4 {
			small++
		}
		want, err := composeDOT(whole, sampleType, 30)
		if err != nil {
			t.Fatal(err)
		}
		got, err := composeDOT(condensed, sampleType, 30)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the graphs differ:\n%s\nof the whole profile:\n%s", name, got, want)
		}
	}
	if small < 8 {
		t.Errorf("only %d of the profiles have a quarter less frames: nothing is compared", small)
	}
}

// A file that was reduced gives the very graph of the file that it is from, and takes a part of
// its room where much is small; of a small one, and of one that is no profile of the kind, there is none.
func TestReducedFileGivesTheSameGraph(t *testing.T) {
	var large []profiletest.Stack
	for seed := range uint64(8) {
		large = append(large, forest(rand.New(rand.NewPCG(seed, 2)))...)
	}
	file := profiletest.Heap(large...)
	p, err := profile.Parse(file, profile.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	less := Reduced(gopprof.KindHeap, p, 0)
	if len(less) == 0 || len(less) > len(file)*3/4 {
		t.Fatalf("%d bytes of %d, of a profile that costs %d", len(less), len(file), p.Cost())
	}
	graph := func(file []byte) []byte {
		dot, err := composeDOT(cleaned(t, gopprof.KindHeap, file).Condense(nodeFraction), "inuse_space", 30)
		if err != nil {
			t.Fatal(err)
		}
		return dot
	}
	if got, want := graph(less), graph(file); !bytes.Equal(got, want) {
		t.Errorf("the graphs differ:\n%s\nof the whole profile:\n%s", got, want)
	}
	if Reduced(gopprof.KindCPU, p, 0) != nil {
		t.Error("a heap profile was reduced as one of the CPU")
	}
	if Reduced(gopprof.KindHeap, p, reducedMost/2) != nil {
		t.Error("there was no room for it")
	}
	small, err := profile.Parse(profiletest.Heap(profiletest.On(1, "f")), profile.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if Reduced(gopprof.KindHeap, small, 0) != nil {
		t.Error("a small profile was reduced, for nothing")
	}
}

// frames is the number of frames in all stacks.
func frames(p *profile.Profile) (n int) {
	for _, s := range p.Raw().Sample {
		n += len(s.Location)
	}
	return n
}

// forest returns stacks as programs have them: most calls go the same way, and the rest
// spreads over many functions. Some call themselves, some have no name.
func forest(r *rand.Rand) (stacks []profiletest.Stack) {
	functions := 100 << r.IntN(4)
	for range 3000 {
		var frames []string
		for at, depth := 1, 3+r.IntN(25); len(frames) < depth; {
			name := fmt.Sprintf("example.com/shop/p%d.F%d", at%7, at%functions)
			if at%97 == 13 {
				name = ""
			}
			frames = append(frames, name)
			if r.IntN(10) > 0 {
				at = at*3%1_000_003 + min(2, int(r.ExpFloat64()))
			}
		}
		slices.Reverse(frames)
		stacks = append(stacks, profiletest.On(int64(512<<r.IntN(12)), frames...))
	}
	return stacks
}
