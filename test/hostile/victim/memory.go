package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gopprof/gopprof/test/hostile/victim/job"
)

// peak returns the most resident memory in bytes that a process had since it was forgotten:
// VmHWM of proc(5). 0 is a process that has ended.
func peak(pid int) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kib, _ := strconv.ParseInt(strings.Fields(string(rest))[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// forget makes the peak what the process has now.
func forget(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// measure returns a function that ends the measuring and says what was used since.
func measure() (end func() job.Memory, err error) {
	debug.FreeOSMemory()
	m, self := job.Memory{}, os.Getpid()
	for _, pid := range append(below(self), self) {
		if err := forget(pid); err != nil {
			return nil, fmt.Errorf("measuring memory: %w", err)
		}
	}
	m.Before = peak(self)
	look(&m, self)
	m.WorkerBefore, m.SumBefore = m.WorkerPeak, m.SumPeak
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond) // what is resident now has no mark as a peak has
		defer tick.Stop()
		for {
			look(&m, self)
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	})
	return func() job.Memory {
		close(stop)
		watching.Wait()
		look(&m, self)
		m.Peak = peak(self)
		return m
	}, nil
}

// look notes what this process and those below it have used, and what they have together.
func look(m *job.Memory, self int) {
	m.SumPeak = max(m.SumPeak, resident(self)+lookBelow(m, self))
}

// lookBelow notes what the processes below one have used, and returns what they have.
func lookBelow(m *job.Memory, pid int) (sum int64) {
	for _, id := range below(pid) {
		if bytes.Equal(line(id), line(pid)) {
			continue // it is about to become another program, and has this one's memory until then
		}
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", id))
		if string(name) == "dot\n" {
			m.Dot = max(m.Dot, peak(id))
		} else {
			m.WorkerPeak = max(m.WorkerPeak, peak(id))
		}
		sum += resident(id) + lookBelow(m, id)
	}
	return sum
}

// line is a process's command line.
func line(pid int) []byte {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return data
}

// resident returns the resident memory in bytes of a process; 0 of one that has ended.
func resident(pid int) int64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// below lists the processes that one has started.
func below(pid int) (ids []int) {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, task := range tasks {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		for _, child := range strings.Fields(string(children)) {
			id, _ := strconv.Atoi(child)
			ids = append(ids, id)
		}
	}
	return ids
}
