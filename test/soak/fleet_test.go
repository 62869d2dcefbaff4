package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
	"github.com/gopprof/gopprof/test/series"
)

// The fleet, and the limits of each target: so tight that hot costs next to nothing.
const (
	workloads   = 10
	podsOfEach  = 5
	limitCores  = 0.02
	limitBytes  = 24 << 20
	hotCores    = 0.9 * limitCores
	hotMebibyte = 18 // with what it has anyway, 0.85 of the limit
)

// fleet is fifty targets, each a process in a cgroup of its own.
type fleet struct {
	scene   *scene
	binary  string
	parent  *parts.Cgroup
	targets []*target
}

// target is one of them.
type target struct {
	workload, pod string

	mu     sync.Mutex // guards what follows
	n      int        // cgroups made for it
	cgroup *parts.Cgroup
	burner *parts.Burner // nil while it is down
	hot    bool
	stop   func() // ends its second witness
}

func newFleet(t *testing.T, s *scene, binary string) *fleet {
	t.Helper()
	f := &fleet{scene: s, binary: binary}
	parent, err := parts.NewCgroup("gopprof-soak", parts.CgroupLimits{})
	must(t, err)
	f.parent = parent
	t.Cleanup(func() {
		if err := parent.Remove(); err != nil {
			t.Errorf("leaked: %v", err)
		}
	})
	must(t, parent.Prefer())
	for w := range workloads {
		for p := range podsOfEach {
			f.targets = append(f.targets, &target{workload: fmt.Sprintf("service-%d", w), pod: fmt.Sprintf("service-%d-%d", w, p)})
		}
	}
	t.Cleanup(func() {
		for _, x := range f.targets {
			if err := f.down(x); err != nil {
				t.Errorf("leaked: %v", err)
			}
			if err := x.removeCgroup(); err != nil {
				t.Errorf("leaked: %v", err)
			}
		}
	})
	for _, x := range f.targets {
		must(t, f.place(x))
		must(t, f.up(x))
	}
	must(t, f.tell())
	return f
}

// place gives a target a new cgroup.
func (f *fleet) place(x *target) (err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.n++
	x.cgroup, err = f.parent.Child(fmt.Sprintf("%s-%d", x.pod, x.n), parts.CgroupLimits{CPUCores: limitCores, MemoryBytes: limitBytes})
	return err
}

func (x *target) removeCgroup() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cgroup == nil {
		return nil
	}
	return x.cgroup.Remove()
}

// up starts a target's process.
func (f *fleet) up(x *target) (err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.burner, err = parts.StartBurner(f.binary, x.cgroup, "-base-cores", "0")
	return err
}

// down ends it as a crash does.
func (f *fleet) down(x *target) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.burner == nil {
		return nil
	}
	b := x.burner
	x.burner, x.hot = nil, false
	return b.Stop()
}

// tell writes the targets file as the fleet is now.
func (f *fleet) tell() error {
	var b strings.Builder
	b.WriteString("targets:\n")
	for _, x := range f.targets {
		x.mu.Lock()
		if x.burner != nil {
			fmt.Fprintf(&b, "- {namespace: %s, workload: %s, pod: %s, container: app, owner: %s, pprof: %q, cgroup: %s}\n",
				rig.Namespace, x.workload, x.pod, rig.Owner, "http://"+x.burner.Addr+"/debug/pprof", x.cgroup.Path)
		}
		x.mu.Unlock()
	}
	path := filepath.Join(f.scene.Dir, "targets.yaml")
	if err := os.WriteFile(path+".new", []byte(b.String()), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// witness starts the second witness of every target, where there is an InfluxDB.
func (f *fleet) witness(ctx context.Context) {
	if f.scene.InfluxDB == nil {
		return
	}
	for _, x := range f.targets {
		f.watch(ctx, x)
	}
	f.scene.t.Cleanup(func() {
		for _, x := range f.targets {
			x.stop()
		}
	})
}

// watch starts the second witness of a target, in the place of the one before.
func (f *fleet) watch(ctx context.Context, x *target) {
	if f.scene.InfluxDB == nil {
		return
	}
	if x.stop != nil {
		x.stop()
	}
	c := f.scene.SeriesConfig()
	c.Cgroup, c.Pod, c.Container = x.cgroup.Path, x.pod, "app"
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = series.New(c).Run(ctx) // gaps are what Heapster leaves, too
	}()
	x.stop = func() { cancel(); <-done }
}

// heats are the ways in which a target may be hot: what makes it so, and no more.
var heats = []struct{ heat, cool string }{
	{fmt.Sprintf("/heat?cores=%g", hotCores), "/cool"},
	{fmt.Sprintf("/grow?mb=%d", hotMebibyte), "/shrink"},
}

// live heats and cools the pods of one workload until ctx ends, and leaves them cold: as a
// rule one or two pods, now and then all of them, as in a peak of traffic.
func (f *fleet) live(ctx context.Context, workload int, random *rand.Rand, rest time.Duration) {
	pods := slices.Clone(f.targets[workload*podsOfEach : (workload+1)*podsOfEach])
	for wait(ctx, spread(random, rest)) {
		n := []int{1, 1, 1, 1, 1, 2, 2, 3, 5, 1}[random.IntN(10)]
		what := heats[0]
		if random.IntN(5) == 0 {
			what = heats[1]
		}
		random.Shuffle(len(pods), func(i, j int) { pods[i], pods[j] = pods[j], pods[i] })
		for _, x := range pods[:n] {
			f.turn(x, what.heat, true)
		}
		wait(ctx, spread(random, 12*time.Second))
		for _, x := range pods[:n] {
			f.turn(x, what.cool, false)
		}
	}
}

// turn makes a target hot or cold.
func (f *fleet) turn(x *target, path string, hot bool) {
	x.mu.Lock()
	x.hot = hot && x.burner != nil
	x.mu.Unlock()
	f.ask(x, path)
}

// ask asks something of a target. One that a fault took down is not asked; its limit is so
// tight that an answer takes a while.
func (f *fleet) ask(x *target, path string) {
	x.mu.Lock()
	b := x.burner
	x.mu.Unlock()
	if b == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := b.Post(ctx, path); err != nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.burner == b { // nobody took it down: it ended by itself
			f.scene.t.Errorf("target %s: %v", x.pod, err)
		}
	}
}

// some returns a target that a fault may befall, a hot one if there is one.
func (f *fleet) some(random *rand.Rand) *target {
	var hot []*target
	for _, x := range f.targets {
		x.mu.Lock()
		if x.hot {
			hot = append(hot, x)
		}
		x.mu.Unlock()
	}
	if len(hot) == 0 {
		hot = f.targets
	}
	return hot[random.IntN(len(hot))]
}

// spread draws a time of which d is the mean.
func spread(random *rand.Rand, d time.Duration) time.Duration {
	return d/2 + time.Duration(random.Int64N(int64(d)))
}

// wait lets time pass, and returns false when ctx ends.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
