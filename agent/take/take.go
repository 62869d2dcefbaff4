// Package take takes the profiles of one target over net/http/pprof.
//
// What enters is an Order: a target, the kinds of profiles, a deadline. What leaves is a
// Capture with the bytes as the target sent them, validated, and a named Failure for each
// kind that could not be had.
//
// It must never make things worse: one capture at a time per target, a bounded number per
// node, bounded seconds, bytes and time, no forced garbage collection, never the pages that
// leak arguments (cmdline, debug=2), and a cancelled capture gives the profiler back at
// once. It must never be led elsewhere: it dials the verified endpoint's own host and port,
// no proxy, no redirect.
package take

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Order asks for one capture.
type Order = gopprof.Order

// Error is why a capture has no profile at all, or why an order was refused.
type Error = gopprof.Error

// Meter reads what a target has used.
type Meter interface {
	// CPUSeconds returns the CPU time that the target's cgroup has used since it was made.
	CPUSeconds(ctx context.Context, t gopprof.Target) (float64, error)
}

// Deps is what a Taker needs of others.
type Deps struct {
	// Verify returns the target as it is now, or why it may not be dialled: gone, when what
	// runs there is not what the order or, from the second connection on, what Verify itself
	// named before. It is called before each connection, and once more when there is one, before
	// anything is sent. Nil takes every target as the order names it.
	Verify func(gopprof.Target) (gopprof.Target, gopprof.Reason)
	// Meter may be nil: then captures do not know how much their profile explains.
	Meter Meter
	// Validate tells whether bytes are a profile of the kind, within bounds. Nil is
	// profile.Validate within the bounds of Config.
	Validate func(kind gopprof.Kind, data []byte) error
	// Allow is asked before each connection, with the IP address and port that a name has
	// led to; its error refuses the connection. Nil allows what may be a target's.
	Allow func(address string) error
	// Now is the wall clock; nil is time.Now.
	Now func() time.Time
	// Jitter spreads a wait; nil takes 0.5 to 1.5 times its length.
	Jitter func(time.Duration) time.Duration
	// Version is the agent's, written into each capture and the User-Agent header.
	Version string
}

// Taker takes captures. Its methods may be called from any goroutine.
type Taker struct {
	cfg     Config
	deps    Deps
	log     *zap.Logger
	metrics *metrics
	slots   chan struct{} // the node's gate: holds one element per capture that profiles
	reading chan struct{} // holds an element while a profile is validated: two large ones are never unpacked at once

	mu     sync.Mutex
	jobs   map[string]*job // by target key: the target's gate. guarded by mu
	paused bool            // guarded by mu
	aside  int64           // bytes taken by captures that gave the node's gate back for a while. guarded by mu
	hands  hands           // guarded by mu
}

// New returns a Taker.
func New(cfg Config, deps Deps, log *zap.Logger, reg prometheus.Registerer) *Taker {
	if deps.Verify == nil {
		deps.Verify = func(t gopprof.Target) (gopprof.Target, gopprof.Reason) { return t, "" }
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Validate == nil {
		deps.Validate = func(k gopprof.Kind, data []byte) error { return profile.Validate(k, data, cfg.limits()) }
	}
	if deps.Allow == nil {
		deps.Allow = func(string) error { return nil }
	}
	if deps.Jitter == nil {
		deps.Jitter = jitter
	}
	return &Taker{
		cfg: cfg, deps: deps, log: log, metrics: newMetrics(reg),
		slots: make(chan struct{}, cfg.MaxAtOnce), reading: make(chan struct{}, 1), jobs: make(map[string]*job),
		hands: hands{of: make(map[string]int64), less: make(chan struct{})},
	}
}

func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d+1) }

// Take takes the capture that the order asks for and returns when it is done, cancelled or
// refused. A capture has at least one profile; what else was asked for and could not be had
// is in its Failures. Without any profile the error is an *Error. Who has a capture in memory
// no more says so with HandedOn: too much of them holds the next ones up.
func (t *Taker) Take(ctx context.Context, o Order) (gopprof.Capture, error) {
	j, err := t.begin(ctx, o)
	if err != nil {
		return gopprof.Capture{}, err
	}
	return j.run()
}

// Start is Take in the background: it returns at once, either why the order is refused or
// a function that waits for the capture's end.
func (t *Taker) Start(ctx context.Context, o Order) (wait func() (gopprof.Capture, error), err error) {
	j, err := t.begin(ctx, o)
	if err != nil {
		return nil, err
	}
	type result struct {
		capture gopprof.Capture
		err     error
	}
	done := make(chan result, 1)
	go func() {
		c, err := j.run()
		done <- result{c, err}
	}()
	return sync.OnceValues(func() (gopprof.Capture, error) {
		r := <-done
		return r.capture, r.err
	}), nil
}

// Busy tells whether a capture of the target with this key is running or waiting.
func (t *Taker) Busy(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.jobs[key] != nil
}

// Cancel ends a capture: its connection is closed, what it took so far stays. It returns
// false when no such capture is running.
func (t *Taker) Cancel(capture string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, j := range t.jobs {
		if j.order.Capture == capture {
			j.cancel()
			return true
		}
	}
	return false
}

// Pause ends every capture, as Cancel does, and refuses every order until it is called
// again to let them in.
func (t *Taker) Pause(paused bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.paused = paused
	for _, j := range t.jobs {
		if paused {
			j.cancel()
		}
	}
}

// Paused tells whether every order is refused.
func (t *Taker) Paused() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.paused
}

// Left tells how long a capture is expected to take from now; 0 while it waits for its
// turn. It is false when no such capture is running.
func (t *Taker) Left(capture string) (left time.Duration, running bool) {
	now := t.deps.Now()
	for _, r := range t.Running() {
		if r.Capture == capture {
			if r.Kind == "" {
				return 0, true
			}
			return max(0, r.Until.Sub(now)), true
		}
	}
	return 0, false
}

// Running is a capture that is not done.
type Running struct {
	Capture string
	Target  gopprof.Target
	Trigger gopprof.TriggerKind
	Since   time.Time
	Until   time.Time    // when it is expected to end; zero while it waits for its turn
	Kind    gopprof.Kind // being taken; empty while it waits for its turn
}

// Running returns the captures that are not done, in no order.
func (t *Taker) Running() []Running {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Running, 0, len(t.jobs))
	for _, j := range t.jobs {
		all = append(all, j.state)
	}
	return all
}
