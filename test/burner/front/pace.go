package front

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// How the pace stands.
const (
	resting = iota
	going
	over
)

// pace lets others work until the process has used the CPU time that it shall. Looking at
// it costs one load while work is due, so that it shows in no profile.
type pace struct {
	state atomic.Int32
	next  atomic.Pointer[chan struct{}] // closed when the state is no more resting
}

func newPace() *pace {
	p := &pace{}
	gate := make(chan struct{})
	p.next.Store(&gate)
	return p
}

// turn waits until work is due. It is false at the end.
func (p *pace) turn() bool {
	for {
		switch p.state.Load() {
		case going:
			return true
		case over:
			return false
		}
		gate := *p.next.Load()
		if p.state.Load() == resting {
			<-gate
		}
	}
}

// allows tells whether work is due; without a pace it always is.
func (p *pace) allows() bool { return p == nil || p.state.Load() == going }

// run keeps the process at that many cores until ctx ends. It goes by CPU time, so that as
// much is used on a busy machine; only what the process falls behind by more than a second
// stays lost, as under a quota.
func (p *pace) run(ctx context.Context, cores float64) {
	tick := time.NewTicker(step / 2)
	defer tick.Stop()
	defer p.set(over)
	began, before := time.Now(), processCPU()
	for {
		due := time.Duration(cores*float64(time.Since(began)+step/2)) - (processCPU() - before)
		if due > time.Second {
			began, before = time.Now(), processCPU()
		}
		if due > 0 {
			p.set(going)
		} else {
			p.set(resting)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// set is called by run alone.
func (p *pace) set(state int32) {
	before := p.state.Load()
	if before == state {
		return
	}
	if state == resting {
		gate := make(chan struct{})
		p.next.Store(&gate)
	}
	p.state.Store(state)
	if before == resting {
		close(*p.next.Load())
	}
}

// processCPU is the CPU time that this process has used.
func processCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic("reading the process's CPU clock: " + err.Error()) // the kernel always has it
	}
	return time.Duration(t.Nano())
}
