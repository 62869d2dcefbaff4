package publish

import (
	"fmt"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// What waits in the spools of several nodes is more than the stream of bytes holds, and every
// node has tried to send it: when the aggregator works again all of it arrives. Halves of
// captures must not be what the stream is full of.
func TestBacklogBeyondTheStream(t *testing.T) {
	const nodes, each, size = 8, 12, 25_000
	streams := bus.DefaultStreamConfig()
	streams.WaitingBytes = 1 << 20
	var names []string
	for i := range nodes {
		names = append(names, fmt.Sprintf("n%d", i))
	}
	b := bustest.Start(t, bustest.Options{Nodes: names, Streams: &streams})
	aggregator := b.Aggregator()
	var all []gopprof.Capture
	var spools []*Publisher
	for _, n := range names {
		cfg := testConfig(t.TempDir())
		cfg.RetryMin, cfg.RetryMax = 50*time.Millisecond, time.Second
		p := open(t, cfg, b.Agent(n))
		for range each {
			c := capture(newID(), size, size, size)
			c.Target.Cluster, c.Target.Node = bustest.Cluster, n
			mustPublish(t, p, c)
			all = append(all, c)
		}
		spools = append(spools, p)
	}
	for _, p := range spools {
		run(t, p)
	}
	poll(t, "every node is refused", func() bool {
		for _, p := range spools {
			if n, _ := p.Pending(); n > 0 && testutil.ToFloat64(p.metrics.attempts) < float64(2*n) {
				return false
			}
		}
		return true
	})
	var came arrivals
	came.arrive(t, aggregator)
	poll(t, "everything arrived", func() bool { return came.has(all) })
	for _, p := range spools {
		poll(t, "nothing waits", empty(p))
	}
}
