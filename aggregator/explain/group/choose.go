package group

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/pkg/profile"
)

// toldFunctions is how many functions are told of a pod.
const toldFunctions = 3

// carries is how much of the largest difference a function deeper on the stacks must have
// to be told in its place: main.main has every difference and explains none.
const carries = 0.9

// explainMore finds the functions that the pod has more of, from the pod's own stacks.
func (f *finding) explainMore(w *profile.Weighed) {
	f.functions = choose(w, f.differences, difference.by, func(d difference) bool { return d.more() })
}

// explainLess adds, where there is room, the functions that pods have less of, from the
// stacks of all the pods, since the pod itself may have none of them.
func (f findings) explainLess(sum *profile.Weighed) {
	for i := range f.pods {
		f.pods[i].explainLess(sum)
	}
}

// explainLess leaves out what is less only because something else is more: a pod that does
// the others' work and as much again of its own has half of everybody's shares. When a pod
// spends the part x on work of its own, a typical share m becomes m(1-x), and m(1-x) + x in
// the function that the work is in; so the functions told say what 1-x is.
func (f *finding) explainLess(sum *profile.Weighed) {
	own, typical := 0.0, 0.0
	for _, d := range f.functions {
		own += d.share
		typical += d.typical
	}
	common := 0.0
	if own < 1 && typical < 1 {
		common = (1 - own) / (1 - typical)
	}
	less := func(d difference) float64 { return d.typical*common - d.share }
	told := choose(sum, f.differences, less, func(d difference) bool { return !d.more() })
	f.functions = append(f.functions, told[:min(len(told), toldFunctions-len(f.functions))]...)
}

// choose returns the most telling of the differences that are wanted, which differ by more
// than effect, in their order: the deepest function that carries most of the largest
// difference; then the same of what that function does not explain. A function explains
// the part of another's difference that is on stacks of both: what its callers have only
// because they call it, and what its callees have only because it calls them.
func choose(w *profile.Weighed, all []difference, by func(difference) float64, wanted func(difference) bool) []difference {
	var some []difference
	var rest []float64 // what is not explained yet of each
	for _, d := range all {
		if wanted(d) {
			some, rest = append(some, d), append(rest, by(d))
		}
	}
	if len(some) == 0 {
		return nil
	}
	s := newStacks(w, some)
	var out []difference
	for len(out) < toldFunctions {
		next := s.deepest(rest)
		if next < 0 {
			break
		}
		out = append(out, some[next])
		part := rest[next] / s.cum[next]
		for i, both := range s.with(next) {
			rest[i] -= part * both
		}
	}
	return out
}

// stacks are a profile's, of which only the functions of some differences count.
type stacks struct {
	w           *profile.Weighed
	differences []difference
	number      []int     // difference of each function, -1 for none
	cum, flat   []float64 // of each difference's function
	depth       []float64 // mean, from the root
}

func newStacks(w *profile.Weighed, differences []difference) *stacks {
	n := len(differences)
	s := &stacks{w: w, differences: differences, cum: make([]float64, n), flat: make([]float64, n), depth: make([]float64, n)}
	byName := map[string]int{}
	for i, d := range differences {
		byName[d.function] = i
	}
	for _, f := range w.Functions {
		if i, ok := byName[f.Name]; ok {
			s.number = append(s.number, i)
		} else {
			s.number = append(s.number, -1)
		}
	}
	s.each(func(on []int, depths []float64, leaf int, v float64) {
		for k, i := range on {
			s.cum[i] += v
			s.depth[i] += v * depths[k]
		}
		if leaf >= 0 {
			s.flat[leaf] += v
		}
	})
	for i := range s.depth {
		s.depth[i] /= max(1, s.cum[i])
	}
	return s
}

// each visits the stacks with the differences that are on it, each once, where it is
// nearest to the root, its depth from there, and the one that is its leaf, or -1. The
// slices are used again.
func (s *stacks) each(visit func(on []int, depths []float64, leaf int, v float64)) {
	seen := make([]int, len(s.differences))
	var on []int
	var depths []float64
	n := 0
	for stack, v := range s.w.Each() {
		n++
		on, depths = on[:0], depths[:0]
		for depth := range stack {
			i := s.number[stack[len(stack)-1-depth]]
			if i >= 0 && seen[i] != n {
				seen[i] = n
				on, depths = append(on, i), append(depths, float64(depth))
			}
		}
		leaf := -1
		if len(stack) > 0 {
			leaf = s.number[stack[0]]
		}
		visit(on, depths, leaf, float64(v))
	}
}

// with returns the value of the stacks that each has in common with one of them.
func (s *stacks) with(one int) []float64 {
	both := make([]float64, len(s.differences))
	s.each(func(on []int, _ []float64, _ int, v float64) {
		if slices.Contains(on, one) {
			for _, i := range on {
				both[i] += v
			}
		}
	})
	return both
}

// deepest returns the difference to tell, -1 when what is left of all is below effect. It
// is the deepest on the stacks of those that carry the largest; one outside Go's runtime,
// if there is any: what called for it says more than how it was done.
func (s *stacks) deepest(rest []float64) int {
	least := max(effect, carries*slices.Max(rest))
	best := -1
	for i, r := range rest {
		if r >= least && s.cum[i] > 0 && (best < 0 || s.compare(i, best) < 0) {
			best = i
		}
	}
	return best
}

// compare puts the more telling function first.
func (s *stacks) compare(a, b int) int {
	runtime := func(i int) int {
		if inRuntime(s.differences[i].function) {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(runtime(a), runtime(b)),
		cmp.Compare(s.depth[b], s.depth[a]),
		cmp.Compare(s.flat[b], s.flat[a]),
		strings.Compare(s.differences[a].function, s.differences[b].function),
	)
}

// inRuntime tells whether a function is one of Go's runtime.
func inRuntime(name string) bool {
	return strings.HasPrefix(name, "runtime.") || strings.HasPrefix(name, "runtime/internal/") || strings.HasPrefix(name, "internal/runtime/")
}
