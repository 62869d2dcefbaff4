package cadvisor

import (
	"fmt"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/cadvisor/lib/container/common"
	info "github.com/google/cadvisor/lib/model"
)

// limits are the tightest of a cgroup and the one above it; 0 is none.
type limits struct {
	cpuCores    float64
	memoryBytes uint64
}

// unlimitedBytes is where a memory limit stops being one: v1 shows the highest number of
// whole pages (2⁶³ less one page) for none, cAdvisor the highest number for v2's "max".
const unlimitedBytes = 1 << 62

// readLimits reads the limits of a cgroup (below the root, by controller) and of its
// parent: a container and its pod. It goes no higher, see parentOf.
func (r *Reader) readLimits(below map[string]string) (limits, error) {
	own, err := r.limitsOf(below)
	if err != nil {
		return limits{}, err
	}
	parents := make(map[string]string, len(below))
	for controller, p := range below {
		if parent, ok := parentOf(p); ok {
			parents[controller] = parent
		}
	}
	if len(parents) == 0 {
		return own, nil
	}
	above, err := r.limitsOf(parents)
	if err != nil {
		return limits{}, err
	}
	return own.tightest(above), nil
}

func (r *Reader) limitsOf(below map[string]string) (limits, error) {
	spec, err := common.GetSpec(r.dirsOf(below), machine{}, false, false)
	if err != nil {
		return limits{}, fmt.Errorf("reading limits: %w", err)
	}
	var l limits
	if spec.Cpu.Quota > 0 && spec.Cpu.Period > 0 {
		l.cpuCores = float64(spec.Cpu.Quota) / float64(spec.Cpu.Period)
	}
	if spec.Memory.Limit < unlimitedBytes {
		l.memoryBytes = spec.Memory.Limit
	}
	return l, nil
}

func (r *Reader) dirsOf(below map[string]string) map[string]string {
	dirs := make(map[string]string, len(below))
	for controller, p := range below {
		dirs[controller] = filepath.Join(r.mounts[controller], p)
	}
	return dirs
}

func (l limits) tightest(other limits) limits {
	return limits{
		cpuCores:    tighter(l.cpuCores, other.cpuCores),
		memoryBytes: tighter(l.memoryBytes, other.memoryBytes),
	}
}

func tighter[T float64 | uint64](a, b T) T {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}

// parentOf returns the cgroup above, and false when its limits are not the target's: the
// root, and those in which the kubelet holds all pods, or all of one class; they limit
// what the node gives to pods in all.
func parentOf(p string) (string, bool) {
	parent := path.Dir(p)
	if parent == "/" || holdsPods(parent) {
		return "", false
	}
	return parent, true
}

// holdsPods knows the kubelet's own cgroups, by both of its drivers: kubepods,
// kubepods/burstable, kubepods.slice/kubepods-burstable.slice; and below another root,
// kubelet.slice/kubelet-kubepods.slice.
func holdsPods(p string) bool {
	base := path.Base(p)
	if slice, ok := strings.CutSuffix(base, ".slice"); ok {
		for _, name := range []string{"kubepods", "kubepods-burstable", "kubepods-besteffort"} {
			if slice == name || strings.HasSuffix(slice, "-"+name) {
				return true
			}
		}
		return false
	}
	class := base == "burstable" || base == "besteffort"
	return base == "kubepods" || (class && path.Base(path.Dir(p)) == "kubepods")
}

// machine is what GetSpec wants to know of the machine: how wide a CPU mask can be.
type machine struct{}

func (machine) GetMachineInfo() (*info.MachineInfo, error) {
	return &info.MachineInfo{NumCores: runtime.NumCPU()}, nil
}

func (machine) GetVersionInfo() (*info.VersionInfo, error) { return &info.VersionInfo{}, nil }
