package explain

import (
	"slices"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// blame names the function that a profile is mostly about.
type blame struct {
	// Who is the deepest of the service's functions that still carries most of what its
	// heaviest function carries: main.main carries everything and says nothing.
	who gopprof.Function
	// outside tells that most of the profile is in stacks without any code of the service,
	// such as the garbage collector's; who is then the function that most of those begin with.
	outside bool
	// leaf is the function with the largest flat value, of whatever package.
	leaf gopprof.Function
}

// share is how much of the heaviest function's value a deeper one must still carry to be
// named in its place.
const share = 0.8

// blameOf finds the function that a profile is mostly about; the zero blame when there is
// nothing in it.
func blameOf(w *profile.Weighed, s *profile.Shape) blame {
	if s == nil || len(w.Functions) == 0 {
		return blame{}
	}
	b := blame{leaf: slices.MinFunc(w.Functions, profile.ByFlat), outside: 2*s.Own < s.Total}
	who := deepest(s)
	if b.outside {
		who = first(s)
	}
	if who != nil {
		at := slices.IndexFunc(w.Functions, func(f gopprof.Function) bool { return f.Name == who.Name })
		b.who = w.Functions[at]
	}
	return b
}

// deepest returns the deepest of the service's functions that carries at least share of the
// heaviest, nil when there is none.
func deepest(s *profile.Shape) (best *profile.Part) {
	most := int64(0)
	for _, p := range s.Parts {
		if p.Own {
			most = max(most, p.Cum)
		}
	}
	for _, p := range s.Parts {
		if !p.Own || float64(p.Cum) < share*float64(most) {
			continue
		}
		if best == nil || p.Depth > best.Depth || p.Depth == best.Depth && p.Name < best.Name {
			best = p
		}
	}
	return best
}

// first returns the function with which most of what is not the service's begins.
func first(s *profile.Shape) (best *profile.Part) {
	for _, p := range s.Parts {
		if !p.Own && p.Self > 0 && !profile.Generic(p.Name) && (best == nil || p.Self > best.Self || p.Self == best.Self && p.Name < best.Name) {
			best = p
		}
	}
	return best
}
