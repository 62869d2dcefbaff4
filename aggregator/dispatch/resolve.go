package dispatch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// resolve finds the one target that a request names among what the agents told. The error
// is a *gopprof.Error: unknown; bad_input when several containers could be meant; or the
// reason for which the target may not be profiled.
func resolve(nodes []gopprof.NodeState, m Manual) (gopprof.Target, error) {
	var found []gopprof.Target
	var refused *gopprof.Refusal
	for _, n := range newestFirst(nodes) {
		if len(found) == 0 {
			found = matching(n, m)
		}
		for i, r := range n.Refused {
			if refused == nil && matches(r.Target, m) {
				refused = &n.Refused[i]
			}
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return gopprof.Target{}, ambiguous(found, m)
	case refused != nil:
		return gopprof.Target{}, unprofiled(*refused)
	}
	return gopprof.Target{}, &gopprof.Error{
		Reason: gopprof.ReasonUnknown,
		Detail: fmt.Sprintf("no agent knows a target %q in namespace %q", name(m), m.Namespace),
	}
}

// unprofiled passes on why an agent does not profile a target, as far as its word is one
// that is known here.
func unprofiled(r gopprof.Refusal) error {
	if !slices.Contains(agentReasons, r.Reason) {
		return &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: fmt.Sprintf("its agent does not profile it, for a reason that is not known here: %.64q", r.Reason)}
	}
	return &gopprof.Error{Reason: r.Reason, Detail: fmt.Sprintf("%.500s", r.Detail)}
}

// newestFirst puts the node heard of last first: a pod that was recreated elsewhere under
// its name is on the node that speaks of it now.
func newestFirst(nodes []gopprof.NodeState) []gopprof.NodeState {
	return slices.SortedStableFunc(slices.Values(nodes), func(a, b gopprof.NodeState) int { return b.At.Compare(a.At) })
}

func matching(n gopprof.NodeState, m Manual) []gopprof.Target {
	var out []gopprof.Target
	for _, t := range n.Targets {
		if !t.Gone && matches(t.Target, m) {
			out = append(out, t.Target)
		}
	}
	return out
}

func matches(t gopprof.Target, m Manual) bool {
	return t.Namespace == m.Namespace && t.Pod == m.Pod && (m.Container == "" || t.Container == m.Container)
}

func ambiguous(found []gopprof.Target, m Manual) error {
	names := make([]string, len(found))
	for i, t := range found {
		names[i] = t.Container
	}
	slices.Sort(names)
	return &gopprof.Error{
		Reason: gopprof.ReasonBadInput,
		Detail: fmt.Sprintf("%q has several targets, name the container: %s", name(m), strings.Join(names, ", ")),
	}
}

func name(m Manual) string {
	if m.Container == "" {
		return m.Pod
	}
	return m.Pod + "/" + m.Container
}
