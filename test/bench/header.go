package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// header says of which code and on what machine the figures are: they mean nothing without.
func header(ctx context.Context, root string) string {
	return fmt.Sprintf("commit %s, %s UTC, %s\n\n%s, kernel %s, %s\n\nbeside it: cAdvisor's manager %s, pprof of %s, %s\n",
		commit(ctx, root), time.Now().UTC().Format("2006-01-02 15:04"), runtime.Version(),
		processors(), kernel(), installed(), moduleVersion("github.com/google/cadvisor/lib"), runtime.Version(), graphviz(ctx))
}

// commit is what the tree is at, marked when it holds more than that.
func commit(ctx context.Context, root string) string {
	at, err := exec.CommandContext(ctx, "git", "-C", root, "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	changed, err := exec.CommandContext(ctx, "git", "-C", root, "status", "--porcelain", "--untracked-files=no").Output()
	if err != nil || len(bytes.TrimSpace(changed)) > 0 {
		return strings.TrimSpace(string(at)) + " with changes"
	}
	return strings.TrimSpace(string(at))
}

func processors() string {
	model := firstMatch("/proc/cpuinfo", `(?m)^model name\s*:\s*(.+)$`)
	return fmt.Sprintf("%d processors (%s, %s)", runtime.NumCPU(), cmp.Or(model, "unknown"), runtime.GOARCH)
}

// kernel is its version without what a builder added.
func kernel() string {
	return cmp.Or(firstMatch("/proc/sys/kernel/osrelease", `^(\d+\.\d+\.\d+)`), "unknown")
}

func installed() string {
	var kb int64
	_, _ = fmt.Sscan(firstMatch("/proc/meminfo", `(?m)^MemTotal:\s*(\d+) kB$`), &kb)
	return mib(kb<<10) + " of memory"
}

func firstMatch(file, pattern string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	if m := regexp.MustCompile(pattern).FindSubmatch(text); m != nil {
		return string(m[1])
	}
	return ""
}

func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "unknown"
}

func graphviz(ctx context.Context) string {
	said, err := exec.CommandContext(ctx, "dot", "-V").CombinedOutput()
	if err != nil {
		return "no graphviz"
	}
	return strings.TrimPrefix(strings.TrimSpace(string(said)), "dot - ")
}
