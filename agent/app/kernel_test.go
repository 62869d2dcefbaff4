package app

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// kernel stands in for the node under a real observer and a real judge: targets that use
// what they are told to while its clock goes on, and a wall clock that can be set. The
// stages after the judge are fakes.
type kernel struct {
	*fakes
	t       *testing.T
	clock   time.Duration
	set     time.Duration // what was added to the wall clock
	targets []gopprof.Target
	cores   map[string]float64 // used from now on, of a limit of one, by key
	used    map[string]time.Duration
	gone    map[string]bool
	seen    *observe.Observer
	pipeline
}

func newKernel(t *testing.T) *kernel {
	k := &kernel{
		fakes: &fakes{decision: gopprof.Decision{Go: true, Incident: "i"}}, t: t,
		cores: map[string]float64{}, used: map[string]time.Duration{}, gone: map[string]bool{},
	}
	k.seen = observe.New(observe.DefaultConfig(), k, zap.NewNop(), prometheus.NewRegistry())
	k.boot(nil)
	return k
}

// boot makes the pipeline of an agent that starts with what an earlier one saved.
func (k *kernel) boot(saved judge.Saved) {
	k.pipeline = pipeline{
		discover: k, observe: k.seen, windows: localWindows{k.seen}, judge: judge.New(judge.DefaultConfig(), saved, prometheus.NewRegistry()),
		ask: k.fakes, agree: k.fakes, take: k.fakes, publish: k.fakes, hand: k.fakes,
		remember: k.fakes.remember, newID: func() string { return "id" }, now: k.now,
		version: "test", log: zap.NewNop(), guard: newGuard(zap.NewNop(), newRegistry()),
	}
}

func (k *kernel) now() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return noon.Add(k.clock + k.set)
}

// Snapshot implements discoverer.
func (k *kernel) Snapshot() discover.Snapshot { return discover.Snapshot{Targets: k.targets} }

// Read implements observe.Reader.
func (k *kernel) Read(_ context.Context, t gopprof.Target, now time.Time) (observe.Sample, error) {
	if k.gone[t.Key()] {
		return observe.Sample{}, fmt.Errorf("reading: %w", observe.ErrGone)
	}
	return observe.Sample{At: now, Clock: k.clock, HasCPU: true, CPU: k.used[t.Key()], CPULimitCores: 1}, nil
}

// Forget implements observe.Reader.
func (k *kernel) Forget(string) {}

// start adds a pod.
func (k *kernel) start(name, uid string, cores float64) gopprof.Target {
	t := gopprof.Target{Cluster: "c", Node: "n", Namespace: "shop", Pod: name, PodUID: uid, Container: "app", ContainerID: uid}
	k.targets = append(k.targets, t)
	k.cores[t.Key()] = cores
	return t
}

// vanish removes all pods.
func (k *kernel) vanish() {
	k.targets = nil
	clear(k.cores)
	clear(k.used)
	clear(k.gone)
}

// pass is the agent's loop for as long as that; captures take no time.
func (k *kernel) pass(d time.Duration) {
	k.t.Helper()
	for end := k.clock + d; k.clock < end; {
		k.turn(k.t.Context(), k.t.Context(), k.now())
		if err := k.drain(k.t.Context()); err != nil {
			k.t.Fatal(err)
		}
		wait := k.seen.Next(k.now()).Sub(k.now())
		if wait <= 0 || wait > observe.DefaultConfig().WarmInterval {
			k.t.Fatalf("the next turn is %s away", wait)
		}
		k.tick(min(wait, end-k.clock))
	}
}

func (k *kernel) tick(d time.Duration) {
	for key, cores := range k.cores {
		k.used[key] += time.Duration(cores * float64(d))
	}
	k.mu.Lock() // captures that still run ask for the time
	defer k.mu.Unlock()
	k.clock += d
}

// taken is how many captures were published so far.
func (k *kernel) taken() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.published)
}
