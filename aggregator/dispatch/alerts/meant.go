package alerts

import (
	"fmt"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// noContainer is what cAdvisor calls the container that holds a pod's network.
const noContainer = "POD"

// meant finds the pod that an alert's labels name, or else the workload.
func (r *Reader) meant(labels map[string]string) (gopprof.Manual, error) {
	names := r.cfg.Labels
	m := gopprof.Manual{Cluster: first(labels, names.Cluster), Namespace: first(labels, names.Namespace)}
	if m.Namespace == "" {
		return m, noTarget("it has no namespace: label %s", strings.Join(names.Namespace, " or "))
	}
	if m.Pod = first(labels, names.Pod); m.Pod != "" {
		if m.Container = first(labels, names.Container); m.Container == noContainer {
			m.Container = ""
		}
		return m, nil
	}
	// The container is not looked at now: beside a workload it is often the one that told of it
	// (kube-state-metrics).
	w, err := names.workload(labels)
	if err != nil {
		return m, err
	}
	if w == (gopprof.Workload{}) {
		return m, noTarget("it names no pod and no workload: label %s, deployment, statefulset …", strings.Join(names.Pod, " or "))
	}
	m.Workload, m.MaxPods = w, r.cfg.MaxPods
	return m, nil
}

// workload reads the labels that name a workload with its kind, else the pair that names
// both.
func (l Labels) workload(labels map[string]string) (gopprof.Workload, error) {
	for _, w := range []struct {
		kind  string
		names []string
	}{{"Deployment", l.Deployment}, {"StatefulSet", l.StatefulSet}, {"DaemonSet", l.DaemonSet}} {
		if name := first(labels, w.names); name != "" {
			return gopprof.Workload{Kind: w.kind, Name: name}, nil
		}
	}
	name, kind := first(labels, l.Workload), first(labels, l.WorkloadKind)
	if name != "" && kind == "" {
		return gopprof.Workload{}, bad("label %s names %.64q without its kind: label %s", strings.Join(l.Workload, " or "), name, strings.Join(l.WorkloadKind, " or "))
	}
	if name == "" {
		return gopprof.Workload{}, nil
	}
	return gopprof.Workload{Kind: kind, Name: name}, nil
}

// first returns the first of the named labels that says anything.
func first(labels map[string]string, names []string) string {
	for _, name := range names {
		if v := labels[name]; v != "" {
			return v
		}
	}
	return ""
}

func noTarget(format string, args ...any) error {
	return &gopprof.Error{Reason: gopprof.ReasonNoTarget, Detail: fmt.Sprintf(format, args...)}
}
