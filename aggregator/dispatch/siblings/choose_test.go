package siblings

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

var web = gopprof.Workload{Kind: "Deployment", Name: "web"}

func target(pod, node, build string) gopprof.Target {
	return gopprof.Target{Cluster: "c", Node: node, Namespace: "shop", Workload: web, Pod: pod, PodUID: "uid-" + pod, Container: "main", Build: build}
}

// firing is of web-1 on node n1, of build b1.
func firing(r gopprof.Resource, threshold float64) gopprof.Firing {
	return gopprof.Firing{
		Capture: newID(), Target: target("web-1", "n1", "b1"), Rule: string(r), Resource: r, Ratio: 0.93, At: noon,
		Threshold: threshold, Kinds: []gopprof.Kind{gopprof.KindCPU, gopprof.KindGoroutine}, CPUSeconds: 30,
	}
}

// nodes reads lines of "pod node build key=value …" and returns what the nodes tell. The keys
// are cpu, memory, throttled (ratios), cores, rule (its reason), series (the CPU ratio, seen by
// the series only), node (paused, or how long it is silent), and ns, kind, container, uid.
// The words gone, unseen, thin and old say what is wrong with the pod or its windows.
func nodes(t *testing.T, lines string) (out []gopprof.NodeState) {
	t.Helper()
	for line := range strings.Lines(lines) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		n := gopprof.NodeState{Cluster: "c", Node: words[1], At: noon.Add(-10 * time.Second)}
		s := gopprof.TargetState{Target: target(words[0], words[1], words[2])}
		w := gopprof.Window{
			Witness: gopprof.WitnessCadvisor, HasCPU: true, HasMemory: true, CoveredRatio: 1, End: noon.Add(-12 * time.Second),
			CPU: gopprof.Use{Limit: 2, Mean: 1}, Memory: gopprof.Use{Limit: 100},
		}
		for _, word := range words[3:] {
			say(t, word, &n, &s, &w)
		}
		if s.Detail != "unseen" && len(s.Series) == 0 {
			s.Local = []gopprof.Window{{CPU: gopprof.Use{Ratio: 9, Limit: 1}, CoveredRatio: 1}, w} // the newest is last
		}
		n.Targets = []gopprof.TargetState{s}
		out = append(out, n)
	}
	return out
}

func say(t *testing.T, word string, n *gopprof.NodeState, s *gopprof.TargetState, w *gopprof.Window) {
	key, value, _ := strings.Cut(word, "=")
	number, _ := strconv.ParseFloat(value, 64)
	switch key {
	case "cpu":
		w.CPU.Ratio = number
	case "memory":
		w.Memory.Ratio, w.Memory.Mean = number, number*100
	case "throttled":
		w.ThrottledRatio = number
	case "cores":
		w.CPU.Mean = number
	case "rule":
		s.Rules = append(s.Rules, gopprof.RuleState{Rule: "other", Reason: gopprof.Reason(value)})
	case "series":
		s.Series = []gopprof.Window{{Witness: gopprof.WitnessHeapster, HasCPU: true, CoveredRatio: 1, End: w.End, CPU: gopprof.Use{Ratio: number, Limit: 1}}}
	case "paused":
		n.Paused = true
	case "silent":
		d, err := time.ParseDuration(value)
		if err != nil {
			t.Fatal(err)
		}
		n.At = noon.Add(-d)
	case "cluster":
		n.Cluster, s.Target.Cluster = value, value
	case "ns":
		s.Target.Namespace = value
	case "kind":
		s.Target.Workload.Kind = value
	case "container":
		s.Target.Container = value
	case "uid":
		s.Target.PodUID = value
	case "image":
		s.Target.Build, s.Target.Image = "", value
	case "gone":
		s.Gone = true
	case "unseen":
		s.Detail = key
	case "thin":
		w.CoveredRatio = 0.5
	case "old":
		w.End = noon.Add(-time.Hour)
	default:
		t.Fatalf("unknown word %q", word)
	}
}

