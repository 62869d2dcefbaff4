package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
	"github.com/gopprof/gopprof/test/series"
)

// The fleet, and the limits of each target: so tight that hot costs next to nothing.
const (
	workloads   = 10
	podsOfEach  = 5
	limitCores  = 0.02
	limitBytes  = 36 << 20
	hotCores    = 0.9 * limitCores
	hotMebibyte = 22 // with what it has anyway, 0.7 of the limit; profiles and their garbage need the rest
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
	x.burner, err = parts.StartBurner(f.binary, x.cgroup, "-base-cores", "0", "-gc-percent", "10")
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
	c.Cgroup, c.Pod, c.Container, c.Gaps = x.cgroup.Path, x.pod, "app", io.Discard // gaps are what Heapster leaves, too
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := series.New(c).Run(ctx); err != nil && ctx.Err() == nil {
			f.scene.t.Errorf("no second witness of %s: %v", x.pod, err)
		}
	}()
	x.stop = func() { cancel(); <-done }
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

// sameWorkload returns the pods of a workload that a fault may befall.
func (f *fleet) sameWorkload(random *rand.Rand) (pods []*target) {
	name := f.some(random).workload
	for _, x := range f.targets {
		if x.workload == name {
			pods = append(pods, x)
		}
	}
	return pods
}

// profile takes a CPU profile of a target, as another tool does, for a second.
func (f *fleet) profile(ctx context.Context, x *target) error {
	x.mu.Lock()
	b := x.burner
	x.mu.Unlock()
	if b == nil {
		return errors.New("it is down")
	}
	_, err := rig.Fetch(ctx, http.MethodGet, "http://"+b.Addr+"/debug/pprof/profile?seconds=1", nil)
	return err
}
