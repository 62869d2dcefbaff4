package explain

import (
	"slices"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// blame names the function that a profile is mostly about.
type blame struct {
	// Who is the deepest function of the program (not of Go's own packages) that still
	// carries most of what the program's heaviest function carries: main.main carries
	// everything and says nothing. Its Cum is the value of the stacks that it is on.
	who gopprof.Function
	// outside tells that most of the profile is in stacks without any code of the program,
	// such as the garbage collector's; who is then the outermost function of those.
	outside bool
	// leaf is the function with the largest flat value, of whatever package.
	leaf gopprof.Function
}

// share is how much of the heaviest function's value a deeper one must still carry to be
// named in its place.
const share = 0.8

// blameOf finds the function that a profile is mostly about; the zero blame when there is
// nothing in it.
func blameOf(w *profile.Weighed) blame {
	if len(w.Functions) == 0 || w.Total == 0 || w.Saturated || w.Negative > 0 {
		return blame{}
	}
	own := make([]bool, len(w.Functions))
	for i, f := range w.Functions {
		own[i] = profile.OfProgram(f.Name)
	}
	inside, outside := newCandidates(w), newCandidates(w)
	for stack, v := range w.Each() {
		if slices.ContainsFunc(stack, func(f int) bool { return own[f] }) {
			inside.add(stack, v, func(f int) bool { return own[f] })
		} else {
			outside.add(stack, v, func(f int) bool { return !profile.Generic(w.Functions[f].Name) })
		}
	}
	b := blame{leaf: slices.MinFunc(w.Functions, profile.ByFlat)}
	if inside.total >= outside.total {
		b.who = inside.deepest()
	} else {
		b.outside = true
		b.who = outside.outermost()
	}
	return b
}

// candidates weighs the functions of some of a profile's stacks by value and by depth.
type candidates struct {
	functions []gopprof.Function
	total     int64
	cum       []int64
	depth     []float64 // sum of depth × value; depth counts from the root
	seen      []int
	stacks    int
}

func newCandidates(w *profile.Weighed) *candidates {
	n := len(w.Functions)
	return &candidates{functions: w.Functions, cum: make([]int64, n), depth: make([]float64, n), seen: make([]int, n)}
}

// add counts a stack, leaf first; each function once, where it is nearest to the root.
func (c *candidates) add(stack []int, v int64, counts func(int) bool) {
	c.total += v
	c.stacks++
	for depth := range stack {
		f := stack[len(stack)-1-depth]
		if c.seen[f] == c.stacks || !counts(f) {
			continue
		}
		c.seen[f] = c.stacks
		c.cum[f] += v
		c.depth[f] += float64(depth) * float64(v)
	}
}

// deepest returns the deepest function that carries at least share of the heaviest.
func (c *candidates) deepest() gopprof.Function {
	return c.best(func(a, b float64) bool { return a > b })
}

// outermost returns the function nearest to the root that does.
func (c *candidates) outermost() gopprof.Function {
	return c.best(func(a, b float64) bool { return a < b })
}

func (c *candidates) best(better func(a, b float64) bool) gopprof.Function {
	floor := share * float64(slices.Max(c.cum))
	best, bestDepth := -1, 0.0
	for f, cum := range c.cum {
		if cum <= 0 || float64(cum) < floor {
			continue
		}
		depth := c.depth[f] / float64(cum)
		if best < 0 || better(depth, bestDepth) || depth == bestDepth && profile.ByFlat(c.functions[f], c.functions[best]) < 0 {
			best, bestDepth = f, depth
		}
	}
	if best < 0 {
		return gopprof.Function{}
	}
	f := c.functions[best]
	f.Cum = c.cum[best]
	return f
}
