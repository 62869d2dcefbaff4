package operations

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// maxNamed is how many names an error lists.
const maxNamed = 10

// group is who a request means.
type group struct {
	targets []gopprof.Target  // one per pod, spread over the nodes
	refused []gopprof.Refusal // meant as well, and may not be profiled
}

// resolve finds whom a request means among what the agents told. The error is a
// *gopprof.Error: unknown; bad_input when it cannot be told which container or cluster is
// meant, or the group is not of the expected size; or the reason for which the one target
// may not be profiled.
func (k *Keeper) resolve(m gopprof.Manual) (group, error) {
	matches, err := k.matcher(m)
	if err != nil {
		return group{}, err
	}
	pods, refused := meantBy(m, k.deps.Nodes.Nodes(), matches)
	if err := oneCluster(pods); err != nil {
		return group{}, err
	}
	g := group{refused: refused}
	for _, targets := range pods {
		if len(targets) > 1 {
			return group{}, ambiguous(targets)
		}
		g.targets = append(g.targets, targets[0])
	}
	switch {
	case len(g.targets) == 0 && len(refused) > 0:
		return group{}, unprofiled(refused[0])
	case len(g.targets) == 0:
		return group{}, &gopprof.Error{Reason: gopprof.ReasonUnknown,
			Detail: fmt.Sprintf("no agent knows %s in namespace %q; agents tell of new pods within half a minute", meant(m), m.Namespace)}
	}
	g.targets = spread(g.targets)
	return g, k.cfg.checkSize(m, len(g.targets))
}

// checkSize holds a group against what the caller expects of it.
func (c Config) checkSize(m gopprof.Manual, matched int) error {
	size := matched
	if m.MaxPods > 0 {
		size = min(size, m.MaxPods)
	}
	switch {
	case !m.Group() || m.Wave:
	case m.Expect > 0 && m.Expect != matched:
		return bad("%d pods match, not the %d expected", matched, m.Expect)
	case size > c.MaxPods:
		return bad("%d pods match, at most %d can be profiled by one request: say how many by maxPods", matched, c.MaxPods)
	case m.Expect == 0 && size > c.ExpectAbove:
		return bad("%d pods match, and would all be profiled: if that is meant, ask again with expect=%d, or say how many by maxPods", matched, matched)
	}
	return nil
}

// matcher returns what tells whether a request means a target.
func (k *Keeper) matcher(m gopprof.Manual) (func(t gopprof.Target, labels map[string]string) bool, error) {
	selected := func(map[string]string) bool { return true }
	if m.Selector != "" {
		var err error
		if selected, err = k.deps.Selector(m.Selector); err != nil {
			return nil, bad("selector: %v", err)
		}
	}
	return func(t gopprof.Target, labels map[string]string) bool {
		return t.Namespace == m.Namespace && (m.Cluster == "" || t.Cluster == m.Cluster) &&
			(m.Pod == "" || t.Pod == m.Pod) &&
			(m.Workload == gopprof.Workload{} || sameWorkload(t.Workload, m.Workload)) &&
			(m.Container == "" || t.Container == m.Container) && selected(labels)
	}, nil
}

// sameWorkload compares kinds as kubectl does: whatever their case.
func sameWorkload(a, b gopprof.Workload) bool {
	return a.Name == b.Name && strings.EqualFold(a.Kind, b.Kind)
}

// podKey names a pod; the same name in another cluster is another pod.
type podKey struct{ cluster, namespace, pod string }

// meantBy returns the targets that match, by pod, and those that match and are refused. A
// pod that was recreated elsewhere under its name is on the node that speaks of it now. A
// selector finds no refused pod: their labels are not told.
func meantBy(m gopprof.Manual, nodes []gopprof.NodeState, matches func(gopprof.Target, map[string]string) bool) (map[podKey][]gopprof.Target, []gopprof.Refusal) {
	pods := map[podKey][]gopprof.Target{}
	var refused []gopprof.Refusal
	for _, n := range newestFirst(nodes) {
		here := map[podKey][]gopprof.Target{}
		for _, t := range n.Targets {
			if !t.Gone && matches(t.Target, t.Labels) {
				here[keyOf(t.Target)] = append(here[keyOf(t.Target)], t.Target)
			}
		}
		for key, targets := range here {
			if pods[key] == nil {
				pods[key] = targets
			}
		}
		for _, r := range n.Refused {
			if m.Selector == "" && matches(r.Target, nil) {
				refused = append(refused, r)
			}
		}
	}
	return pods, slices.DeleteFunc(refused, func(r gopprof.Refusal) bool { return pods[keyOf(r.Target)] != nil })
}

func keyOf(t gopprof.Target) podKey { return podKey{t.Cluster, t.Namespace, t.Pod} }

// newestFirst puts the node heard of last first.
func newestFirst(nodes []gopprof.NodeState) []gopprof.NodeState {
	return slices.SortedStableFunc(slices.Values(nodes), func(a, b gopprof.NodeState) int { return b.At.Compare(a.At) })
}

func oneCluster(pods map[podKey][]gopprof.Target) error {
	clusters := map[string]bool{}
	for key := range pods {
		clusters[key.cluster] = true
	}
	if len(clusters) < 2 {
		return nil
	}
	return bad("such pods are in several clusters, name one: %s", listed(clusters))
}

func ambiguous(targets []gopprof.Target) error {
	names := map[string]bool{}
	for _, t := range targets {
		names[t.Container] = true
	}
	return bad("%q has several targets, name the container: %s", targets[0].Pod, listed(names))
}

func listed(names map[string]bool) string {
	all := make([]string, 0, len(names))
	for n := range names {
		all = append(all, n)
	}
	slices.Sort(all)
	if len(all) > maxNamed {
		all = append(all[:maxNamed], "…")
	}
	return strings.Join(all, ", ")
}

// unprofiled passes on why an agent does not profile a target, as far as its word is one
// that is known here.
func unprofiled(r gopprof.Refusal) error {
	if !dispatch.IsAgentReason(r.Reason) {
		return &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: fmt.Sprintf("its agent does not profile it, for a reason that is not known here: %.64q", r.Reason)}
	}
	return &gopprof.Error{Reason: r.Reason, Detail: fmt.Sprintf("%.500s", r.Detail)}
}

// spread orders targets so that the first few are on as many nodes as possible: the first
// of every node, then the second of every node.
func spread(targets []gopprof.Target) []gopprof.Target {
	slices.SortFunc(targets, func(a, b gopprof.Target) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Pod, b.Pod))
	})
	seen := map[string]int{}
	turn := make(map[podKey]int, len(targets))
	for _, t := range targets {
		turn[keyOf(t)] = seen[t.Node]
		seen[t.Node]++
	}
	slices.SortStableFunc(targets, func(a, b gopprof.Target) int { return cmp.Compare(turn[keyOf(a)], turn[keyOf(b)]) })
	return targets
}
