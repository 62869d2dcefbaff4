package cadvisor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

var (
	errNoCgroup = errors.New("target names neither a cgroup nor a process nor a container")
	errRoot     = errors.New("lives in the root cgroup, whose use is the whole machine's")
	errOutside  = errors.New("cgroup path leaves the cgroup root")
)

// locate returns the target's cgroup below the root, by controller. A controller in which
// the target has no cgroup of its own is left out.
func (r *Reader) locate(t gopprof.Target) (map[string]string, error) {
	var (
		below map[string]string
		err   error
		c     = t.Cgroup
	)
	switch {
	case c.Path != "":
		below, err = r.byPath(c.Path)
	case c.PID > 0:
		below, err = r.byPID(c.PID)
	case t.ContainerID != "":
		below, err = r.byContainer(t)
	default:
		err = errNoCgroup
	}
	if err != nil {
		return nil, err
	}
	if len(below) == 0 {
		return nil, errRoot
	}
	return below, nil
}

func (r *Reader) byPath(p string) (map[string]string, error) {
	clean := path.Clean("/" + p)
	if clean == "/" {
		return nil, errRoot
	}
	if strings.TrimSuffix("/"+strings.TrimPrefix(p, "/"), "/") != clean {
		return nil, fmt.Errorf("cgroup %q: %w", p, errOutside)
	}
	below := make(map[string]string, len(r.mounts))
	for controller := range r.mounts {
		below[controller] = clean
	}
	return below, nil
}

// byContainer asks the kubelet's tree where a container lives, unless it still lives where
// it was found last.
func (r *Reader) byContainer(t gopprof.Target) (map[string]string, error) {
	kept := r.target(t.Key())
	if p := kept.foundAt(t.ContainerID); p != "" && isDir(filepath.Join(r.kubelet.dir, p)) {
		return r.byPath(p)
	}
	uid := t.Cgroup.PodUID
	if uid == "" {
		uid = t.PodUID
	}
	p, err := r.kubelet.find(uid, t.ContainerID)
	if err != nil {
		return nil, err
	}
	kept.foundNow(t.ContainerID, p)
	return r.byPath(p)
}

// byPID asks the kernel where a process lives, anew at each reading: processes end, and
// are moved.
func (r *Reader) byPID(pid int) (map[string]string, error) {
	data, err := readSome(filepath.Join(r.cfg.ProcRoot, strconv.Itoa(pid), "cgroup"), 64<<10)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return nil, fmt.Errorf("process %d: %w", pid, observe.ErrGone)
	} else if err != nil {
		return nil, fmt.Errorf("finding the cgroup of process %d: %w", pid, err)
	}
	if r.isZombie(pid) {
		return nil, fmt.Errorf("process %d: %w", pid, observe.ErrGone)
	}
	below, err := r.owned(string(data))
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	if len(below) == 0 {
		return nil, fmt.Errorf("process %d %w", pid, errRoot)
	}
	return below, nil
}

// owned returns those of the cgroups in /proc/PID/cgroup that are read and not the root.
func (r *Reader) owned(data string) (map[string]string, error) {
	below := make(map[string]string, len(r.mounts))
	for controller, p := range parseProcCgroup(data) {
		if _, ok := r.mounts[controller]; !ok || p == "/" {
			continue
		}
		if strings.HasSuffix(p, " (deleted)") {
			return nil, observe.ErrGone
		}
		if !strings.HasPrefix(p, "/") || path.Clean(p) != p || strings.HasPrefix(p, "/..") {
			return nil, fmt.Errorf("cgroup %q: %w", p, errOutside)
		}
		below[controller] = p
	}
	return below, nil
}

// isZombie tells whether a process has ended and only waits for its parent to notice: v1
// shows it in the root cgroup then, v2 where it was. Its state follows the name in
// /proc/PID/stat, which may hold anything, parentheses too (proc(5)).
func (r *Reader) isZombie(pid int) bool {
	data, err := readSome(filepath.Join(r.cfg.ProcRoot, strconv.Itoa(pid), "stat"), 4<<10)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
	}
	stat := string(data)
	state := strings.TrimSpace(stat[strings.LastIndexByte(stat, ')')+1:])
	return strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X")
}

// parseProcCgroup reads /proc/PID/cgroup (cgroups(7)): "7:cpu,cpuacct:/a/b" of v1, and
// "0::/a/b" of v2, whose controller is the empty name.
func parseProcCgroup(data string) map[string]string {
	paths := make(map[string]string)
	for line := range strings.Lines(data) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			paths[controller] = parts[2]
		}
	}
	return paths
}

// readSome reads a file of the kernel, at most so many bytes of it.
func readSome(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}
