package series

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what the cgroup files say at one moment.
type usage struct {
	at              time.Time
	cpu             time.Duration // since the cgroup was made
	limitMillicores int64         // 0: none
	workingSet      int64         // bytes
	memoryLimit     int64         // bytes; 0: none
}

const root = "/sys/fs/cgroup"

// read reads a cgroup, of v2 when the machine has nothing else.
func read(path string) (usage, error) {
	u := usage{at: time.Now()}
	var err error
	if _, missing := os.Stat(filepath.Join(root, "cgroup.controllers")); missing == nil {
		err = u.readV2(filepath.Join(root, path))
	} else {
		err = u.readV1(path)
	}
	return u, err
}

func (u *usage) readV1(path string) error {
	cpuDir, memoryDir := filepath.Join(root, "cpu", path), filepath.Join(root, "memory", path)
	nanos, err := number(filepath.Join(root, "cpuacct", path, "cpuacct.usage"))
	if err != nil {
		return err
	}
	u.cpu = time.Duration(nanos)
	quota, _ := number(filepath.Join(cpuDir, "cpu.cfs_quota_us"))
	period, _ := number(filepath.Join(cpuDir, "cpu.cfs_period_us"))
	if quota > 0 && period > 0 {
		u.limitMillicores = quota * 1000 / period
	}
	used, err := number(filepath.Join(memoryDir, "memory.usage_in_bytes"))
	if err != nil {
		return err
	}
	stat, err := fields(filepath.Join(memoryDir, "memory.stat"))
	if err != nil {
		return err
	}
	u.workingSet = max(0, used-stat["total_inactive_file"])
	u.memoryLimit = limit(filepath.Join(memoryDir, "memory.limit_in_bytes"))
	return nil
}

func (u *usage) readV2(dir string) error {
	cpu, err := fields(filepath.Join(dir, "cpu.stat"))
	if err != nil {
		return err
	}
	u.cpu = time.Duration(cpu["usage_usec"]) * time.Microsecond
	if text, err := os.ReadFile(filepath.Join(dir, "cpu.max")); err == nil {
		var quota, period int64
		if n, _ := fmt.Sscan(string(text), &quota, &period); n == 2 && period > 0 {
			u.limitMillicores = quota * 1000 / period
		}
	}
	used, err := number(filepath.Join(dir, "memory.current"))
	if err != nil {
		return err
	}
	stat, err := fields(filepath.Join(dir, "memory.stat"))
	if err != nil {
		return err
	}
	u.workingSet = max(0, used-stat["inactive_file"])
	u.memoryLimit = limit(filepath.Join(dir, "memory.max"))
	return nil
}

// limit reads a memory limit; none ("max", or v1's huge number) is 0.
func limit(path string) int64 {
	n, err := number(path)
	if err != nil || n > 1<<60 {
		return 0
	}
	return n
}

func number(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("reading the cgroup: %w", err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the cgroup: %s: %w", path, err)
	}
	return n, nil
}

// fields reads a file of "name value" lines.
func fields(path string) (map[string]int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the cgroup: %w", err)
	}
	values := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			values[name] = n
		}
	}
	return values, nil
}
