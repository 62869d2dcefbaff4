package command

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// asking is what the command line of capture says.
type asking struct {
	arg       string // what to profile, "" with a selector
	selector  string
	kinds     []string
	seconds   seconds
	container string
	cluster   string
	maxPods   int
	atOnce    int
	expect    int
	allAtOnce bool
	merge     bool
	out       string // -o
	detach    bool
}

// request makes a request of the command line; its namespace is left out.
func (a asking) request() (api.CaptureRequest, error) {
	r := api.CaptureRequest{
		Cluster: a.cluster, Selector: a.selector, Container: a.container, Seconds: float64(a.seconds),
		MaxPods: a.maxPods, AtOnce: a.atOnce, Expect: a.expect, AllAtOnce: a.allAtOnce, Merge: a.merge,
	}
	var err error
	switch {
	case a.arg == "" && a.selector == "":
		return r, usage("name what to profile: pod/NAME, deploy/NAME, or labels by -l")
	case a.arg != "" && a.selector != "":
		return r, usage("%q and -l exclude each other", a.arg)
	case a.arg != "":
		if r.Pod, r.Workload, err = parseTarget(a.arg); err != nil {
			return r, err
		}
	}
	if r.Kinds, err = parseKinds(a.kinds); err != nil {
		return r, err
	}
	return r, a.check(r)
}

func (a asking) check(r api.CaptureRequest) error {
	switch group := a.maxPods != 0 || a.atOnce != 0 || a.expect != 0 || a.allAtOnce || a.merge; {
	case a.maxPods < 0 || a.atOnce < 0 || a.expect < 0:
		return usage("--max-pods, --at-once and --expect must not be negative")
	case r.Pod != "" && group:
		return usage("--max-pods, --at-once, --expect, --all-at-once and --merge are for several pods: deploy/NAME, or labels by -l")
	case a.merge && slices.Contains(r.Kinds, gopprof.KindTrace):
		return usage("traces cannot be merged")
	}
	return nil
}

// resources are the names of Kubernetes' resources, with the kinds that they stand for.
func resources() map[string]string {
	return map[string]string{
		"deploy": "Deployment", "deployment": "Deployment", "deployments": "Deployment",
		"sts": "StatefulSet", "statefulset": "StatefulSet", "statefulsets": "StatefulSet",
		"ds": "DaemonSet", "daemonset": "DaemonSet", "daemonsets": "DaemonSet",
		"rs": "ReplicaSet", "replicaset": "ReplicaSet", "replicasets": "ReplicaSet",
		"job": "Job", "jobs": "Job", "cj": "CronJob", "cronjob": "CronJob", "cronjobs": "CronJob",
	}
}

// parseTarget reads pod/NAME, host/NAME, deploy/NAME and the like. workload/KIND/NAME names
// a workload of any kind: programs of hosts have the kind Host.
func parseTarget(arg string) (pod, workload string, err error) {
	resource, name, ok := strings.Cut(arg, "/")
	if !ok {
		resource, name = "pod", arg
	}
	lower, _, _ := strings.Cut(strings.ToLower(resource), ".") // deployments.apps
	kind, known := resources()[lower]
	switch {
	case name == "" || resource == "":
		return "", "", usage("%q: write TYPE/NAME", arg)
	case lower == "workload":
		kind, name, ok = strings.Cut(name, "/")
		if !ok || kind == "" || name == "" || strings.Contains(name, "/") {
			return "", "", usage("%q: write workload/KIND/NAME", arg)
		}
		return "", kind + "/" + name, nil
	case strings.Contains(name, "/"):
		return "", "", usage("%q: write TYPE/NAME", arg)
	case slices.Contains([]string{"pod", "pods", "po", "host", "hosts"}, lower):
		return name, "", nil
	case !known:
		return "", "", usage("%q: not a pod, host, deploy, sts, ds, rs, job or cronjob; workload/KIND/NAME names any other", arg)
	}
	return "", kind + "/" + name, nil
}

// workloadWord writes a workload as parseTarget reads it.
func workloadWord(w gopprof.Workload) string {
	word := strings.ToLower(w.Kind)
	if resources()[word] == w.Kind {
		return word + "/" + w.Name
	}
	return "workload/" + w.String()
}

func namespaceQuery(namespace string) url.Values {
	if namespace == "" {
		return nil
	}
	return url.Values{"namespace": {namespace}}
}

// namespaceIn finds the namespace of what a request names, where nobody said it: the one
// that has such a target.
func namespaceIn(list api.TargetList, r api.CaptureRequest) (string, error) {
	var found, all []string
	for _, n := range list.Nodes {
		for _, s := range n.Targets {
			t := s.Target
			all = append(all, t.Namespace)
			if t.Pod == r.Pod || t.Workload.String() == r.Workload {
				found = append(found, t.Namespace)
			}
		}
	}
	if r.Selector != "" {
		found = all
	}
	found, all = distinct(found), distinct(all)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", usage("name the namespace by -n: %s", strings.Join(found, ", "))
	case len(all) == 0:
		return "", fmt.Errorf("nothing is watched that you may see")
	}
	return "", usage("no namespace has it: name one of %s by -n, or see what is watched: targets", strings.Join(all, ", "))
}

func distinct(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}
