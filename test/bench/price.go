package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

// The service is asked so often that it uses a part of a processor, and the callers wait in no
// queue of their own: a late answer delays no later question.
const (
	askedPerSecond = 150
	latencyFor     = 8 * time.Second
	throughputFor  = 4 * time.Second
	priceRounds    = 10 // of five arms: each is at each place twice
)

// arm is what goes on while the service is asked.
type arm struct {
	what   string
	agent  bool           // it runs; else it is stopped
	kinds  []gopprof.Kind // that are taken meanwhile
	direct bool           // by a client of the target's own pages, and nobody else
	before int            // the arm that this one is beside
}

// The kinds are those of the rules by default. A timed one ends a second before the asking, so
// that what the agent does after it is seen too.
var arms = []arm{
	{what: "no agent"},
	{what: "agent watching", agent: true},
	{what: "CPU rule's capture", agent: true, kinds: ofCPU, before: 1},
	{what: "memory rule's capture", agent: true, kinds: ofMemory, before: 1},
	{what: "no agent, the CPU rule's kinds fetched directly", kinds: ofCPU, direct: true},
}

var (
	ofCPU    = []gopprof.Kind{gopprof.KindCPU, gopprof.KindGoroutine}
	ofMemory = []gopprof.Kind{gopprof.KindHeap, gopprof.KindAllocs, gopprof.KindGoroutine}
)

// priceOf is one arm's part of a round.
type priceOf struct {
	p50, p99 time.Duration
	rate     float64 // answers a second
}

// price measures what an agent and its captures cost the target: latency at a fixed rate, and
// throughput of as many callers as processors, in many short rounds of all arms.
func price(ctx context.Context, b *bench) error {
	group, err := parts.NewCgroup("gopprof-bench", parts.CgroupLimits{CPUCores: 2, MemoryBytes: 256 << 20})
	if err != nil {
		return err
	}
	defer func() { _ = group.Remove() }()
	r, err := b.rig("price")
	if err != nil {
		return err
	}
	defer r.Stop()
	service, agent, err := startService(ctx, b, r, group)
	if err != nil {
		return err
	}
	defer func() { _ = agent.Signal(syscall.SIGCONT) }() // or it could not end
	rounds := make([][]priceOf, max(1, min(priceRounds, int(b.span/(10*time.Second)))))
	for i := range rounds {
		rounds[i] = make([]priceOf, len(arms))
		for j := range arms {
			turn := (i + j) % len(arms)
			if rounds[i][turn], err = priceOnce(ctx, r, agent, service, arms[turn]); err != nil {
				return fmt.Errorf("%s: %w", arms[turn].what, err)
			}
		}
	}
	b.printPrices(rounds)
	return nil
}

func (b *bench) printPrices(rounds [][]priceOf) {
	b.printf("%d rounds; medians, and of the ratios within a round the median and its interval of 95 %% or more:\n\n", len(rounds))
	b.printf("| arm | p50 | p99 | answers/s | beside | p50 ratio | p99 ratio | answers/s ratio |\n|---|---|---|---|---|---|---|---|\n")
	for i, a := range arms {
		of := func(f func(priceOf) float64) float64 {
			return ratios(rounds, func(r []priceOf) float64 { return f(r[i]) }).median
		}
		beside := func(f func(priceOf) float64) interval {
			return ratios(rounds, func(r []priceOf) float64 { return f(r[i]) / f(r[a.before]) })
		}
		b.printf("| %s | %.2f ms | %.2f ms | %.0f |", a.what, of(p50), of(p99), of(rate))
		if i == a.before {
			b.printf(" | | | |\n")
			continue
		}
		b.printf(" %s | %s | %s | %s |\n", arms[a.before].what, beside(p50), beside(p99), beside(rate))
	}
}

func p50(p priceOf) float64  { return toMS(p.p50) }
func p99(p priceOf) float64  { return toMS(p.p99) }
func rate(p priceOf) float64 { return p.rate }

func ratios(rounds [][]priceOf, f func([]priceOf) float64) interval {
	var all []float64
	for _, r := range rounds {
		all = append(all, f(r))
	}
	return intervalOf(all)
}

func toMS(d time.Duration) float64 { return d.Seconds() * 1000 }

// startService starts the busy service in its cgroup, the aggregator, and an agent that
// watches it. It returns the service's URL.
func startService(ctx context.Context, b *bench, r *rig.Rig, group *parts.Cgroup) (url string, agent *rig.Process, err error) {
	if err := r.StartAggregator(ctx); err != nil {
		return "", nil, err
	}
	addrFile := filepath.Join(r.Dir, "service.addr")
	service, err := r.Start("service", b.role("service", addrFile))
	if err != nil {
		return "", nil, err
	}
	if err := group.Add(service.PID()); err != nil {
		return "", nil, err
	}
	var addr []byte
	if err := rig.Poll(ctx, func() (err error) { addr, err = os.ReadFile(addrFile); return err }); err != nil {
		return "", nil, err
	}
	targets := fmt.Sprintf("- {namespace: shop, workload: checkout, pod: checkout-0, pprof: \"http://%s/debug/pprof\", cgroup: %s}\n", addr, group.Path)
	config, err := b.agentConfig(r, "targets:\n"+targets, "state_interval: 2s\n")
	if err != nil {
		return "", nil, err
	}
	if agent, err = r.Start("agent", b.agentAt(config)); err != nil {
		return "", nil, err
	}
	return "http://" + string(addr), agent, r.AwaitTarget(ctx)
}

// priceOnce measures latency, then throughput. A stopped agent uses nothing and is no process
// that has to start again, which would cost the next arm.
func priceOnce(ctx context.Context, r *rig.Rig, agent *rig.Process, url string, a arm) (p priceOf, err error) {
	signal := syscall.SIGSTOP
	if a.agent {
		signal = syscall.SIGCONT
	}
	if err := agent.Signal(signal); err != nil {
		return p, err
	}
	if err := wait(ctx, time.Second); err != nil {
		return p, err
	}
	order := url + "/order"
	var took []time.Duration
	if err := captured(ctx, r, a.taking(r, url, latencyFor-time.Second), latencyFor, func(ctx context.Context) (err error) {
		took, err = latencyAt(ctx, order, askedPerSecond)
		return err
	}); err != nil {
		return p, err
	}
	p.p50, p.p99 = took[len(took)/2], took[len(took)*99/100]
	err = captured(ctx, r, a.taking(r, url, throughputFor-time.Second), throughputFor, func(ctx context.Context) (err error) {
		p.rate, err = throughput(ctx, order)
		return err
	})
	return p, err
}

// taking is how the arm's profiles of so long are taken.
func (a arm) taking(r *rig.Rig, url string, length time.Duration) taking {
	switch {
	case len(a.kinds) == 0:
		return nil
	case a.direct:
		return func(ctx context.Context) (func(context.Context) error, error) {
			return direct(ctx, url, a.kinds, length), nil
		}
	}
	return func(ctx context.Context) (func(context.Context) error, error) {
		return capture(ctx, r, a.kinds, length)
	}
}
