package group

import (
	"cmp"
	"slices"

	"github.com/gopprof/gopprof/pkg/profile"
)

// add reads the pods' profiles once more and returns their sum, nil when there is none;
// on its way it finds what to tell of those that differ. The largest comes last, so that it
// is the one which finds no room.
func (g *group) add(pods []pod, found findings) *profile.Profile {
	bySize := make([]*pod, len(pods))
	for i := range pods {
		bySize[i] = &pods[i]
	}
	slices.SortStableFunc(bySize, func(a, b *pod) int { return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.total, b.total)) })
	sum := profile.NewMerger(g.limits)
	some := false
	for _, p := range bySize {
		if p.merged = g.addOne(sum, p.member, found); p.merged {
			some = true
		}
	}
	if !some {
		return nil
	}
	return sum.Profile()
}

// addOne adds a member to the sum, or leaves it out.
func (g *group) addOne(sum *profile.Merger, member int, found findings) bool {
	p := g.parse(member)
	if p == nil {
		return false
	}
	if f := found.of(member); f != nil {
		if w := g.weighed(member, p); w != nil {
			f.explainMore(w)
		}
	}
	if err := sum.Add(p); err != nil {
		g.leave(member, profile.ReasonOf(err), err.Error())
		return false
	}
	return true
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
