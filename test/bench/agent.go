package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/cadvisor/lib/cache/memory"
	"github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/manager"
	"github.com/google/cadvisor/lib/utils/sysfs"

	"github.com/gopprof/gopprof/test/rig"
)

// agentCost measures the whole agent at its default settings, on real cgroups of which one in
// ten is warm, and beside it, on the same cgroups at the same time, cAdvisor's full manager
// with the least that would do: CPU and memory, every 10 s.
func agentCost(ctx context.Context, b *bench) error {
	b.printf("| targets | agent CPU | cAdvisor's manager | ratio | agent memory (of it anonymous) | manager's memory |\n|---|---|---|---|---|---|\n")
	for _, n := range []int{10, 110, 250} {
		if err := agentCostAt(ctx, b, n); err != nil {
			return fmt.Errorf("%d targets: %w", n, err)
		}
	}
	return nil
}

func agentCostAt(ctx context.Context, b *bench, n int) error {
	targets, err := startTargets(ctx, b, n)
	if err != nil {
		return err
	}
	defer targets.stop()
	r, err := b.rig(fmt.Sprintf("agent-%d", n))
	if err != nil {
		return err
	}
	defer r.Stop()
	if err := r.StartAggregator(ctx); err != nil {
		return err
	}
	agent, err := b.startAgent(ctx, r, targets.file, "")
	if err != nil {
		return err
	}
	peer, err := r.Start("cadvisor-manager", b.role("cadvisor-manager", targets.parent.Path))
	if err != nil {
		return err
	}
	return compareAgent(ctx, b, n, agent.PID(), peer.PID())
}

// startAgent starts an agent at its default settings, with more lines of configuration.
func (b *bench) startAgent(ctx context.Context, r *rig.Rig, targets, more string) (*rig.Process, error) {
	if err := os.WriteFile(filepath.Join(r.Dir, "targets.yaml"), []byte(targets), 0o600); err != nil {
		return nil, err
	}
	config := more + fmt.Sprintf(`cluster: demo
node: demo-node
state_dir: %[1]s/agent
status: {listen: "127.0.0.1:0"}
static: {file: %[1]s/targets.yaml}
nats: {url: %[2]q, nkey_file: %[1]s/agent.nk}
`, r.Dir, r.NATS())
	path := filepath.Join(r.Dir, "agent-defaults.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	agent, err := r.Start("agent", append(b.program("agent"), "--config", path))
	if err != nil {
		return nil, err
	}
	_, err = agent.Await(ctx, "agent started")
	return agent, err
}

// compareAgent measures after both have settled: a quiet target is read every 30 s, and memory
// of the start has to be collected.
func compareAgent(ctx context.Context, b *bench, n, agent, peer int) error {
	if err := wait(ctx, time.Minute); err != nil {
		return err
	}
	var began, ended [2]usage
	var err error
	for i, pid := range []int{agent, peer} {
		if began[i], err = treeOf(pid); err != nil {
			return err
		}
	}
	if err := wait(ctx, b.span); err != nil {
		return err
	}
	for i, pid := range []int{agent, peer} {
		if ended[i], err = treeOf(pid); err != nil {
			return err
		}
	}
	core := func(i int) float64 { return 100 * float64(ended[i].cpu-began[i].cpu) / float64(b.span) }
	b.printf("| %d | %.2f %% of a core | %.2f %% | %.2f | %s (%s) | %s |\n", n, core(0), core(1), core(0)/core(1),
		mib(ended[0].rss), mib(ended[0].anon), mib(ended[1].rss))
	return nil
}

// runManager is cAdvisor's manager as a process of its own, on the cgroups below a path.
func runManager(ctx context.Context, below string) error {
	every, dynamic := 10*time.Second, false
	metrics := container.MetricSet{container.CpuUsageMetrics: {}, container.MemoryUsageMetrics: {}}
	m, err := manager.New(memory.New(2*time.Minute, nil), sysfs.NewRealSysFs(),
		manager.HousekeepingConfig{Interval: &every, AllowDynamic: &dynamic}, metrics, []string{below}, nil, "", 0)
	if err != nil {
		return fmt.Errorf("making cAdvisor's manager: %w", err)
	}
	if err := m.Start(); err != nil {
		return fmt.Errorf("starting cAdvisor's manager: %w", err)
	}
	<-ctx.Done()
	return m.Stop()
}
