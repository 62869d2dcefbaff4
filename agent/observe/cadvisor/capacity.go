package cadvisor

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// instead returns what a target without a limit is compared with, as configured; zero is
// nothing.
func (r *Reader) instead(t gopprof.Target) (limits, gopprof.Basis) {
	switch r.cfg.WithoutLimit {
	case withoutLimitNode:
		return r.node, gopprof.BasisNode
	case withoutLimitRequest:
		return limits{
			cpuCores:    r.cfg.RequestFactor * t.CPURequestCores,
			memoryBytes: uint64(r.cfg.RequestFactor * t.MemoryRequestBytes),
		}, gopprof.BasisRequest
	}
	return limits{}, gopprof.BasisLimit
}

// compare puts something else where a sample has no limit.
func compare(s *observe.Sample, instead limits, basis gopprof.Basis) {
	if s.CPULimitCores == 0 && instead.cpuCores > 0 {
		s.CPULimitCores, s.CPUBasis = instead.cpuCores, basis
	}
	if s.MemoryLimitBytes == 0 && instead.memoryBytes > 0 {
		s.MemoryLimitBytes, s.MemoryBasis = instead.memoryBytes, basis
	}
}

// capacity reads the node's cores and memory. It counts the processors that the kernel
// lists, not those that this process may run on.
func capacity(procRoot string) (limits, error) {
	const most = 4 << 20
	stat, err := readSome(filepath.Join(procRoot, "stat"), most)
	if err != nil {
		return limits{}, err
	}
	memory, err := readSome(filepath.Join(procRoot, "meminfo"), most)
	if err != nil {
		return limits{}, err
	}
	l := limits{cpuCores: float64(cores(stat)), memoryBytes: memTotal(memory)}
	if l.cpuCores == 0 || l.memoryBytes == 0 {
		return limits{}, fmt.Errorf("no processors in stat, or no MemTotal in meminfo, below %q", procRoot)
	}
	return l, nil
}

// cores counts the lines "cpuN …" of /proc/stat.
func cores(stat []byte) (n int) {
	for lines := bufio.NewScanner(bytes.NewReader(stat)); lines.Scan(); {
		name, _, _ := strings.Cut(lines.Text(), " ")
		if _, err := strconv.Atoi(strings.TrimPrefix(name, "cpu")); err == nil && strings.HasPrefix(name, "cpu") {
			n++
		}
	}
	return n
}

// memTotal reads the line "MemTotal: N kB" of /proc/meminfo.
func memTotal(meminfo []byte) uint64 {
	for lines := bufio.NewScanner(bytes.NewReader(meminfo)); lines.Scan(); {
		value, ok := strings.CutPrefix(lines.Text(), "MemTotal:")
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
		if err != nil || n > math.MaxUint64>>10 {
			return 0
		}
		return n << 10
	}
	return 0
}
