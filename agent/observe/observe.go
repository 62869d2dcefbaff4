// Package observe remembers what each target of this node used. Targets enter, and what a
// Reader says of their cgroups; readings and windows leave, as the local witness saw them.
//
// Intervals are measured on a clock that never jumps; the wall clock is only told. A
// vanished cgroup is never a reading of zero, a target that cannot be read is skipped for
// one turn and never holds up the others, and a target that started anew is never
// compared with what it was before.
package observe

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// linger is how long a target that is not observed any more is remembered: the capture
// that it gave is compared with the series after it has gone.
const linger = 2 * time.Minute

// Observer keeps the history of this node's targets.
type Observer struct {
	cfg     Config
	reader  Reader
	log     *zap.Logger
	metrics *metrics

	mu        sync.RWMutex // held for memory only, never while a cgroup is read
	histories map[string]*history
}

// New returns an Observer that has seen nothing yet.
func New(cfg Config, reader Reader, log *zap.Logger, reg prometheus.Registerer) *Observer {
	return &Observer{
		cfg: cfg, reader: reader, log: log, metrics: newMetrics(reg),
		histories: make(map[string]*history),
	}
}

// Observed is one target that was due and was looked at.
type Observed struct {
	Target gopprof.Target // with the instance of its cgroup, where that could be read
	Err    error          // ErrGone, or why the cgroup could not be read
	New    bool           // the history begins here: first seen, or started anew
}

// Observe reads those of the targets that are due, one after the other, and forgets those
// that are not among the targets any more. Those that are profiled by hand only it leaves
// alone. It returns what it read, in the order of targets; when ctx ends it returns early.
// It must not be called concurrently with itself.
func (o *Observer) Observe(ctx context.Context, targets []gopprof.Target, now time.Time) []Observed {
	due := o.plan(targets, now)
	observed := make([]Observed, 0, len(due))
	for _, t := range due {
		if ctx.Err() != nil {
			break
		}
		s, err := o.read(ctx, t, now)
		observed = append(observed, o.note(t, s, err, now))
	}
	o.count()
	return observed
}

// read reads one target. A panic, which is a defect of ours or of the reader's that these
// very files brought to light, costs this target this turn.
func (o *Observer) read(ctx context.Context, t gopprof.Target, now time.Time) (s Sample, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			o.log.Error("reading panicked", zap.String("namespace", t.Namespace), zap.String("pod", t.Pod), zap.String("container", t.Container),
				zap.String("reason", string(gopprof.ReasonInternal)), zap.Any("error", cause), zap.ByteString("stack", debug.Stack()))
			err = fmt.Errorf("%w: %v", ErrPanicked, cause)
		}
	}()
	return o.reader.Read(ctx, t, now)
}

// Next returns when Observe should be called again. It is never further away than
// WarmInterval, so that a new target does not wait for the quiet ones.
func (o *Observer) Next(now time.Time) time.Time {
	o.mu.RLock()
	defer o.mu.RUnlock()
	next := now.Add(o.cfg.WarmInterval)
	for _, h := range o.histories {
		if h.dropped {
			continue
		}
		if h.isDue(now) {
			return now
		}
		if h.due.Before(next) {
			next = h.due
		}
	}
	return next
}

// Windows returns the target's n last disjoint windows of that length, the oldest first,
// the last one ending at the newest look. There are none when nothing was read yet, or
// when the cgroup is gone; a window that was not read throughout says so by its
// CoveredRatio.
func (o *Observer) Windows(key string, length time.Duration, n int) []gopprof.Window {
	o.mu.RLock()
	defer o.mu.RUnlock()
	h, ok := o.histories[key]
	if !ok || h.gone || len(h.readings) == 0 || length <= 0 {
		return nil
	}
	windows := make([]gopprof.Window, 0, n)
	for i := n; i > 0; i-- {
		start := h.last.Clock - time.Duration(i)*length
		windows = append(windows, h.window(start, start+length))
	}
	return windows
}

// Over returns the mean of the readings over an interval of the wall clock, and false when
// they cover less than gopprof.MinCovered of it. It answers for a target that has gone,
// too.
func (o *Observer) Over(key string, start, end time.Time) (gopprof.Window, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	h, ok := o.histories[key]
	if !ok {
		return gopprof.Window{}, false
	}
	return h.overWall(start, end)
}

// Latest returns the reading that ended at the newest look, and false when that look gave
// none: the first one, the first after a gap, or one that found no cgroup.
func (o *Observer) Latest(key string) (gopprof.Reading, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	h, ok := o.histories[key]
	if !ok {
		return gopprof.Reading{}, false
	}
	r, ok := h.newest()
	if !ok {
		return gopprof.Reading{}, false
	}
	return h.told(r), true
}

// Readings returns the readings that ended after a moment, oldest first.
func (o *Observer) Readings(key string, since time.Time) []gopprof.Reading {
	o.mu.RLock()
	defer o.mu.RUnlock()
	h, ok := o.histories[key]
	if !ok {
		return nil
	}
	var told []gopprof.Reading
	for _, r := range h.readings {
		if reading := h.told(r); reading.End.After(since) {
			told = append(told, reading)
		}
	}
	return told
}

// Instance reads which of the cgroups that had its name one after the other is the
// target's now.
func (o *Observer) Instance(ctx context.Context, t gopprof.Target) (uint64, error) {
	s, err := o.read(ctx, t, time.Now())
	if err != nil {
		return 0, fmt.Errorf("looking for the cgroup of %q: %w", t.Key(), err)
	}
	return s.Instance, nil
}

// CPUSeconds reads the CPU time that the target has used since its cgroup was made. Of one that
// is not observed, the reader keeps nothing.
func (o *Observer) CPUSeconds(ctx context.Context, t gopprof.Target) (float64, error) {
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.histories[t.Key()] == nil {
			o.reader.Forget(t.Key())
		}
	}()
	s, err := o.read(ctx, t, time.Now())
	if err != nil {
		return 0, fmt.Errorf("reading CPU time of %q: %w", t.Key(), err)
	}
	if !s.HasCPU {
		return 0, fmt.Errorf("reading CPU time of %q: %w", t.Key(), errNoCPU)
	}
	return s.CPU.Seconds(), nil
}

var errNoCPU = errors.New("its cgroup does not account for CPU time")
