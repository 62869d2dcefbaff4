package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what a process used, alone or with all that it started.
type usage struct {
	cpu  time.Duration // user and system, with that of children that ended
	rss  int64         // resident bytes now
	anon int64         // of them, not backed by a file
}

// tick is the unit of /proc/PID/stat: USER_HZ, 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// stat is the part of /proc/PID/stat that counts here (proc(5)).
type stat struct {
	parent int
	own    time.Duration // user and system
	cpu    time.Duration // with that of children that ended
}

func readStat(pid int) (s stat, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, err
	}
	// The name, in brackets, may hold anything; the state follows it.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 15 {
		return s, fmt.Errorf("/proc/%d/stat is cut off", pid)
	}
	if s.parent, err = strconv.Atoi(string(fields[1])); err != nil {
		return s, err
	}
	for i, f := range fields[11:15] { // utime stime cutime cstime
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return s, err
		}
		if s.cpu += time.Duration(n) * tick; i < 2 {
			s.own = s.cpu
		}
	}
	return s, nil
}

// residentOf reads resident bytes out of /proc/PID/status.
func residentOf(pid int) (rss, anon int64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // a process that has ended has none
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "VmRSS:":
			rss = n << 10
		case "RssAnon:":
			anon = n << 10
		}
	}
	return rss, anon
}

// allProcesses are those of this machine.
func allProcesses() (map[int]stat, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	all := map[int]stat{}
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if s, err := readStat(pid); err == nil { // else it has just ended
			all[pid] = s
		}
	}
	return all, nil
}

// treeOf returns what a process and all its descendants have used.
func treeOf(root int) (u usage, err error) {
	all, err := allProcesses()
	if err != nil {
		return u, err
	}
	if _, ok := all[root]; !ok {
		return u, fmt.Errorf("process %d has ended", root)
	}
	for pid := range all {
		if descends(all, pid, root) {
			rss, anon := residentOf(pid)
			u.cpu += all[pid].cpu
			u.rss += rss
			u.anon += anon
		}
	}
	return u, nil
}

func descends(all map[int]stat, pid, root int) bool {
	for ; pid > 1; pid = all[pid].parent {
		if pid == root {
			return true
		}
	}
	return false
}

func mib(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }

func ms(d time.Duration) string { return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond)) }
