package show

import (
	"fmt"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Targets lists what is watched, one row for each rule: why it did or did not fire.
func Targets(v View, nodes []api.Node) *Table {
	t := &Table{Header: v.place("POD", "NAMESPACE").when(v.Wide, "WORKLOAD", "CONTAINER", "CLUSTER").
		when(true, "NODE", "CPU", "MEMORY", "RULE", "STATE")}
	for _, n := range nodes {
		for _, s := range n.Targets {
			rules := s.Rules
			if len(rules) == 0 {
				rules = []gopprof.RuleState{{}}
			}
			for i, r := range rules {
				cells := v.place(s.Target.Pod, s.Target.Namespace).when(v.Wide, s.Target.Workload.String(), s.Target.Container, n.Cluster).
					when(true, n.Node, cpu(s), memory(s))
				if i > 0 {
					cells = make(row, len(cells))
				}
				t.Add(append(cells, dash(r.Rule), state(v.Now, s, r))...)
			}
		}
	}
	return t
}

func (v View) place(pod, namespace string) row {
	return row{}.when(v.Namespaces, namespace).when(true, pod)
}

// state says what a rule makes of a target.
func state(now time.Time, s gopprof.TargetState, r gopprof.RuleState) string {
	if s.Gone {
		return "its cgroup vanished"
	}
	if r.Rule == "" {
		return Clean(strings.TrimSuffix("not watched: by hand only; "+s.Detail, "; "))
	}
	parts := []string{Words(r.Reason)}
	if r.Reason == gopprof.ReasonCooldown && r.CooldownUntil.After(now) {
		parts[0] += " for " + Length(r.CooldownUntil.Sub(now)) + " more"
	}
	if !r.FiredAt.IsZero() {
		parts = append(parts, "last fired "+Age(now, r.FiredAt)+" ago")
	}
	if a := r.LastAgreement; a.Result != "" {
		parts = append(parts, "second witness: "+string(a.Result))
	}
	if s.Detail != "" {
		parts = append(parts, s.Detail)
	}
	return strings.Join(parts, "; ")
}

func newest(s gopprof.TargetState) (gopprof.Window, bool) {
	for _, windows := range [][]gopprof.Window{s.Local, s.Series} {
		if n := len(windows); n > 0 {
			return windows[n-1], true
		}
	}
	return gopprof.Window{}, false
}

func cpu(s gopprof.TargetState) string {
	w, ok := newest(s)
	if !ok || !w.HasCPU {
		return "-"
	}
	return use(w.CPU, Number)
}

func memory(s gopprof.TargetState) string {
	w, ok := newest(s)
	if !ok || !w.HasMemory {
		return "-"
	}
	return use(w.Memory, Bytes)
}

// use writes a use beside its limit: "0.47 of 0.5 (94%)".
func use(u gopprof.Use, unit func(float64) string) string {
	if !u.Limited() {
		return unit(u.Mean) + ", no limit"
	}
	basis := ""
	if u.Basis != gopprof.BasisLimit {
		basis = " of " + string(u.Basis)
	}
	return fmt.Sprintf("%s of %s (%.0f%%%s)", unit(u.Mean), unit(u.Limit), 100*u.Ratio, basis)
}

// RefusedTargets lists what was found and may not be profiled, with the way out; nil when
// there is nothing.
func RefusedTargets(v View, nodes []api.Node) *Table {
	t := &Table{Header: v.place("POD", "NAMESPACE").when(v.Wide, "WORKLOAD", "CONTAINER", "CLUSTER").
		when(true, "NODE", "NOT PROFILED BECAUSE")}
	for _, n := range nodes {
		for _, r := range n.Refused {
			t.Add(v.place(r.Target.Pod, r.Target.Namespace).when(v.Wide, r.Target.Workload.String(), dash(r.Target.Container), n.Cluster).
				when(true, n.Node, Because(r.Reason, r.Detail))...)
		}
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}

// Silent names the nodes whose agents were not heard of lately, one line each.
func Silent(v View, nodes []api.Node) []string {
	var lines []string
	for _, n := range nodes {
		if n.Stale {
			lines = append(lines, Clean(fmt.Sprintf("node %s was heard of %s ago: what stands here of it may have changed", n.Node, Age(v.Now, n.At))))
		}
	}
	return lines
}
