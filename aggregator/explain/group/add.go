package group

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// sumPart is the part of the limit on memory (profile.Limits.MemoryBytes) that the sum may
// take: its maps are not counted, and it stands beside the profile that is added last.
const sumPart = 2.0 / 3

// add reads the pods' profiles once more and returns their sum, nil when there is none;
// on its way it finds what to tell of those that differ. The largest comes last, so that it
// is the one which finds no room.
func (g *group) add(pods []pod, found findings) *profile.Profile {
	bySize := make([]*pod, len(pods))
	for i := range pods {
		bySize[i] = &pods[i]
	}
	slices.SortStableFunc(bySize, func(a, b *pod) int { return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.total, b.total)) })
	lim := g.limits
	lim.MemoryBytes = int64(sumPart * float64(lim.MemoryBytes))
	room := g.beside(bySize, lim.MemoryBytes)
	for _, p := range bySize[room:] {
		g.addNone(p.member, found)
	}
	sum := profile.NewMerger(lim)
	some := false
	for _, p := range bySize[:room] {
		if p.merged = g.addOne(sum, p.member, found); p.merged {
			some = true
		}
	}
	if !some {
		return nil
	}
	g.release() // the last of them: writing the sum takes memory as well
	return sum.Profile()
}

// beside returns how many of the pods, the smallest first, can each be read and added beside
// the sum of those before it, which takes no more than they do, and never more than most.
func (g *group) beside(pods []*pod, most int64) int {
	sum := int64(0)
	for i, p := range pods {
		if p.cost > most || sum+p.cost > g.limits.MemoryBytes {
			return i
		}
		sum = min(sum+p.cost, most)
	}
	return len(pods)
}

// addOne adds a member to the sum, or leaves it out.
func (g *group) addOne(sum *profile.Merger, member int, found findings) bool {
	p := g.parse(member)
	if p == nil {
		return false
	}
	g.explain(member, p, found)
	if p.Cost() > largeCost {
		debug.FreeOSMemory() // what is added of it takes as much as reading it did
	}
	if err := sum.Add(p); err != nil {
		g.leave(member, profile.ReasonOf(err), err.Error())
		return false
	}
	return true
}

// addNone leaves out a member that cannot be read beside the sum, before that begins.
func (g *group) addNone(member int, found findings) {
	g.leave(member, gopprof.ReasonTooLarge, fmt.Sprintf("%v to add: reading it and adding it to the others would take more memory than is allowed", profile.ErrTooLarge))
	if found.of(member) == nil {
		return
	}
	if p := g.parse(member); p != nil {
		g.explain(member, p, found)
	}
}

// explain finds what to tell of a member, if it differs.
func (g *group) explain(member int, p *profile.Profile, found findings) {
	if f := found.of(member); f != nil {
		if w := g.weighed(member, p); w != nil {
			f.explainMore(w)
		}
	}
}

// of returns what was found of a member, nil when it is like the others.
func (f findings) of(member int) *finding {
	for i := range f.pods {
		if f.pods[i].pod.member == member {
			return &f.pods[i]
		}
	}
	return nil
}
