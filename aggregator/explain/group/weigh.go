package group

import (
	"math"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// Bounds on what is kept of a pod while its profile is not in memory. A genuine profile
// has some hundred functions above leastShare.
const (
	keptFunctions = 1000 // the heaviest of a pod, by what they and their callees take
	leastShare    = 0.001
	maxNames      = 16 << 20 // bytes of the names of all pods' functions
)

// pod is what one member's profile says by itself.
type pod struct {
	member  int // place in the group
	types   profile.Types
	cost    int64 // bytes of memory that reading it takes
	largest int64 // of the sums of its values
	total   int64 // in the unit of the kind
	looks   float64
	seconds float64 // 0 when unknown
	shares  []share // of functions, each once; those below leastShare are left out
	merged  bool    // it is in the sum
}

// share is a function's part of a profile's total, what it calls included.
type share struct {
	function int     // its number in names
	ratio    float64 // 0 to 1
}

// weigh reads every member once and keeps a few numbers of each.
func (g *group) weigh() []pod {
	var pods []pod
	for i := range g.members {
		if p := g.parse(i); p != nil {
			if w := g.weighed(i, p); w != nil {
				pods = append(pods, g.pod(i, p, w))
			}
		}
	}
	return slices.DeleteFunc(pods, func(p pod) bool {
		_, left := g.leftOut[p.member]
		return left
	})
}

// weighed counts a profile by function, or leaves the member out whose numbers cannot be
// added or compared.
func (g *group) weighed(member int, p *profile.Profile) *profile.Weighed {
	w, err := p.Weigh(g.kind)
	if err != nil {
		g.leave(member, profile.ReasonOf(err), err.Error())
		return nil
	}
	top := w.Top(1)
	switch {
	case top.Reason != "":
		g.leave(member, top.Reason, top.Detail)
		return nil
	case w.Saturated || w.Negative > 0 || w.Total == math.MaxInt64:
		g.leave(member, gopprof.ReasonInvalidProfile, top.Detail)
		return nil
	}
	return w
}

func (g *group) pod(member int, p *profile.Profile, w *profile.Weighed) pod {
	seconds := g.members[member].Seconds
	if !(seconds > 0) || math.IsInf(seconds, 0) {
		seconds = w.Top(1).DurationSeconds
	}
	return pod{
		member: member, types: p.Types(), cost: p.Cost(), largest: slices.Max(p.Sums()),
		total: w.Total, looks: looks(w), seconds: seconds, shares: g.shares(member, w),
	}
}

// looks returns how many things a profile has seen, from which its shares were estimated:
// a CPU profiler's looks; pieces of memory at the heap profiler's distance of looking;
// goroutines and threads; waits for locks.
func looks(w *profile.Weighed) float64 {
	n := int64(0)
	switch w.Kind {
	case gopprof.KindCPU:
		n = w.Column("samples")
	case gopprof.KindHeap, gopprof.KindAllocs:
		if w.Period > 0 {
			n = w.Total / w.Period
		}
	case gopprof.KindMutex, gopprof.KindBlock:
		n = w.Column("contentions")
	default:
		n = w.Total
	}
	if n == 0 {
		n = w.Stacks // of a profiler that does not say: each stack was seen once at least
	}
	return float64(n)
}

// shares returns the heaviest functions' shares of a profile.
func (g *group) shares(member int, w *profile.Weighed) []share {
	least := leastShare * float64(w.Total)
	heavy := slices.DeleteFunc(slices.Clone(w.Functions), func(f gopprof.Function) bool { return f.Cum <= 0 || float64(f.Cum) < least })
	slices.SortFunc(heavy, profile.ByCum)
	heavy = heavy[:min(len(heavy), keptFunctions)]
	out := make([]share, 0, len(heavy))
	had := map[string]bool{}
	before := len(g.names.list)
	for _, f := range heavy {
		if had[f.Name] {
			continue // two names that print the same: the heavier stands for both
		}
		had[f.Name] = true
		n, ok := g.names.number(f.Name)
		if !ok {
			g.names.forget(before)
			g.leave(member, gopprof.ReasonTooLarge, "the names of the pods' functions take more memory than is allowed")
			return nil
		}
		out = append(out, share{n, float64(f.Cum) / float64(w.Total)})
	}
	return out
}

// names numbers the functions of all pods.
type names struct {
	numbers map[string]int
	list    []string
	bytes   int // of those in list
}

// number returns a name's number, false when there is no room for it.
func (n *names) number(name string) (int, bool) {
	if at, ok := n.numbers[name]; ok {
		return at, true
	}
	if n.bytes+len(name) > maxNames {
		return 0, false
	}
	n.bytes += len(name)
	if n.numbers == nil {
		n.numbers = map[string]int{}
	}
	at := len(n.list)
	name = strings.Clone(name)
	n.numbers[name] = at
	n.list = append(n.list, name)
	return at, true
}

// forget takes out again the names that came after the first so many.
func (n *names) forget(first int) {
	for _, name := range n.list[first:] {
		delete(n.numbers, name)
		n.bytes -= len(name)
	}
	clear(n.list[first:])
	n.list = n.list[:first]
}
