package observe

import (
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// reading is what a target used in (start, end] of the reader's clock. The wall clock is
// added when somebody asks (see history.wall), so that a jump of it moves no reading
// against another.
type reading struct {
	start, end          time.Duration
	cpu, cpuLimit       float64 // cores
	memory, memoryLimit float64 // bytes
	anonymous           float64 // bytes
	throttled           float64 // 0–1
	hasCPU, hasMemory   bool
}

// newReading is what happened between two samples of which s follows old.
func newReading(old, s Sample) reading {
	r := reading{
		start: old.Clock, end: s.Clock,
		hasCPU: s.HasCPU, hasMemory: s.HasMemory,
		cpuLimit: s.CPULimitCores,
		memory:   float64(s.WorkingSetBytes), memoryLimit: float64(s.MemoryLimitBytes),
		anonymous: float64(s.AnonymousBytes),
	}
	r.cpu = (s.CPU - old.CPU).Seconds() / (s.Clock - old.Clock).Seconds()
	if periods := s.Periods - old.Periods; periods > 0 {
		r.throttled = min(1, float64(s.ThrottledPeriods-old.ThrottledPeriods)/float64(periods))
	}
	return r
}

func (r reading) cpuUse() gopprof.Use    { return use(r.cpu, r.cpuLimit) }
func (r reading) memoryUse() gopprof.Use { return use(r.memory, r.memoryLimit) }

// use leaves the ratio 0 where there is no limit: that is what the share of an endless
// limit is.
func use(mean, limit float64) gopprof.Use {
	u := gopprof.Use{Mean: mean, Limit: limit}
	if limit > 0 {
		u.Ratio = mean / limit
	}
	return u
}

// history is what is remembered of one target. Its readings are in order and do not
// overlap; where a reading failed for too long there is a gap.
type history struct {
	target   gopprof.Target
	last     Sample // the newest look, of which At and Clock tie both clocks together
	readings []reading
	gone     bool   // the newest look found no cgroup; the readings stay until Forget
	trouble  string // what the newest look failed with; empty when it did not

	due       time.Time     // when the next look is due
	pace      time.Duration // the interval that due was made of
	warmUntil time.Duration // on the reader's clock
	seen      time.Time     // when the target was last among those to observe
	dropped   bool          // it was not, at the newest turn
}

// spans bounds the length of one reading. One that is shorter says more about when the
// kernel counts than about what was used; over one that is longer, the mean says nothing
// about when.
type spans struct{ least, most time.Duration }

// add notes a sample and tells whether the history begins anew with it.
func (h *history) add(s Sample, length spans, keep time.Duration) (anew bool) {
	old := h.last
	h.gone, h.trouble = false, ""
	if old.At.IsZero() || !s.follows(old) {
		h.last, h.readings = s, h.readings[:0]
		return true
	}
	switch d := s.Clock - old.Clock; {
	case d < length.least:
		return false
	case d <= length.most:
		h.readings = append(h.readings, newReading(old, s))
	}
	h.last = s
	h.forget(s.Clock - keep)
	return false
}

// forget drops the readings that ended before a moment, and the oldest ones above the
// bound.
func (h *history) forget(before time.Duration) {
	drop := max(0, len(h.readings)-maxReadings)
	for drop < len(h.readings) && h.readings[drop].end <= before {
		drop++
	}
	if drop > 0 {
		h.readings = append(h.readings[:0], h.readings[drop:]...)
	}
}

// newest returns the reading that ended at the newest look; there is none right after a
// gap.
func (h *history) newest() (reading, bool) {
	if len(h.readings) == 0 || h.gone {
		return reading{}, false
	}
	r := h.readings[len(h.readings)-1]
	return r, r.end == h.last.Clock
}

// wall translates a moment of the reader's clock by what both clocks said at the newest
// look: after the wall clock was set, the whole history is told by its new time.
func (h *history) wall(clock time.Duration) time.Time {
	return h.last.At.Round(0).Add(clock - h.last.Clock)
}

func (h *history) clock(wall time.Time) time.Duration {
	return h.last.Clock + wall.Sub(h.last.At.Round(0))
}

func (h *history) told(r reading) gopprof.Reading {
	return gopprof.Reading{
		Start: h.wall(r.start), End: h.wall(r.end),
		CPU: r.cpuUse(), Memory: r.memoryUse(),
		AnonymousBytes: r.anonymous, ThrottledRatio: r.throttled,
	}
}
