package siblings

import (
	"cmp"
	"slices"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	// quietPart is the part of the threshold below which a pod is quiet.
	quietPart = 0.5
	// sparedCPU (0–1) is the CPU ratio below which a pod counts as quiet when throttling is
	// looked at. A bursting pod is throttled at a low mean, and one that is nearly as busy may
	// escape it by chance: only who leaves half of its quota unused has some to spare for
	// whatever made the other one hit its limit.
	sparedCPU = 0.5
	// clockMargin is how far the clocks of agents and aggregator may be apart: a window that
	// ended longer ago, or later, says nothing of now.
	clockMargin = 5 * time.Minute
)

// question is what choose answers.
type question struct {
	firing     gopprof.Firing
	nodes      []gopprof.NodeState // At is when they were heard of, by our clock
	now        time.Time
	staleAfter time.Duration
	paused     bool
	most       int              // siblings wanted
	known      []gopprof.Target // pods that are not to be asked (again), whose nodes come last
}

// choose counts the pods of the firing one's workload, as the nodes told of them last, and
// returns whom to compare it with: quiet pods of the same build, on nodes of their own where
// that is possible (neither a neighbour's noise nor a node's places for captures are shared
// then), the busiest first (more samples make a better comparison).
func choose(q question) (gopprof.Fleet, []gopprof.Target) {
	fleet := gopprof.Fleet{Pods: 1, Build: 1, Hot: 1}
	var healthy []pod
	for _, p := range q.others() {
		same := p.Target.SameBuild(q.firing.Target)
		fleet.Pods++
		fleet.Build += one(same)
		fleet.Hot += one(p.hot)
		fleet.Quiet += one(p.quiet)
		if same && p.quiet && !p.paused && p.unfired() && !q.knows(p.Target.Pod) {
			healthy = append(healthy, p)
		}
	}
	if q.paused {
		return fleet, nil
	}
	slices.SortFunc(healthy, func(a, b pod) int {
		return cmp.Or(cmp.Compare(b.use, a.use), cmp.Compare(a.Target.Pod, b.Target.Pod))
	})
	return fleet, q.spread(healthy)
}

func (q question) knows(pod string) bool {
	return slices.ContainsFunc(q.known, func(t gopprof.Target) bool { return t.Pod == pod })
}

// pod is another pod of the workload, as it was seen last.
type pod struct {
	gopprof.TargetState
	heard      time.Time
	paused     bool    // its node may not profile
	use        float64 // cores or bytes, of what the profile samples
	hot, quiet bool
}

// unfired tells whether no rule sees anything in it: neither fires, nor would but for a
// cooldown or a capture that is being made.
func (p pod) unfired() bool {
	for _, r := range p.Rules {
		switch r.Reason {
		case gopprof.ReasonBelowThreshold, gopprof.ReasonNoLimit, gopprof.ReasonNoReadings, gopprof.ReasonRuleOff:
		default:
			return false
		}
	}
	return true
}

// others are the pods of the workload but the firing one, each once. Those of nodes that are
// silent may run elsewhere by now and are not counted.
func (q question) others() []pod {
	found := map[string]pod{}
	for _, n := range q.nodes {
		if n.Cluster != q.firing.Target.Cluster || q.now.Sub(n.At) > q.staleAfter {
			continue
		}
		for _, t := range n.Targets {
			if was, known := found[t.Target.Pod]; q.concerns(t) && (!known || was.heard.Before(n.At)) {
				found[t.Target.Pod] = q.look(n, t)
			}
		}
	}
	out := make([]pod, 0, len(found))
	for _, p := range found {
		out = append(out, p)
	}
	return out
}

// concerns tells whether a target is the same container of another pod of the workload. The
// firing pod's name is its own whatever the UID: one of before is no other pod.
func (q question) concerns(t gopprof.TargetState) bool {
	f := q.firing.Target
	return !t.Gone && t.Target.Namespace == f.Namespace && t.Target.Workload == f.Workload &&
		t.Target.Container == f.Container && t.Target.Pod != f.Pod
}

func (q question) look(n gopprof.NodeState, t gopprof.TargetState) pod {
	p := pod{TargetState: t, heard: n.At, paused: n.Paused}
	w, ratio, ok := q.newest(t)
	if !ok {
		return p
	}
	p.hot, p.quiet = ratio >= q.firing.Threshold, ratio < quietPart*q.firing.Threshold
	p.use = w.CPU.Mean
	switch q.firing.Resource {
	case gopprof.ResourceMemory:
		p.use = w.Memory.Mean
	case gopprof.ResourceThrottled:
		p.quiet = p.quiet && w.CPU.Ratio < sparedCPU
	}
	return p
}

// newest returns a target's newest window, with its use of what fired against the limit;
// false when no witness knows it of now.
func (q question) newest(t gopprof.TargetState) (gopprof.Window, float64, bool) {
	for _, windows := range [][]gopprof.Window{t.Local, t.Series} {
		if len(windows) == 0 {
			continue
		}
		w := windows[len(windows)-1]
		ratio, limited := w.Ratio(q.firing.Resource)
		if limited && w.CoveredRatio >= gopprof.MinCovered && q.now.Sub(w.End).Abs() <= clockMargin {
			return w, ratio, true
		}
	}
	return gopprof.Window{}, 0, false
}

// spread takes the first of each node, and then, if they are not enough, the first of the
// others. The nodes of the firing pod and of those that are known come last.
func (q question) spread(from []pod) []gopprof.Target {
	var apart, beside []gopprof.Target
	taken := map[string]bool{q.firing.Target.Node: true}
	for _, t := range q.known {
		taken[t.Node] = true
	}
	for _, p := range from {
		if taken[p.Target.Node] {
			beside = append(beside, p.Target)
			continue
		}
		taken[p.Target.Node] = true
		apart = append(apart, p.Target)
	}
	all := append(apart, beside...)
	return all[:min(q.most, len(all))]
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
