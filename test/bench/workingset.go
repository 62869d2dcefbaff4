package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gopprof/gopprof/test/parts"
)

// memoryDir is where the files of a cgroup's memory are.
func memoryDir(group *parts.Cgroup) string {
	if dir := filepath.Join("/sys/fs/cgroup/memory", group.Path); isDir(dir) { // v1
		return dir
	}
	return filepath.Join("/sys/fs/cgroup", group.Path)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// inside makes a command line start in a cgroup: memory belongs to where it was first used.
func inside(group *parts.Cgroup, argv []string) []string {
	return append([]string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(memoryDir(group), "cgroup.procs")}, argv...)
}

// workingSet is what the kubelet calls so: what is charged, without the files that were not
// used of late.
func workingSet(dir string) (int64, error) {
	used, err := number(dir, `^(\d+)`, "memory.usage_in_bytes", "memory.current")
	if err != nil {
		return 0, err
	}
	idle, err := number(dir, `(?m)^(?:total_)?inactive_file (\d+)$`, "memory.stat")
	return max(0, used-idle), err
}

// chargedMost is the most that the kernel ever saw, with all files.
func chargedMost(dir string) (int64, error) {
	return number(dir, `^(\d+)`, "memory.max_usage_in_bytes", "memory.peak")
}

// number reads one out of the first file of those that is there.
func number(dir, pattern string, files ...string) (n int64, err error) {
	for _, file := range files {
		if _, err := fmt.Sscan(firstMatch(filepath.Join(dir, file), pattern), &n); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("none of %v can be read", files)
}

// memorySeen is a cgroup's working set over some time.
type memorySeen struct {
	mean, peak int64
	charged    int64 // the most ever, with all files
}

// watchMemory looks at a cgroup until the returned function is called.
func watchMemory(ctx context.Context, group *parts.Cgroup) func() (memorySeen, error) {
	ctx, cancel := context.WithCancel(ctx)
	dir := memoryDir(group)
	var m memorySeen
	var sum, n int64
	var failed error
	var looking sync.WaitGroup
	looking.Go(func() {
		for wait(ctx, time.Second/4) == nil {
			now, err := workingSet(dir)
			if err != nil {
				failed = err
				continue
			}
			sum, n, m.peak = sum+now, n+1, max(m.peak, now)
		}
	})
	return func() (memorySeen, error) {
		cancel()
		looking.Wait()
		if failed != nil || n == 0 {
			return m, errors.Join(errors.New("the memory was not seen"), failed)
		}
		m.mean = sum / n
		var err error
		m.charged, err = chargedMost(dir)
		return m, err
	}
}
