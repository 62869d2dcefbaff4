package parts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	cgroupRoot = "/sys/fs/cgroup"
	// cfsPeriod is the kernel's default length of a CFS period.
	cfsPeriod = 100 * time.Millisecond
)

// CgroupLimits are the limits of a cgroup; 0 is none.
type CgroupLimits struct {
	CPUCores    float64
	MemoryBytes int64
}

// Cgroup is a real control group, of v1 or v2 as the machine has it.
type Cgroup struct {
	// Path is where it is below the cgroup root, the same in every v1 hierarchy: what
	// gopprof.Cgroup calls so.
	Path string
	dirs []string // one per hierarchy
	v2   bool
}

// CgroupsAllowed tells why this machine lets nobody make cgroups with CPU and memory
// limits, or nil. It is the reason with which tests skip; once it is nil, an error of
// NewCgroup is a failure.
func CgroupsAllowed() error {
	_, _, err := cgroupHierarchies()
	return err
}

// NewCgroup makes a cgroup at the root whose name begins with prefix, and ends so that it
// is the only one. The error names what this machine lacks or forbids.
func NewCgroup(prefix string, limits CgroupLimits) (*Cgroup, error) {
	roots, v2, err := cgroupHierarchies()
	if err != nil {
		return nil, fmt.Errorf("making cgroup: %w", err)
	}
	first, err := os.MkdirTemp(roots[0], prefix+"-")
	if err != nil {
		return nil, fmt.Errorf("making cgroup: %w", err)
	}
	if err := os.Chmod(first, 0o755); err != nil {
		return nil, errors.Join(fmt.Errorf("making cgroup: %w", err), os.Remove(first))
	}
	c := &Cgroup{Path: "/" + filepath.Base(first), v2: v2}
	return c.make(roots, limits)
}

// Child makes a cgroup below this one. On v2 a cgroup with children holds no processes
// itself.
func (c *Cgroup) Child(name string, limits CgroupLimits) (*Cgroup, error) {
	if c.v2 {
		if err := delegate(c.dirs[0]); err != nil {
			return nil, fmt.Errorf("making cgroup %q: %w", name, err)
		}
	}
	roots := make([]string, len(c.dirs))
	for i, dir := range c.dirs {
		roots[i] = strings.TrimSuffix(dir, c.Path)
	}
	child := &Cgroup{Path: path.Join(c.Path, name), v2: c.v2}
	return child.make(roots, limits)
}

func (c *Cgroup) make(roots []string, limits CgroupLimits) (*Cgroup, error) {
	for _, root := range roots {
		dir := filepath.Join(root, c.Path)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, errors.Join(fmt.Errorf("making cgroup %q: %w", c.Path, err), c.Remove())
		}
		c.dirs = append(c.dirs, dir)
	}
	if err := c.SetLimits(limits); err != nil {
		return nil, errors.Join(err, c.Remove())
	}
	return c, nil
}

// Add moves a process, with all of its threads, into the cgroup.
func (c *Cgroup) Add(pid int) error {
	for _, dir := range c.dirs {
		if err := writeCgroup(dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("moving process %d into cgroup %q: %w", pid, c.Path, err)
		}
	}
	return nil
}

// SetLimits changes the limits in place.
func (c *Cgroup) SetLimits(l CgroupLimits) error {
	quota := strconv.FormatInt(int64(l.CPUCores*float64(cfsPeriod.Microseconds())), 10)
	memory := strconv.FormatInt(l.MemoryBytes, 10)
	period := strconv.FormatInt(cfsPeriod.Microseconds(), 10)
	files := [][2]string{
		{"cpu.cfs_period_us", period},
		{"cpu.cfs_quota_us", orElse(l.CPUCores > 0, quota, "-1")},
		{"memory.limit_in_bytes", orElse(l.MemoryBytes > 0, memory, "-1")},
	}
	if c.v2 {
		files = [][2]string{
			{"cpu.max", orElse(l.CPUCores > 0, quota, "max") + " " + period},
			{"memory.max", orElse(l.MemoryBytes > 0, memory, "max")},
		}
	}
	for _, f := range files {
		if err := c.write(f[0], f[1]); err != nil {
			return fmt.Errorf("limiting cgroup %q: %w", c.Path, err)
		}
	}
	return nil
}

// Remove removes the cgroup. Its processes must have ended; it waits a few seconds for
// the kernel to let go of them.
func (c *Cgroup) Remove() error {
	deadline := time.Now().Add(5 * time.Second)
	for _, dir := range c.dirs {
		err := os.Remove(dir)
		for errors.Is(err, syscall.EBUSY) && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
			err = os.Remove(dir)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing cgroup %q: %w", c.Path, err)
		}
	}
	return nil
}

// write writes the file in that hierarchy which has it.
func (c *Cgroup) write(file, value string) error {
	for _, dir := range c.dirs {
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			return writeCgroup(dir, file, value)
		}
	}
	return fmt.Errorf("%s: %w", file, fs.ErrNotExist)
}

func writeCgroup(dir, file, value string) error {
	// Not os.WriteFile: that would create what the kernel does not have.
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// cgroupHierarchies returns where cgroups with cpu and memory limits can be made.
func cgroupHierarchies() (roots []string, v2 bool, err error) {
	if os.Geteuid() != 0 {
		return nil, false, errors.New("only root may make them: run the tests as root")
	}
	var st unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &st); err != nil {
		return nil, false, fmt.Errorf("looking at %s: %w", cgroupRoot, err)
	}
	if st.Type == unix.CGROUP2_SUPER_MAGIC {
		return []string{cgroupRoot}, true, delegate(cgroupRoot)
	}
	for _, controller := range []string{"cpu", "cpuacct", "memory"} {
		dir, err := filepath.EvalSymlinks(filepath.Join(cgroupRoot, controller))
		if err != nil {
			return nil, false, fmt.Errorf("no %s controller: %w", controller, err)
		}
		if err := unix.Access(dir, unix.W_OK); err != nil {
			return nil, false, fmt.Errorf("the %s controller may not be changed: %w", controller, err)
		}
		if !slices.Contains(roots, dir) {
			roots = append(roots, dir)
		}
	}
	return roots, false, nil
}

// delegate gives the children of a v2 cgroup the cpu and memory controllers.
func delegate(dir string) error {
	has, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("reading controllers: %w", err)
	}
	for _, controller := range []string{"cpu", "memory"} {
		if !slices.Contains(strings.Fields(string(has)), controller) {
			return fmt.Errorf("no %s controller in %s", controller, dir)
		}
		if err := writeCgroup(dir, "cgroup.subtree_control", "+"+controller); err != nil {
			return fmt.Errorf("enabling the %s controller: %w", controller, err)
		}
	}
	return nil
}

func orElse(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}
