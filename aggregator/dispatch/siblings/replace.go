package siblings

import (
	"slices"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// triesPerPlace is how many pods are asked, one after the other, for each of the siblings that
// a hot capture is to have. Where so many refuse, one more is not likely to do better.
const triesPerPlace = 4

// replace writes down who is asked instead of a sibling that came to nothing: another quiet
// pod of the same workload and build, which has to begin when that one had to, for all hot
// captures that wait. One is asked where one has ended, so that no more are captured at once
// than were wanted. Nothing changes when there is no such pod, or no time.
func (k *Keeper) replace(r *record, capture string) {
	now := k.deps.Now().UTC()
	i, waiting := r.index(capture), r.waiting(capture, now)
	if len(waiting) == 0 || !now.Before(r.Asked[i].Until) {
		return
	}
	a, h := &r.Asked[i], waiting[0]
	if h.Threshold <= 0 || slices.ContainsFunc(waiting, func(h *hot) bool { return len(h.Siblings) >= triesPerPlace*k.cfg.PerCapture }) {
		return
	}
	like := a.Target // in all that they have in common with the hot one
	like.Node, like.Pod = h.Node, h.Pod
	_, chosen := choose(question{
		firing: gopprof.Firing{Target: like, Resource: h.Resource, Threshold: h.Threshold},
		nodes:  k.deps.Nodes.Nodes(), now: now, staleAfter: k.deps.Nodes.StaleAfter(),
		paused: k.deps.Paused(), most: 1, known: r.known(h, now),
	})
	for _, t := range chosen {
		fresh := *a
		fresh.Sibling = gopprof.Sibling{Capture: k.deps.NewID(), Target: named(t), Kinds: a.Kinds, State: gopprof.SiblingAsked}
		a.Instead = fresh.Capture
		for _, h := range waiting {
			h.Siblings = append(h.Siblings, fresh.Capture)
		}
		r.ask(fresh)
	}
}

// waiting are the hot captures that a sibling was to be compared with and whose reports are
// still to be made.
func (r *record) waiting(sibling string, now time.Time) (out []*hot) {
	for i := range r.Hot {
		if h := &r.Hot[i]; h.left(now) > 0 && slices.Contains(h.Siblings, sibling) {
			out = append(out, h)
		}
	}
	return out
}

// known are the pods that are not to be asked beside a hot capture: those that have fired, and
// those that were asked already.
func (r *record) known(h *hot, now time.Time) (out []gopprof.Target) {
	for _, h := range r.Hot {
		out = append(out, gopprof.Target{Pod: h.Pod, Node: h.Node})
	}
	for _, a := range r.Asked {
		if slices.Contains(h.Siblings, a.Capture) || now.Sub(a.At).Abs() < reuseWithin {
			out = append(out, a.Target)
		}
	}
	return out
}

// standIn returns who was written down instead of a sibling and may still have to be asked, or
// nil: whoever wrote that may have died before, and nothing is begun twice under one ID.
func (r *record) standIn(sibling string, now time.Time) *asked {
	i := r.index(sibling)
	if i < 0 || r.Asked[i].Instead == "" {
		return nil
	}
	next := r.index(r.Asked[i].Instead)
	if next < 0 || r.Asked[next].State != gopprof.SiblingAsked || !now.Before(r.Asked[next].Until) {
		return nil
	}
	return &r.Asked[next]
}
