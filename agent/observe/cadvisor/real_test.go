package cadvisor

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/poll"
)

// These tests read real cgroups, of the version that this machine has.

func newReader(t *testing.T, change func(*Config)) *Reader {
	t.Helper()
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func at(path string) gopprof.Target {
	return gopprof.Target{Pod: path, Cgroup: gopprof.Cgroup{Path: path}}
}

func of(pid int) gopprof.Target {
	return gopprof.Target{Pod: strconv.Itoa(pid), Cgroup: gopprof.Cgroup{PID: pid}}
}

func (r *Reader) must(t *testing.T, target gopprof.Target) observe.Sample {
	t.Helper()
	s, err := r.Read(t.Context(), target, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReadsWhatAProcessUses(t *testing.T) {
	c := newCgroup(t, parts.CgroupLimits{CPUCores: 0.05, MemoryBytes: 256 << 20})
	pid, _, _ := burner(t, c)
	r := newReader(t, nil)
	poll.Until(t, "32 MiB held", func() bool { return r.must(t, at(c.Path)).AnonymousBytes > 32<<20 })
	first := r.must(t, at(c.Path))
	var s observe.Sample
	poll.Until(t, "throttled within two seconds and more", func() bool {
		s = r.must(t, of(pid))
		return s.Clock-first.Clock > 2*time.Second && s.ThrottledPeriods > first.ThrottledPeriods
	})
	elapsed := (s.Clock - first.Clock).Seconds()
	if cores := (s.CPU - first.CPU).Seconds() / elapsed; !s.HasCPU || cores < 0.005 || cores > 0.06 || s.CPULimitCores != 0.05 {
		t.Errorf("uses %v of %v cores, want nearly 0.05 of 0.05", cores, s.CPULimitCores)
	}
	periods, throttled := s.Periods-first.Periods, s.ThrottledPeriods-first.ThrottledPeriods
	if throttled > periods || float64(periods) > 10*elapsed+2 {
		t.Errorf("throttled in %d of %d periods within %vs", throttled, periods, elapsed)
	}
	if !s.HasMemory || s.MemoryLimitBytes != 256<<20 || s.WorkingSetBytes < 32<<20 || s.WorkingSetBytes > 100<<20 {
		t.Errorf("memory: %+v", s)
	}
	if s.Instance == 0 || s.Instance != first.Instance || time.Since(s.At) > time.Minute {
		t.Errorf("instance %d, before %d, read at %v", s.Instance, first.Instance, s.At)
	}
}

func TestLimitIsTheTightestOfContainerAndPod(t *testing.T) {
	const mi = 1 << 20
	for _, c := range []struct {
		name           string
		pod, container parts.CgroupLimits
		want           limits
	}{
		{"neither", parts.CgroupLimits{}, parts.CgroupLimits{}, limits{}},
		{"container", parts.CgroupLimits{}, parts.CgroupLimits{CPUCores: 0.5, MemoryBytes: 64 * mi}, limits{0.5, 64 * mi}},
		{"pod", parts.CgroupLimits{CPUCores: 0.5, MemoryBytes: 64 * mi}, parts.CgroupLimits{}, limits{0.5, 64 * mi}},
		{"pod tighter", parts.CgroupLimits{CPUCores: 0.5, MemoryBytes: 32 * mi}, parts.CgroupLimits{CPUCores: 0.25, MemoryBytes: 64 * mi}, limits{0.25, 32 * mi}},
		{"container tighter", parts.CgroupLimits{CPUCores: 1.5, MemoryBytes: 64 * mi}, parts.CgroupLimits{CPUCores: 1, MemoryBytes: 32 * mi}, limits{1, 32 * mi}},
	} {
		t.Run(c.name, func(t *testing.T) {
			pod := newCgroup(t, c.pod)
			container := child(t, pod, "container", c.container)
			s := newReader(t, nil).must(t, at(container.Path))
			if got := (limits{s.CPULimitCores, s.MemoryLimitBytes}); got != c.want {
				t.Errorf("limits %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestLimitOfAllPodsIsNotThePods(t *testing.T) {
	outer := newCgroup(t, parts.CgroupLimits{})
	all := child(t, outer, "kubepods", parts.CgroupLimits{CPUCores: 1.5, MemoryBytes: 1 << 30})
	pod := child(t, all, "pod1", parts.CgroupLimits{})
	container := child(t, pod, "c1", parts.CgroupLimits{})
	r := newReader(t, nil)
	for _, p := range []string{pod.Path, container.Path} {
		if s := r.must(t, at(p)); s.CPULimitCores != 0 || s.MemoryLimitBytes != 0 {
			t.Errorf("%s: limits %v, %v, want none", p, s.CPULimitCores, s.MemoryLimitBytes)
		}
	}
}

func TestLimitsChangedInPlaceAreSeen(t *testing.T) {
	c := newCgroup(t, parts.CgroupLimits{CPUCores: 0.5, MemoryBytes: 64 << 20})
	r := newReader(t, func(cfg *Config) { cfg.LimitsInterval = 100 * time.Millisecond })
	r.must(t, at(c.Path))
	if err := c.SetLimits(parts.CgroupLimits{CPUCores: 1.5, MemoryBytes: 128 << 20}); err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "new limits seen", func() bool {
		s := r.must(t, at(c.Path))
		return s.CPULimitCores == 1.5 && s.MemoryLimitBytes == 128<<20
	})
	if err := c.SetLimits(parts.CgroupLimits{}); err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "limits gone", func() bool {
		s := r.must(t, at(c.Path))
		return s.CPULimitCores == 0 && s.MemoryLimitBytes == 0
	})
}

func TestLimitsOfATargetNearThemAreReadEveryTime(t *testing.T) {
	hot := newCgroup(t, parts.CgroupLimits{CPUCores: 0.05})
	idle := newCgroup(t, parts.CgroupLimits{CPUCores: 0.05})
	burner(t, hot)
	r := newReader(t, func(cfg *Config) { cfg.LimitsInterval = time.Hour })
	r.must(t, at(hot.Path))
	r.must(t, at(idle.Path))
	for _, c := range []*parts.Cgroup{hot, idle} {
		if err := c.SetLimits(parts.CgroupLimits{CPUCores: 0.06}); err != nil {
			t.Fatal(err)
		}
	}
	poll.Until(t, "the hot one's new limit seen", func() bool { return r.must(t, at(hot.Path)).CPULimitCores == 0.06 })
	if got := r.must(t, at(idle.Path)).CPULimitCores; got != 0.05 {
		t.Errorf("the idle one's limit was read again within the hour: %v", got)
	}
}

func TestVanishedCgroupIsGoneAndNeverZero(t *testing.T) {
	c := newCgroup(t, parts.CgroupLimits{})
	_, kill, reap := burner(t, c)
	r := newReader(t, nil)
	poll.Until(t, "CPU used", func() bool { return r.must(t, at(c.Path)).CPU > 0 })
	kill()
	reap()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
	})
	var last time.Duration
	poll.Until(t, "gone", func() bool { // read all the time while it is being removed
		s, err := r.Read(t.Context(), at(c.Path), time.Now())
		switch {
		case errors.Is(err, observe.ErrGone):
			return true
		case err != nil:
			t.Errorf("neither gone nor read: %v", err)
		case !s.HasCPU || !s.HasMemory || s.CPU < last:
			t.Errorf("while it was removed: %+v, before %v", s, last)
		}
		last = s.CPU
		return false
	})
	wg.Wait()
	if _, err := r.Read(t.Context(), at(c.Path), time.Now()); !errors.Is(err, observe.ErrGone) {
		t.Errorf("after it was removed: %v", err)
	}
}

func TestCgroupOfTheSameNameIsAnother(t *testing.T) {
	outer := newCgroup(t, parts.CgroupLimits{})
	r := newReader(t, nil)
	first := child(t, outer, "same", parts.CgroupLimits{CPUCores: 0.5})
	before := r.must(t, at(first.Path))
	if err := first.Remove(); err != nil {
		t.Fatal(err)
	}
	again := child(t, outer, "same", parts.CgroupLimits{})
	if after := r.must(t, at(again.Path)); after.Instance == before.Instance {
		t.Errorf("both are instance %d", after.Instance)
	}
}

func TestProcessThatEndedIsGone(t *testing.T) {
	c := newCgroup(t, parts.CgroupLimits{})
	pid, kill, reap := burner(t, c)
	r := newReader(t, nil)
	r.must(t, of(pid))
	kill()
	poll.Until(t, "zombie gone", func() bool {
		_, err := r.Read(t.Context(), of(pid), time.Now())
		return errors.Is(err, observe.ErrGone)
	})
	reap()
	if _, err := r.Read(t.Context(), of(pid), time.Now()); !errors.Is(err, observe.ErrGone) {
		t.Errorf("after it was waited for: %v", err)
	}
}

func TestProcessIsFollowedIntoAnotherCgroup(t *testing.T) {
	a, b := newCgroup(t, parts.CgroupLimits{CPUCores: 0.5}), newCgroup(t, parts.CgroupLimits{CPUCores: 0.25})
	pid, _, _ := burner(t, a)
	r := newReader(t, nil)
	before := r.must(t, of(pid))
	if err := b.Add(pid); err != nil {
		t.Fatal(err)
	}
	after := r.must(t, of(pid))
	if before.CPULimitCores != 0.5 || after.CPULimitCores != 0.25 || before.Instance == after.Instance {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestForgottenTargetsTakeNoMemory(t *testing.T) {
	c := newCgroup(t, parts.CgroupLimits{})
	r := newReader(t, nil)
	target := at(c.Path)
	r.must(t, target)
	r.Forget(target.Key())
	r.Forget("another")
	if len(r.targets) != 0 {
		t.Errorf("%d targets kept", len(r.targets))
	}
}

func TestReadsFromManyGoroutines(t *testing.T) {
	c := newCgroup(t, parts.CgroupLimits{})
	r := newReader(t, nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				if _, err := r.Read(t.Context(), at(c.Path), time.Now()); err != nil {
					t.Error(err)
				}
				r.Forget(at(c.Path).Key())
			}
		})
	}
	wg.Wait()
}

// What cAdvisor says must be what the kernel says.
func TestReadsWhatTheKernelSays(t *testing.T) {
	c := newCgroup(t, parts.CgroupLimits{})
	pid, kill, reap := burner(t, c)
	r := newReader(t, nil)
	poll.Until(t, "CPU used", func() bool { return r.must(t, of(pid)).CPU > 100*time.Millisecond })
	kill()
	reap() // nothing counts any more
	s := r.must(t, at(c.Path))
	if got, want := s.CPU, kernelCPU(t, r, c.Path); got != want {
		t.Errorf("CPU time %v, the kernel says %v", got, want)
	}
}

func kernelCPU(t *testing.T, r *Reader, path string) time.Duration {
	t.Helper()
	if root, v2 := r.mounts[unified]; v2 {
		data, err := os.ReadFile(filepath.Join(root, path, "cpu.stat"))
		if err != nil {
			t.Fatal(err)
		}
		return number(t, strings.Fields(string(data))[1]) * time.Microsecond
	}
	data, err := os.ReadFile(filepath.Join(r.mounts["cpuacct"], path, "cpuacct.usage"))
	if err != nil {
		t.Fatal(err)
	}
	return number(t, strings.TrimSpace(string(data)))
}

func number(t *testing.T, s string) time.Duration {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n)
}

// The kernel's own v2 hierarchy, beside v1 without controllers: CPU time is counted in any
// case.
func TestRealCgroup2(t *testing.T) {
	if !in(t, "v2") {
		return
	}
	dir, err := os.MkdirTemp("/sys/fs/cgroup", "gopprof-cadvisor-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { poll.Until(t, "removed", func() bool { return os.Remove(dir) == nil || !isDir(dir) }) })
	pid, kill, reap := burner(t, nil)
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
		t.Fatal(err)
	}
	r := newReader(t, nil)
	path := strings.TrimPrefix(dir, "/sys/fs/cgroup")
	poll.Until(t, "CPU used", func() bool { return r.must(t, at(path)).CPU > 100*time.Millisecond })
	if s := r.must(t, of(pid)); !s.HasCPU || s.HasMemory != isFile(filepath.Join(dir, "memory.current")) {
		t.Errorf("by process: %+v", s)
	}
	kill()
	poll.Until(t, "zombie gone", func() bool {
		_, err := r.Read(t.Context(), of(pid), time.Now())
		return errors.Is(err, observe.ErrGone)
	})
	reap()
	poll.Until(t, "removed", func() bool { return os.Remove(dir) == nil })
	if s, err := r.Read(t.Context(), at(path), time.Now()); !errors.Is(err, observe.ErrGone) {
		t.Errorf("after it was removed: %v, %+v", err, s)
	}
}

func isFile(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func BenchmarkRead(b *testing.B) {
	if err := parts.CgroupsAllowed(); err != nil {
		parts.Missing(b, "no cgroups on this machine: %v", err)
	}
	c, err := parts.NewCgroup("gopprof-bench", parts.CgroupLimits{CPUCores: 1, MemoryBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := c.Remove(); err != nil {
			b.Error(err)
		}
	})
	for name, interval := range map[string]time.Duration{"counters": time.Hour, "limits too": 0} {
		b.Run(name, func(b *testing.B) {
			cfg := DefaultConfig()
			cfg.LimitsInterval = interval
			r, err := New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := r.Read(b.Context(), at(c.Path), time.Now()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
