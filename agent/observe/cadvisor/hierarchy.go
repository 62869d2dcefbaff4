package cadvisor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
)

// unified is cAdvisor's key of the only hierarchy of cgroup v2.
const unified = ""

// controllers are those of cgroup v1 that are read, the one that tells most first.
func controllers() []string { return []string{"cpuacct", "cpu", "memory"} }

// findMounts returns the directory of each hierarchy below root, by controller; on cgroup
// v2 that is root itself, by the empty name. cAdvisor decides between v1 and v2 once per
// process and reads zeros from a tree of the other version, so a root of another version
// than the process's own is refused.
func findMounts(root string) (map[string]string, error) {
	v2 := cgroups.IsCgroup2UnifiedMode()
	if is2, err := isCgroup2(root); err != nil {
		return nil, err
	} else if is2 != v2 && !cgroups.TestMode {
		return nil, fmt.Errorf("cgroup root %q is not of the version that this process sees at /sys/fs/cgroup: mount it there", root)
	}
	if v2 {
		return map[string]string{unified: root}, nil
	}
	mounts := make(map[string]string)
	for _, c := range controllers() {
		if dir, ok := findController(root, c); ok {
			mounts[c] = dir
		}
	}
	if len(mounts) == 0 {
		return nil, fmt.Errorf("cgroup root %q holds neither cgroup v2 nor any of %v", root, controllers())
	}
	return mounts, nil
}

func isCgroup2(root string) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(root, &st); err != nil {
		return false, fmt.Errorf("looking at cgroup root %q: %w", root, err)
	}
	return st.Type == unix.CGROUP2_SUPER_MAGIC, nil
}

// findController finds the mount of a v1 controller: a directory of its name, or one that
// lists it among others ("cpu,cpuacct").
func findController(root, controller string) (string, bool) {
	if dir := filepath.Join(root, controller); isDir(dir) {
		return dir, true
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return "", false
	}
	for _, e := range entries {
		dir := filepath.Join(root, e.Name())
		if slices.Contains(strings.Split(e.Name(), ","), controller) && isDir(dir) {
			return dir, true
		}
	}
	return "", false
}

func isDir(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}
