package operations

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// start is one capture that may begin.
type start struct {
	operation gopprof.Operation
	capture   gopprof.OperationCapture
}

// places counts the captures that run, by what bounds them.
type places struct {
	total      int
	operations map[string]int
	nodes      map[nodeKey]int
	workloads  map[workloadKey]int
}

type workloadKey struct{ cluster, namespace, kind, name string }

func workloadOf(t gopprof.Target) workloadKey {
	return workloadKey{t.Cluster, t.Namespace, strings.ToLower(t.Workload.Kind), t.Workload.Name}
}

func nodeOf(t gopprof.Target) nodeKey { return nodeKey{t.Cluster, t.Node} }

func (p *places) take(op string, t gopprof.Target) {
	p.total++
	p.operations[op]++
	p.nodes[nodeOf(t)]++
	p.workloads[workloadOf(t)]++
}

// schedule returns the captures that may begin now, the oldest operation's first, and of an
// operation's those first on whose node the fewest run. It is pure: what has not ended, which
// captures an agent is being asked about (busy: they count as running), which may not be tried
// yet (later), and how many replicas each workload has, go in.
func schedule(ops []gopprof.Operation, c Config, busy, later func(capture string) bool, replicas map[workloadKey]int) []start {
	ops = slices.SortedFunc(slices.Values(ops), func(a, b gopprof.Operation) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	})
	taken := running(ops, busy)
	var starts []start
	for _, op := range ops {
		if !op.Cancelled.IsZero() {
			continue
		}
		waiting := slices.DeleteFunc(slices.Clone(op.Captures), func(oc gopprof.OperationCapture) bool {
			return oc.State != gopprof.CaptureWaiting || busy(oc.Capture) || later(oc.Capture)
		})
		for {
			i := next(op, waiting, c, taken, replicas)
			if i < 0 {
				break
			}
			taken.take(op.ID, waiting[i].Target)
			starts = append(starts, start{op, waiting[i]})
			waiting = slices.Delete(waiting, i, i+1)
		}
	}
	return starts
}

// next returns which of the captures that wait begins first: of those that keep within every
// bound the one on whose node the fewest run. It is -1 if none does.
func next(op gopprof.Operation, waiting []gopprof.OperationCapture, c Config, taken *places, replicas map[workloadKey]int) int {
	first, fewest := -1, 0
	for i, oc := range waiting {
		if n := taken.nodes[nodeOf(oc.Target)]; (first < 0 || n < fewest) && fits(op, oc.Target, c, taken, replicas) {
			first, fewest = i, n
		}
	}
	return first
}

func running(ops []gopprof.Operation, busy func(string) bool) *places {
	p := &places{operations: map[string]int{}, nodes: map[nodeKey]int{}, workloads: map[workloadKey]int{}}
	for _, op := range ops {
		for _, oc := range op.Captures {
			if oc.State == gopprof.CaptureProfiling || (oc.State == gopprof.CaptureWaiting && busy(oc.Capture)) {
				p.take(op.ID, oc.Target)
			}
		}
	}
	return p
}

// fits tells whether one more capture of a target keeps within every bound.
func fits(op gopprof.Operation, t gopprof.Target, c Config, taken *places, replicas map[workloadKey]int) bool {
	if taken.total >= c.AtOnce || taken.nodes[nodeOf(t)] >= c.PerNodeAtOnce {
		return false
	}
	if op.Asked.Group() && taken.operations[op.ID] >= op.Asked.AtOnce {
		return false
	}
	return taken.workloads[workloadOf(t)] < mostOfWorkload(op.Asked, c, replicas[workloadOf(t)])
}

// mostOfWorkload is how many pods of one workload may be profiled at the same time: never
// all of them, unless that was asked for, or there is one only.
func mostOfWorkload(m gopprof.Manual, c Config, replicas int) int {
	if m.AllAtOnce {
		return c.AtOnce
	}
	if !m.Group() {
		return c.PerWorkloadAtOnce // each asked for by name
	}
	return min(c.PerWorkloadAtOnce, max(1, replicas-1))
}

// wave returns those of a workload's pods that can all be profiled at the same time.
func (c Config) wave(targets []gopprof.Target, replicas map[workloadKey]int) []gopprof.Target {
	taken := &places{operations: map[string]int{}, nodes: map[nodeKey]int{}, workloads: map[workloadKey]int{}}
	all := gopprof.Operation{Asked: gopprof.Manual{AtOnce: c.WaveAtOnce}}
	var out []gopprof.Target
	for _, t := range targets {
		if fits(all, t, c, taken, replicas) {
			taken.take(all.ID, t)
			out = append(out, t)
		}
	}
	return out
}

// replicas counts the pods of each workload that there are now, as far as it is known.
func (k *Keeper) replicas() map[workloadKey]int {
	return replicasOf(k.deps.Nodes.Nodes(), k.deps.Now().Add(-k.deps.Nodes.StaleAfter()))
}

// replicasOf counts the pods of each workload that agents told of since a time: those of a
// node that has gone may be elsewhere by now, under other names, and would count twice.
func replicasOf(nodes []gopprof.NodeState, since time.Time) map[workloadKey]int {
	n := map[workloadKey]int{}
	seen := map[podKey]bool{}
	for _, node := range nodes {
		if node.At.Before(since) {
			continue
		}
		for _, t := range node.Targets {
			if key := keyOf(t.Target); !t.Gone && !seen[key] {
				seen[key] = true
				n[workloadOf(t.Target)]++
			}
		}
	}
	return n
}