func TestChoose(t *testing.T) {
	for name, c := range map[string]struct {
		resource gopprof.Resource
		pods     string
		fleet    string // pods, of the build, hot, quiet: the firing one included
		want     string
	}{
		"two quiet ones, the busiest first": {"cpu", `
			web-2 n2 b1 cpu=0.2 cores=0.2
			web-3 n3 b1 cpu=0.3 cores=0.6
			web-4 n4 b1 cpu=0.1 cores=0.5`, "4 4 1 3", "web-3 web-4"},
		"nobody else": {"cpu", ``, "1 1 1 0", ""},
		"all are hot: load or a release": {"cpu", `
			web-2 n2 b1 cpu=0.9
			web-3 n3 b1 cpu=0.8`, "3 3 3 0", ""},
		"neither hot nor quiet": {"cpu", `
			web-2 n2 b1 cpu=0.4
			web-3 n3 b1 cpu=0.79`, "3 3 1 0", ""},
		"another build is counted and not compared with": {"cpu", `
			web-2 n2 b0 cpu=0.2
			web-3 n3 b1 cpu=0.2`, "3 2 1 2", "web-3"},
		"a build that nobody knows is no build": {"cpu", `
			web-2 n2 b1 cpu=0.2 image=x`, "2 1 1 1", ""},
		"other workloads, namespaces, clusters, containers": {"cpu", `
			web-2 n2 b1 kind=StatefulSet
			web-3 n3 b1 ns=bank
			web-4 n4 b1 cluster=d
			web-5 n5 b1 container=proxy`, "1 1 1 0", ""},
		"the firing pod itself, and the one of that name before": {"cpu", `
			web-1 n1 b1 cpu=0.2
			web-1 n2 b1 cpu=0.2 uid=before`, "1 1 1 0", ""},
		"gone, or of a silent node": {"cpu", `
			web-2 n2 b1 cpu=0.2 gone
			web-3 n3 b1 cpu=0.2 silent=2m
			web-4 n4 b1 cpu=0.2 silent=80s`, "2 2 1 1", "web-4"},
		"a pod that moved is one pod, where it was heard of last": {"cpu", `
			web-2 n2 b1 cpu=0.9 silent=60s
			web-2 n3 b1 cpu=0.2 silent=20s`, "2 2 1 1", "web-2"},
		"a rule fires, or would but for a cooldown": {"cpu", `
			web-2 n2 b1 cpu=0.2 rule=capturing
			web-3 n3 b1 cpu=0.2 rule=below_threshold rule=not_rearmed
			web-4 n4 b1 cpu=0.2 rule=one_window
			web-5 n5 b1 cpu=0.2 rule=cooldown
			web-6 n6 b1 cpu=0.2 rule=below_threshold rule=no_limit`, "6 6 1 5", "web-6"},
		"its node is paused": {"cpu", `
			web-2 n2 b1 cpu=0.2 paused`, "2 2 1 1", ""},
		"nobody saw it": {"cpu", `
			web-2 n2 b1 unseen
			web-3 n3 b1 cpu=0.2 thin
			web-4 n4 b1 cpu=0.2 old`, "4 4 1 0", ""},
		"seen by the series": {"cpu", `
			web-2 n2 b1 series=0.2
			web-3 n3 b1 series=0.9`, "3 3 2 1", "web-2"},
		"nodes of their own come first, the firing one's last": {"cpu", `
			web-2 n1 b1 cpu=0.2 cores=9
			web-3 n2 b1 cpu=0.2 cores=4
			web-4 n2 b1 cpu=0.2 cores=3
			web-5 n3 b1 cpu=0.2 cores=1`, "5 5 1 4", "web-3 web-5"},
		"better two on one node than one": {"cpu", `
			web-2 n1 b1 cpu=0.2 cores=1
			web-3 n1 b1 cpu=0.2 cores=2`, "3 3 1 2", "web-3 web-2"},
		"of memory, that counts": {"memory", `
			web-2 n2 b1 cpu=0.9 memory=0.2
			web-3 n3 b1 cpu=0.1 memory=0.3
			web-4 n4 b1 cpu=0.1 memory=0.9`, "4 4 2 2", "web-3 web-2"},
		"throttling: who has quota to spare": {"throttled", `
			web-2 n2 b1 cpu=0.3 throttled=0.1
			web-3 n3 b1 cpu=0.7 throttled=0.1
			web-4 n4 b1 cpu=0.3 throttled=0.3
			web-5 n5 b1 cpu=0.3 throttled=0.9`, "5 5 3 1", "web-2"},
	} {
		t.Run(name, func(t *testing.T) {
			threshold := 0.8
			if c.resource == gopprof.ResourceThrottled {
				threshold = 0.25
			}
			q := question{firing: firing(c.resource, threshold), nodes: nodes(t, c.pods), now: noon, staleAfter: 90 * time.Second, most: 2}
			for range 3 { // the order in which nodes are told of changes nothing
				fleet, chosen := choose(q)
				if got := fmt.Sprint(fleet.Pods, fleet.Build, fleet.Hot, fleet.Quiet); got != c.fleet {
					t.Errorf("fleet %s, want %s", got, c.fleet)
				}
				if got := names(chosen); got != c.want {
					t.Errorf("chosen %q, want %q", got, c.want)
				}
				slices.Reverse(q.nodes)
			}
			q.paused = true
			if fleet, chosen := choose(q); len(chosen) != 0 || fmt.Sprint(fleet.Pods, fleet.Build, fleet.Hot, fleet.Quiet) != c.fleet {
				t.Errorf("paused: %+v, chosen %s", fleet, names(chosen))
			}
		})
	}
}

func names(targets []gopprof.Target) string {
	var out []string
	for _, t := range targets {
		out = append(out, t.Pod)
	}
	return strings.Join(out, " ")
}
