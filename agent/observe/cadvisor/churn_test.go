package cadvisor

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
)

const many = 250 // pods of one node

// generation is so many pods in real cgroups of their own; each under the name of one that was
// there before, or under a new one.
type generation struct {
	cgroups []*parts.Cgroup
	targets []gopprof.Target
}

func newGeneration(t *testing.T, parent *parts.Cgroup, podOf func(i int) string) *generation {
	t.Helper()
	g := &generation{}
	for i := range many {
		c, err := parent.Child(podOf(i), parts.CgroupLimits{CPUCores: 0.5, MemoryBytes: 64 << 20})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Remove() }) // of a test that failed
		g.cgroups = append(g.cgroups, c)
		g.targets = append(g.targets, gopprof.Target{Namespace: "shop", Pod: podOf(i), Container: "app", Cgroup: gopprof.Cgroup{Path: c.Path}})
	}
	return g
}

// remove removes those with an even or an odd number.
func (g *generation) remove(t *testing.T, odd int) {
	for i, c := range g.cgroups {
		if i%2 == odd {
			if err := c.Remove(); err != nil {
				t.Error(err)
			}
		}
	}
}

// Two hundred and fifty real cgroups come and go, under the names of those before them and
// under new ones, half of them while all are being read. Each is read or gone, each new one
// begins anew, and nothing of any stays: no descriptor, no history.
func TestManyCgroupsComeAndGo(t *testing.T) {
	for name, podOf := range map[string]func(g, i int) string{
		"same names": func(_, i int) string { return fmt.Sprintf("api-%d", i) },
		"new names":  func(g, i int) string { return fmt.Sprintf("api-%d-%d", g, i) },
	} {
		t.Run(name, func(t *testing.T) {
			parent := newCgroup(t, parts.CgroupLimits{})
			r := newReader(t, nil)
			o := observe.New(observe.DefaultConfig(), r, zap.NewNop(), prometheus.NewRegistry())
			now, files := time.Now(), 0
			for n := range 3 {
				if n == 1 { // what is opened once and for all is open now
					files = descriptors(t)
				}
				g := newGeneration(t, parent, func(i int) string { return podOf(n, i) })
				for i, got := range o.Observe(t.Context(), g.targets, now) {
					if got.Err != nil || !got.New || got.Target.Cgroup.Instance == 0 {
						t.Fatalf("generation %d: %+v, want the beginning of a history", n, got)
					}
					g.targets[i] = got.Target
				}
				now = now.Add(time.Minute)
				var wg sync.WaitGroup
				wg.Go(func() { g.remove(t, 0) })
				during := o.Observe(t.Context(), g.targets, now)
				wg.Wait()
				now = now.Add(time.Minute)
				checkHalf(t, during, false)
				checkHalf(t, o.Observe(t.Context(), g.targets, now), true)
				g.remove(t, 1)
				now = now.Add(time.Hour)
			}
			if o.Observe(t.Context(), nil, now); len(r.targets) != 0 {
				t.Errorf("%d targets are kept", len(r.targets))
			}
			if left := descriptors(t); left > files {
				t.Errorf("%d files are open, were %d", left, files)
			}
		})
	}
}

// checkHalf: those with an odd number are there; those with an even one are gone, or may be.
func checkHalf(t *testing.T, observed []observe.Observed, gone bool) {
	t.Helper()
	if len(observed) != many {
		t.Fatalf("%d were due, want %d", len(observed), many)
	}
	for i, got := range observed {
		isGone := errors.Is(got.Err, observe.ErrGone)
		switch {
		case got.Err != nil && !isGone:
			t.Errorf("%s: neither read nor gone: %v", got.Target.Pod, got.Err)
		case i%2 == 1 && isGone, i%2 == 0 && gone && !isGone, got.New:
			t.Errorf("%s: gone %v, begins anew %v", got.Target.Pod, isGone, got.New)
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}
