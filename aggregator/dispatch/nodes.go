package dispatch

import (
	"cmp"
	"slices"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	// maxNodes bounds the nodes that are remembered. Kubernetes itself ends at 5,000.
	maxNodes = 20_000
	// forgetEvery is how often silent nodes are looked for while others speak.
	forgetEvery = time.Minute
)

type nodeKey struct{ cluster, node string }

// Observe remembers a node's state. Its At becomes the time of arrival by our clock: an
// agent's clock can neither hide its node nor keep it for ever.
func (d *Dispatcher) Observe(s gopprof.NodeState) {
	s.At = d.deps.Now()
	k := nodeKey{s.Cluster, s.Node}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.At.Sub(d.forgotten) >= forgetEvery {
		d.forgetSilent(s.At)
	}
	if _, known := d.nodes[k]; !known && len(d.nodes) >= maxNodes {
		d.metrics.dropped.Inc()
		return
	}
	d.nodes[k] = s
	d.metrics.nodes.Set(float64(len(d.nodes)))
}

// Nodes returns the nodes that were heard of lately, by cluster and name. Their At is when
// they were heard of last.
func (d *Dispatcher) Nodes() []gopprof.NodeState {
	d.mu.Lock()
	d.forgetSilent(d.deps.Now())
	out := make([]gopprof.NodeState, 0, len(d.nodes))
	for _, n := range d.nodes {
		out = append(out, n)
	}
	d.mu.Unlock()
	slices.SortFunc(out, func(a, b gopprof.NodeState) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Node, b.Node))
	})
	return out
}

// StaleAfter is the silence after which a node's state should not be believed any more.
func (d *Dispatcher) StaleAfter() time.Duration { return d.cfg.StaleAfter }

// forgetSilent forgets nodes that were not heard of for too long; d.mu is held.
func (d *Dispatcher) forgetSilent(now time.Time) {
	for k, n := range d.nodes {
		if now.Sub(n.At) > d.cfg.ForgetAfter {
			delete(d.nodes, k)
		}
	}
	d.forgotten = now
	d.metrics.nodes.Set(float64(len(d.nodes)))
}
