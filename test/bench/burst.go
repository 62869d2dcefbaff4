package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/rig"
)

// burst sends five hundred captures within a minute, from as many simulated agents, each with
// a CPU and a goroutine profile.
func burst(ctx context.Context, b *bench) error {
	return withMany(ctx, b, "burst", 500, func(r *rig.Rig, crowd []*bus.Agent) error { return burstOf(ctx, b, r, crowd) })
}

func burstOf(ctx context.Context, b *bench, r *rig.Rig, crowd []*bus.Agent) error {
	agents := len(crowd)
	cpu, err := cpuProfile(ctx, 10*time.Second)
	if err != nil {
		return err
	}
	goroutine, err := goroutineProfile(10_000)
	if err != nil {
		return err
	}
	watching := watchPeak(ctx, r.Aggregator.PID())
	before, err := treeOf(r.Aggregator.PID())
	if err != nil {
		return err
	}
	began := time.Now()
	if err := sendMany(ctx, r, crowd, cpu, goroutine); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := treeOf(r.Aggregator.PID())
	if err != nil {
		return err
	}
	peak := watching()
	b.printf("| captures | agents | sent within | all stored after | CPU per capture | peak memory, all processes (of it anonymous) |\n|---|---|---|---|---|---|\n")
	b.printf("| %d | %d | 1 min | %s | %s | %s (%s) |\n", agents, agents, took.Round(time.Second), ms((after.cpu-before.cpu)/time.Duration(agents)), mib(peak.rss), mib(peak.anon))
	return nil
}

// withMany has an aggregator and so many agents that are connected to it, as long as do takes.
func withMany(ctx context.Context, b *bench, name string, n int, do func(r *rig.Rig, crowd []*bus.Agent) error) error {
	r, err := b.rig(name)
	if err != nil {
		return err
	}
	defer r.Stop()
	if err := startForMany(ctx, b, r, n); err != nil {
		return err
	}
	crowd, err := connectMany(ctx, r, n)
	if err != nil {
		return err
	}
	defer closeAll(crowd)
	return do(r, crowd)
}

// startForMany starts an aggregator that knows so many agents.
func startForMany(ctx context.Context, b *bench, r *rig.Rig, n int) error {
	var known strings.Builder
	known.WriteString("agents:\n")
	for i := range n {
		seed, public, err := embedded.NewKey()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.Dir, fmt.Sprintf("agent-%d.nk", i)), []byte(seed), 0o600); err != nil {
			return err
		}
		fmt.Fprintf(&known, "- {cluster: %s, node: node-%d, nkey: %s}\n", rig.Cluster, i, public)
	}
	if err := os.WriteFile(filepath.Join(r.Dir, "agents.yaml"), []byte(known.String()), 0o600); err != nil {
		return err
	}
	return startAggregator(ctx, b, r, fmt.Sprintf("embedded: {listen: \"127.0.0.1:0\", dir: %[1]s/nats, agents_file: %[1]s/agents.yaml}\n", r.Dir))
}

// startAggregator starts one at its default settings with more lines of configuration.
func startAggregator(ctx context.Context, b *bench, r *rig.Rig, more string) (err error) {
	path := filepath.Join(r.Dir, "aggregator-defaults.yaml")
	config := fmt.Sprintf("status: {listen: \"127.0.0.1:0\"}\nserve: {listen: \"127.0.0.1:0\"}\nstore: {url: \"file://%s/reports\", index_reports: 100000}\n", r.Dir) + more
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return err
	}
	if r.Aggregator, err = r.Start("aggregator", append(b.program("aggregator"), "--config", path)); err != nil {
		return err
	}
	line, err := r.Aggregator.Await(ctx, "aggregator started")
	if err != nil {
		return err
	}
	r.AggregatorRuns(line.Text("nats"), line.Text("api"))
	return nil
}

func connectMany(ctx context.Context, r *rig.Rig, n int) ([]*bus.Agent, error) {
	crowd := make([]*bus.Agent, n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(32)
	for i := range crowd {
		group.Go(func() (err error) {
			crowd[i], err = connect(ctx, r.NATS(), filepath.Join(r.Dir, fmt.Sprintf("agent-%d.nk", i)), fmt.Sprintf("node-%d", i))
			return err
		})
	}
	return crowd, group.Wait()
}

func closeAll(crowd []*bus.Agent) {
	for _, a := range crowd {
		_ = a.Close(context.Background())
	}
}

// sendMany has every agent publish at a moment of its own within a minute, and returns when
// every report was announced.
func sendMany(ctx context.Context, r *rig.Rig, crowd []*bus.Agent, profiles ...gopprof.Profile) error {
	group, within := errgroup.WithContext(ctx)
	for i, a := range crowd {
		group.Go(func() error {
			if err := wait(within, rand.N(time.Minute)); err != nil {
				return err
			}
			c := newCapture(fmt.Sprintf("node-%d", i), fmt.Sprintf("service-%d", i/10), profiles...)
			if err := a.PublishCapture(within, c); err != nil {
				return err
			}
			_, err := r.Aggregator.AwaitWhere(within, "report announced", func(l rig.Line) bool { return l.Text("capture") == c.ID })
			return err
		})
	}
	return group.Wait()
}

// watchPeak looks at the memory of a process and its descendants until the returned function
// is called, which tells the most that was seen.
func watchPeak(ctx context.Context, pid int) func() usage {
	ctx, cancel := context.WithCancel(ctx)
	var peak usage
	var looking sync.WaitGroup
	looking.Go(func() {
		for wait(ctx, 250*time.Millisecond) == nil {
			if now, err := treeOf(pid); err == nil && now.rss > peak.rss {
				peak = now
			}
		}
	})
	return func() usage {
		cancel()
		looking.Wait()
		return peak
	}
}
