package cadvisor

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/container/libcontainer"
	info "github.com/google/cadvisor/lib/model"

	"github.com/gopprof/gopprof/agent/observe"
)

// near is the share of a limit from which on the limit is read every time: what may fire
// must be compared with the limit of now.
const near = 0.5

// target is what is kept of one target between two readings.
type target struct {
	mu       sync.Mutex
	dirs     map[string]string // that handler reads, by controller
	handler  *libcontainer.Handler
	limits   limits
	limitsAt time.Duration  // on the reader's clock
	last     observe.Sample // the newest reading

	container string // whose cgroup was found at path
	path      string // below each hierarchy
}

// foundAt returns where a container was found last, or nothing.
func (t *target) foundAt(container string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.container != container {
		return ""
	}
	return t.path
}

func (t *target) foundNow(container, path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.container, t.path = container, path
}

// read reads the cgroup that is at these paths now.
func (t *target) read(r *Reader, below map[string]string) (observe.Sample, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, err := t.present(r, below)
	if err != nil {
		return observe.Sample{}, err
	}
	s, err := t.sample(r, before)
	after, gone := t.present(r, below)
	if gone != nil {
		return observe.Sample{}, gone
	} else if after.instance != before.instance {
		return observe.Sample{}, fmt.Errorf("replaced while it was read: %w", observe.ErrGone)
	}
	if err != nil {
		return observe.Sample{}, err
	}
	s.Instance = before.instance
	t.last = s
	return s, nil
}

// present returns where there is a cgroup now. One that lost a controller since it was
// last looked at is being removed: it is gone as a whole.
func (t *target) present(r *Reader, below map[string]string) (found, error) {
	f, err := r.present(below)
	if err != nil {
		t.dirs, t.handler = nil, nil
		return found{}, err
	}
	if len(f.dirs) < len(t.dirs) && len(t.dirs) <= len(below) {
		t.dirs, t.handler = nil, nil
		return found{}, fmt.Errorf("being removed: %w", observe.ErrGone)
	}
	return f, nil
}

func (t *target) sample(r *Reader, f found) (observe.Sample, error) {
	if err := t.open(f.dirs); err != nil {
		return observe.Sample{}, err
	}
	stats, err := t.handler.GetStats()
	if err != nil {
		return observe.Sample{}, fmt.Errorf("reading cgroup: %w", err)
	}
	s := observe.Sample{At: stats.Timestamp, Clock: stats.Timestamp.Sub(r.start)}
	t.fill(&s, stats)
	if err := t.renewLimits(r, f, s); err != nil {
		return observe.Sample{}, err
	}
	s.CPULimitCores, s.MemoryLimitBytes = t.limits.cpuCores, t.limits.memoryBytes
	return s, nil
}

// open makes cAdvisor's handler, unless the paths are those it has already.
func (t *target) open(dirs map[string]string) error {
	if t.handler != nil && maps.Equal(dirs, t.dirs) {
		return nil
	}
	manager, err := libcontainer.NewCgroupManager("gopprof", dirs)
	if err != nil {
		return fmt.Errorf("opening cgroup: %w", err)
	}
	t.dirs, t.handler = dirs, libcontainer.NewHandler(manager, "/", 0, container.MetricSet{})
	t.limits, t.limitsAt, t.last = limits{}, 0, observe.Sample{}
	return nil
}

func (t *target) fill(s *observe.Sample, stats *info.ContainerStats) {
	_, v2 := t.dirs[unified]
	_, cpu := t.dirs["cpuacct"]
	if s.HasCPU = v2 || cpu; s.HasCPU {
		s.CPU = time.Duration(stats.Cpu.Usage.Total)
		s.Periods, s.ThrottledPeriods = stats.Cpu.CFS.Periods, stats.Cpu.CFS.ThrottledPeriods
	}
	if s.HasMemory = t.hasMemory(); s.HasMemory {
		s.WorkingSetBytes, s.AnonymousBytes = stats.Memory.WorkingSet, stats.Memory.RSS
	}
}

// hasMemory tells whether the cgroup accounts for memory: on v2 a cgroup exists without
// the controller, too.
func (t *target) hasMemory() bool {
	if dir, v2 := t.dirs[unified]; v2 {
		_, err := os.Stat(filepath.Join(dir, "memory.current"))
		return err == nil
	}
	_, ok := t.dirs["memory"]
	return ok
}

// renewLimits reads the limits anew when they are old or matter.
func (t *target) renewLimits(r *Reader, f found, s observe.Sample) error {
	fresh := t.limitsAt != 0 && s.Clock-t.limitsAt < r.cfg.LimitsInterval
	if fresh && !t.isNear(s) {
		return nil
	}
	l, err := r.readLimits(f.below)
	if err != nil {
		return err
	}
	t.limits, t.limitsAt = l, s.Clock
	return nil
}

func (t *target) isNear(s observe.Sample) bool {
	if limit := float64(t.limits.memoryBytes); limit > 0 && float64(s.WorkingSetBytes) >= near*limit {
		return true
	}
	elapsed := (s.Clock - t.last.Clock).Seconds()
	return t.limits.cpuCores > 0 && elapsed > 0 &&
		(s.CPU-t.last.CPU).Seconds()/elapsed >= near*t.limits.cpuCores
}

// found is a cgroup that exists.
type found struct {
	below    map[string]string // its path below the root, by controller
	dirs     map[string]string // the same as directories
	instance uint64            // another one for a cgroup made later under the same name
}

// present returns those of the paths at which there is a cgroup now. None at all is
// ErrGone.
func (r *Reader) present(below map[string]string) (found, error) {
	f := found{below: make(map[string]string, len(below)), dirs: make(map[string]string, len(below))}
	for _, controller := range append(controllers(), unified) {
		p, ok := below[controller]
		if !ok {
			continue
		}
		dir := filepath.Join(r.mounts[controller], p)
		fi, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return found{}, fmt.Errorf("looking for cgroup: %w", err)
		}
		if st, ok := fi.Sys().(*syscall.Stat_t); ok && f.instance == 0 {
			f.instance = st.Ino
		}
		f.below[controller], f.dirs[controller] = p, dir
	}
	if len(f.dirs) == 0 {
		return found{}, fmt.Errorf("no cgroup at %v: %w", below, observe.ErrGone)
	}
	return f, nil
}
