package observe

import (
	"math"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Past is what a target used in the minutes before a moment, oldest first. The limits of its
// points are what the bases say, which were the same all the time as far as the newest look
// can tell.
type Past struct {
	Points      []gopprof.Point
	CPUBasis    gopprof.Basis
	MemoryBasis gopprof.Basis
}

// Past returns what is remembered of a target over (start, end] of the wall clock, with the
// reading in progress at each end. It answers for a target that has just gone, too, and
// says nothing of another container that took the target's name.
func (o *Observer) Past(t gopprof.Target, start, end time.Time) Past {
	o.mu.RLock()
	defer o.mu.RUnlock()
	h, ok := o.histories[t.Key()]
	if !ok || !h.isOf(t) {
		return Past{}
	}
	return Past{
		Points:   h.points(h.between(h.clock(start), h.clock(end))),
		CPUBasis: h.last.CPUBasis, MemoryBasis: h.last.MemoryBasis,
	}
}

// OverOf is Over for this very container: of another one that took the target's name it tells
// nothing.
func (o *Observer) OverOf(t gopprof.Target, start, end time.Time) (gopprof.Window, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	h, ok := o.histories[t.Key()]
	if !ok || !h.isOf(t) {
		return gopprof.Window{}, false
	}
	return h.overWall(start, end)
}

// isOf tells whether the readings are those of this very container. Where the container has
// no ID, the instance of its cgroup tells, if both are known.
func (h *history) isOf(t gopprof.Target) bool {
	if h.target.ContainerID != t.ContainerID {
		return false
	}
	return t.Cgroup.Instance == 0 || h.last.Instance == 0 || t.Cgroup.Instance == h.last.Instance
}

// between returns the readings that overlap (start, end]. They are the history's own.
func (h *history) between(start, end time.Duration) []reading {
	first := 0
	for first < len(h.readings) && h.readings[first].end <= start {
		first++
	}
	last := first
	for last < len(h.readings) && h.readings[last].start < end {
		last++
	}
	return h.readings[first:last]
}

// points tells readings, the newest as they are. Where they are more than
// gopprof.MaxHistory, which is so at intervals of two seconds and less, neighbours among the
// older ones are made one.
func (h *history) points(readings []reading) []gopprof.Point {
	if len(readings) <= gopprof.MaxHistory {
		return h.merged(readings, 1)
	}
	const exact = gopprof.MaxHistory / 2
	older := readings[:len(readings)-exact]
	const parts = gopprof.MaxHistory - exact - 1 // one more is begun, since the stretches are the clock's
	width := (older[len(older)-1].end-older[0].start)/parts + 1
	return append(h.merged(older, width), h.merged(readings[len(older):], 1)...)
}

// merged makes a point of the readings that end in the same stretch of the clock of that
// width; of each reading, when the width is less than one is long.
func (h *history) merged(readings []reading, width time.Duration) []gopprof.Point {
	points := make([]gopprof.Point, 0, len(readings))
	for len(readings) > 0 {
		n, end := 1, readings[0].end.Truncate(width)
		for n < len(readings) && readings[n].end.Truncate(width) == end {
			n++
		}
		points = append(points, pointOf(h.over(readings[:n], readings[0].start, readings[n-1].end)))
		readings = readings[n:]
	}
	return points
}

// pointOf keeps of a window what a picture shows, no finer than it can show it: this is
// sent with every capture.
func pointOf(w gopprof.Window) gopprof.Point {
	return gopprof.Point{
		Start: w.Start.UTC().Truncate(time.Millisecond), End: w.End.UTC().Truncate(time.Millisecond),
		HasCPU: w.HasCPU, CPUCores: fine(w.CPU.Mean), CPULimitCores: fine(w.CPU.Limit), ThrottledRatio: fine(w.ThrottledRatio),
		HasMemory: w.HasMemory, MemoryBytes: math.Round(w.Memory.Mean), MemoryLimitBytes: math.Round(w.Memory.Limit),
		AnonymousBytes: math.Round(w.AnonymousBytes),
	}
}

// fine rounds to a tenth of a thousandth.
func fine(v float64) float64 { return math.Round(v*1e4) / 1e4 }
