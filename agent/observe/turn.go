package observe

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// plan notes which targets there are and returns those that are due.
func (o *Observer) plan(targets []gopprof.Target, now time.Time) []gopprof.Target {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, h := range o.histories {
		h.dropped = true
	}
	var due []gopprof.Target
	for _, t := range targets {
		if t.ByHand {
			continue
		}
		h := o.historyOf(t)
		h.seen, h.dropped = now, false
		if h.isDue(now) {
			due = append(due, t)
		}
	}
	o.drop(now)
	return due
}

// historyOf returns the target's history, an empty one when the target is new or its
// container was replaced. One whose cgroup was named anew is due at once. The caller holds
// the lock.
func (o *Observer) historyOf(t gopprof.Target) *history {
	key := t.Key()
	h, ok := o.histories[key]
	if !ok || h.target.ContainerID != t.ContainerID {
		h = &history{}
		o.histories[key] = h
	}
	if h.target.Cgroup != t.Cgroup {
		h.due = time.Time{}
	}
	h.target = t
	return h
}

// drop forgets the targets that are not observed any more. The caller holds the lock.
func (o *Observer) drop(now time.Time) {
	for key, h := range o.histories {
		if !h.dropped {
			continue
		}
		o.reader.Forget(key)
		if away := now.Sub(h.seen); away > linger || away < 0 {
			delete(o.histories, key)
		}
	}
}

// isDue holds against a wall clock that was set back: nothing is due later than one
// interval from now.
func (h *history) isDue(now time.Time) bool {
	wait := h.due.Sub(now)
	return wait <= h.pace/20 || wait > h.pace*3/2
}

// note adds what was read to the target's history and sets when it is due again.
func (o *Observer) note(t gopprof.Target, s Sample, err error, now time.Time) Observed {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.metrics.readings.Inc()
	h := o.histories[t.Key()]
	observed := Observed{Target: t, Err: err}
	if err != nil {
		o.fail(h, err)
	} else {
		observed.New = o.succeed(h, s)
		observed.Target.Cgroup.Instance = s.Instance
	}
	h.schedule(now, o.paceOf(h))
	return observed
}

func (o *Observer) succeed(h *history, s Sample) (anew bool) {
	if h.trouble != "" {
		o.log.Info("target read again", fields(h.target)...)
	}
	first := h.last.At.IsZero()
	anew = h.add(s, spans{o.cfg.WarmInterval / 10, o.cfg.QuietInterval * 3 / 2}, o.cfg.Keep)
	if anew && !first {
		o.metrics.restarts.Inc()
		o.log.Info("target started anew", fields(h.target)...)
	}
	if anew || o.isWarm(h) {
		h.warmUntil = s.Clock + o.cfg.WarmFor
	}
	return anew
}

func (o *Observer) fail(h *history, err error) {
	o.metrics.failures.WithLabelValues(string(reasonOf(err))).Inc()
	gone := errors.Is(err, ErrGone)
	known := h.trouble != "" && gone == h.gone
	if h.gone, h.trouble = gone, err.Error(); !known {
		o.log.Warn("target could not be read", append(fields(h.target),
			zap.String("reason", string(reasonOf(err))), zap.Error(err))...)
	}
}

// isWarm judges the newest reading.
func (o *Observer) isWarm(h *history) bool {
	r, ok := h.newest()
	return ok && (r.cpuUse().Ratio >= o.cfg.WarmRatio || r.memoryUse().Ratio >= o.cfg.WarmRatio ||
		(r.cpuLimit > 0 && r.throttled >= o.cfg.WarmThrottledRatio))
}

func (o *Observer) paceOf(h *history) time.Duration {
	if h.last.Clock < h.warmUntil && !h.gone {
		return o.cfg.WarmInterval
	}
	return o.cfg.QuietInterval
}

// schedule keeps to the rhythm of the target's former looks where it can, so that lateness
// of one turn does not add up.
func (h *history) schedule(now time.Time, pace time.Duration) {
	next := h.due.Add(pace)
	if wait := next.Sub(now); wait < pace/2 || wait > pace*3/2 {
		next = now.Add(pace)
	}
	h.due, h.pace = next, pace
}

// count sets the gauges.
func (o *Observer) count() {
	o.mu.RLock()
	defer o.mu.RUnlock()
	warm, quiet := 0, 0
	for _, h := range o.histories {
		switch {
		case h.dropped:
		case h.pace == o.cfg.WarmInterval:
			warm++
		default:
			quiet++
		}
	}
	o.metrics.targets.WithLabelValues("warm").Set(float64(warm))
	o.metrics.targets.WithLabelValues("quiet").Set(float64(quiet))
}

func fields(t gopprof.Target) []zap.Field {
	return []zap.Field{
		zap.String("namespace", t.Namespace), zap.String("pod", t.Pod), zap.String("container", t.Container),
	}
}
