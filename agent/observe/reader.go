package observe

import (
	"context"
	"errors"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// ErrGone says that a target's cgroup, or the process it was named by, does not exist any
// more. It is not a reading of zero.
var ErrGone = errors.New("cgroup is gone")

// ErrPanicked says that reading a target ended in a panic of the code that read it.
var ErrPanicked = errors.New("reading panicked")

// Reader reads one target's counters. It is called for one target at a time by Observe,
// and at any time by CPUSeconds.
type Reader interface {
	// Read returns what the target's cgroup says now; now is the wall clock. The error is
	// ErrGone when the cgroup has vanished, also when it vanished while it was read.
	Read(ctx context.Context, t gopprof.Target, now time.Time) (Sample, error)
	// Forget releases what the reader keeps of a target, by its Key.
	Forget(key string)
}

// Sample is one look at a target: counters that only grow, levels, and the limits that
// held at that moment.
type Sample struct {
	At    time.Time     // wall clock at which the counters were read
	Clock time.Duration // the same moment on a clock that never jumps; one origin for all samples of a Reader
	// Instance differs between two cgroups that had the same name one after the other.
	Instance uint64

	HasCPU           bool
	CPU              time.Duration // cumulative
	Periods          uint64        // CFS periods, cumulative
	ThrottledPeriods uint64        // those of them in which the cgroup was stopped
	CPULimitCores    float64       // the tightest quota over period; 0 is none
	CPUBasis         gopprof.Basis // what CPULimitCores is

	HasMemory        bool
	WorkingSetBytes  uint64
	AnonymousBytes   uint64
	MemoryLimitBytes uint64        // the tightest; 0 is none
	MemoryBasis      gopprof.Basis // what MemoryLimitBytes is
}

// follows tells whether the counters of s may be compared with those of the older sample:
// same cgroup, nothing went back.
func (s Sample) follows(old Sample) bool {
	return s.Instance == old.Instance && s.Clock >= old.Clock &&
		s.HasCPU == old.HasCPU && s.CPU >= old.CPU &&
		s.Periods >= old.Periods && s.ThrottledPeriods >= old.ThrottledPeriods
}
