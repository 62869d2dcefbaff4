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

	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

// agentCost measures the whole agent at its default settings, on real cgroups of which one in
// ten is warm, and beside it, on the same cgroups at the same time, cAdvisor's full manager
// with the least that would do: CPU and memory, every 10 s.
func agentCost(ctx context.Context, b *bench) error {
	b.printf("| targets | agent CPU | cAdvisor's manager | ratio | of a core per target | agent's working set, mean | peak from the start | peak with all files | resident (of it anonymous) | manager's working set, mean | peak |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, n := range []int{10, 110, 250} {
		if err := agentCostAt(ctx, b, n); err != nil {
			return fmt.Errorf("%d targets: %w", n, err)
		}
	}
	return spent(ctx, b, 110)
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
	var both [2]watched
	for i, name := range []string{"gopprof-bench-agent", "gopprof-bench-manager"} {
		if both[i].group, err = parts.NewCgroup(name, parts.CgroupLimits{}); err != nil {
			return err
		}
		defer func() { _ = both[i].group.Remove() }()
	}
	defer r.Stop() // before the cgroups go
	config, err := b.agentConfig(r, targets.file, "")
	if err != nil {
		return err
	}
	both[0].memory = watchMemory(ctx, both[0].group)
	agent, err := r.Start("agent", inside(both[0].group, b.agentAt(config)))
	if err != nil {
		return err
	}
	if _, err := agent.Await(ctx, "agent started"); err != nil {
		return err
	}
	both[1].memory = watchMemory(ctx, both[1].group)
	peer, err := r.Start("cadvisor-manager", inside(both[1].group, b.role("cadvisor-manager", targets.parent.Path)))
	if err != nil {
		return err
	}
	both[0].pid, both[1].pid = agent.PID(), peer.PID()
	return compareAgent(ctx, b, n, both)
}

// watched is a process in a cgroup of its own.
type watched struct {
	group  *parts.Cgroup
	pid    int
	memory func() (memorySeen, error) // from its start to the call
}

// agentConfig writes an agent's configuration: the default settings, with more lines.
func (b *bench) agentConfig(r *rig.Rig, targets, more string) (path string, err error) {
	if err := os.WriteFile(filepath.Join(r.Dir, "targets.yaml"), []byte(targets), 0o600); err != nil {
		return "", err
	}
	config := more + fmt.Sprintf(`cluster: demo
node: demo-node
state_dir: %[1]s/agent
status: {listen: "127.0.0.1:0"}
static: {file: %[1]s/targets.yaml}
nats: {url: %[2]q, nkey_file: %[1]s/agent.nk}
`, r.Dir, r.NATS())
	path = filepath.Join(r.Dir, "agent-defaults.yaml")
	return path, os.WriteFile(path, []byte(config), 0o600)
}

// agentAt is the command line of an agent.
func (b *bench) agentAt(config string) []string {
	return append(b.program("agent"), "--config", config)
}

// compareAgent measures after both have settled: a quiet target is read every 30 s, and memory
// of the start has to be collected.
func compareAgent(ctx context.Context, b *bench, n int, both [2]watched) error {
	if err := wait(ctx, min(b.span, time.Minute)); err != nil {
		return err
	}
	var cores [2]float64
	var ended [2]usage
	var memory [2]memorySeen
	for i, w := range both {
		before, err := treeOf(w.pid)
		if err != nil {
			return err
		}
		cores[i] = -before.cpu.Seconds()
	}
	if err := wait(ctx, b.span); err != nil {
		return err
	}
	for i, w := range both {
		var err error
		if ended[i], err = treeOf(w.pid); err != nil {
			return err
		}
		cores[i] = 100 * (cores[i] + ended[i].cpu.Seconds()) / b.span.Seconds()
		if memory[i], err = w.memory(); err != nil {
			return err
		}
	}
	b.printf("| %d | %.2f %% of a core | %.2f %% | %.2f | %.4f %% | %s | %s | %s | %s (%s) | %s | %s |\n", n,
		cores[0], cores[1], cores[0]/cores[1], cores[0]/float64(n), mib(memory[0].mean), mib(memory[0].peak), mib(memory[0].charged),
		mib(ended[0].rss), mib(ended[0].anon), mib(memory[1].mean), mib(memory[1].peak))
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
