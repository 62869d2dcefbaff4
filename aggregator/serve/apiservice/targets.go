package apiservice

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// target is a target as an object of Kubernetes, or one that was refused.
type target struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	State             gopprof.Reason       `json:"state"` // why it did or did not fire, or was refused
	Detail            string               `json:"detail,omitempty"`
	Node              string               `json:"node"`
	At                time.Time            `json:"at"`                // when the agent told this
	Target            *gopprof.TargetState `json:"target,omitempty"`  // of one that is watched
	Refused           *gopprof.Refusal     `json:"refused,omitempty"` // of one that is not
}

type targetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []target `json:"items"`
}

// targets answers for all targets, by their names, and for one.
func (s *service) targets(w http.ResponseWriter, r *http.Request, a asked) {
	if _, problem := readListOptions(r); problem != "" {
		writeStatus(w, http.StatusBadRequest, problem)
		return
	}
	nodes, err := s.Nodes(r.Context())
	if err != nil {
		s.fail(r.Context(), w, "listing targets", err)
		return
	}
	list := targetList{TypeMeta: metav1.TypeMeta{APIVersion: groupVersion, Kind: "TargetList"}, Items: s.selected(nodes, a)}
	switch {
	case a.name != "" && len(list.Items) == 0:
		writeStatus(w, http.StatusNotFound, "targets.gopprof.io "+quote(a.name)+" not found")
	case wantsTable(r):
		s.writeTargets(w, r, list)
	case a.name != "":
		writeJSON(w, http.StatusOK, list.Items[0])
	default:
		writeJSON(w, http.StatusOK, list)
	}
}

// selected returns the targets that a path means, by namespace and name. Of two with one
// name (a pod that was made anew) the one told of last stands.
func (s *service) selected(nodes []gopprof.NodeState, a asked) []target {
	out := []target{}
	for _, n := range nodes {
		if n.Cluster != s.Cluster {
			continue
		}
		for _, t := range slices.Concat(watched(n), refused(n)) {
			if (a.namespace == "" || t.Namespace == a.namespace) && (a.name == "" || t.Name == a.name) {
				out = append(out, t)
			}
		}
	}
	slices.SortStableFunc(out, func(x, y target) int {
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Name, y.Name), y.At.Compare(x.At))
	})
	return slices.CompactFunc(out, func(x, y target) bool { return x.Namespace == y.Namespace && x.Name == y.Name })
}

func watched(n gopprof.NodeState) (out []target) {
	for _, x := range n.Targets {
		t := newTarget(n, x.Target)
		t.State, t.Detail, t.Labels, t.Target = stateOf(n, x), x.Detail, x.Labels, &x
		out = append(out, t)
	}
	return out
}

func refused(n gopprof.NodeState) (out []target) {
	for _, x := range n.Refused {
		t := newTarget(n, x.Target)
		t.State, t.Detail, t.Refused = x.Reason, x.Detail, &x
		out = append(out, t)
	}
	return out
}

// newTarget names a target POD.CONTAINER; no container has a dot in its name. What was
// refused may have none.
func newTarget(n gopprof.NodeState, x gopprof.Target) target {
	name := x.Pod
	if x.Container != "" {
		name += "." + x.Container
	}
	return target{
		TypeMeta:   metav1.TypeMeta{APIVersion: groupVersion, Kind: "Target"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: x.Namespace},
		Node:       n.Node, At: n.At,
	}
}

// tellingFirst are the reasons of rules, the one that tells most of a target first.
var tellingFirst = []gopprof.Reason{
	gopprof.ReasonFired, gopprof.ReasonCapturing, gopprof.ReasonNotRearmed, gopprof.ReasonCooldown, gopprof.ReasonOneWindow,
	gopprof.ReasonNoReadings, gopprof.ReasonBelowThreshold, gopprof.ReasonNoLimit, gopprof.ReasonRuleOff,
}

// stateOf is the most telling of what the rules say of a target.
func stateOf(n gopprof.NodeState, t gopprof.TargetState) gopprof.Reason {
	switch {
	case n.Paused:
		return gopprof.ReasonPaused
	case t.Gone:
		return gopprof.ReasonGone
	case len(t.Rules) == 0:
		return gopprof.ReasonRuleOff
	}
	rank := func(r gopprof.RuleState) int {
		if i := slices.Index(tellingFirst, r.Reason); i >= 0 {
			return i
		}
		return -1 // a reason that is not of rules is news
	}
	return slices.MinFunc(t.Rules, func(x, y gopprof.RuleState) int { return cmp.Compare(rank(x), rank(y)) }).Reason
}

func (s *service) writeTargets(w http.ResponseWriter, r *http.Request, list targetList) {
	items := make([]item[target], 0, len(list.Items))
	for _, x := range list.Items {
		items = append(items, item[target]{x.ObjectMeta, x})
	}
	t, err := table(r, list.ListMeta, targetColumns(s.Now()), items)
	if err != nil {
		s.fail(r.Context(), w, "listing targets", err)
		return
	}
	writeJSON(w, http.StatusOK, t)
}

func targetColumns(now time.Time) []column[target] {
	return []column[target]{
		{name: "Name", description: "Pod and container.", cell: func(t target) string { return t.Name }},
		{name: "Node", description: "Where the pod runs.", cell: func(t target) string { return t.Node }},
		{name: "State", description: "Why it was or was not profiled.", cell: func(t target) string { return string(t.State) }},
		{name: "CPU", description: "Use in the newest window, of the limit.", cell: func(t target) string { return newest(t, cpuText) }},
		{name: "Memory", description: "Working set in the newest window, of the limit.", cell: func(t target) string { return newest(t, memoryText) }},
		{name: "Age", description: "How long ago the agent told this.", cell: func(t target) string { return age(t.At, now) }},
		{name: "Workload", description: "What the pod belongs to.", wide: true, cell: func(t target) string { return workloadOf(t).String() }},
		{name: "Detail", description: "What to know, or to change.", wide: true, cell: func(t target) string { return t.Detail }},
	}
}

func workloadOf(t target) gopprof.Workload {
	if t.Target != nil {
		return t.Target.Target.Workload
	}
	return t.Refused.Target.Workload
}

// newest writes something of the newest window that the local witness saw.
func newest(t target, text func(gopprof.Window) string) string {
	if t.Target == nil || len(t.Target.Local) == 0 {
		return ""
	}
	return text(t.Target.Local[len(t.Target.Local)-1])
}

func cpuText(w gopprof.Window) string {
	if !w.HasCPU {
		return ""
	}
	return against(w.CPU, fmt.Sprintf("%.2f cores", w.CPU.Mean))
}

func memoryText(w gopprof.Window) string {
	if !w.HasMemory {
		return ""
	}
	return against(w.Memory, fmt.Sprintf("%.0fMi", w.Memory.Mean/(1<<20)))
}

// against writes a use in per cent of its limit; without a limit as it is.
func against(u gopprof.Use, plain string) string {
	if !u.Limited() {
		return plain
	}
	return fmt.Sprintf("%.0f%%", 100*u.Ratio)
}
