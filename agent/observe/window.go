package observe

import (
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// window sums up what is remembered of (start, end].
func (h *history) window(start, end time.Duration) gopprof.Window {
	return h.over(h.readings, start, end)
}

// overWall is window for an interval of the wall clock, and false when the readings cover too
// little of it.
func (h *history) overWall(start, end time.Time) (gopprof.Window, bool) {
	if !end.After(start) {
		return gopprof.Window{}, false
	}
	w := h.window(h.clock(start), h.clock(end))
	return w, w.CoveredRatio >= gopprof.MinCovered
}

// over sums up those of the readings that overlap (start, end], each weighed by the part of
// it that lies inside.
func (h *history) over(readings []reading, start, end time.Duration) gopprof.Window {
	var cpu, memory mean
	w := gopprof.Window{Witness: gopprof.WitnessCadvisor, Start: h.wall(start), End: h.wall(end)}
	covered := time.Duration(0)
	for _, r := range readings {
		part := min(r.end, end) - max(r.start, start)
		if part <= 0 {
			continue
		}
		covered += part
		w.Readings++
		if r.hasCPU {
			cpu.add(r.cpuUse(), r.throttled, part)
		}
		if r.hasMemory {
			memory.add(r.memoryUse(), r.anonymous, part)
		}
	}
	w.CPU, w.ThrottledRatio, w.HasCPU = cpu.result()
	w.Memory, w.AnonymousBytes, w.HasMemory = memory.result()
	w.CPU.Basis, w.Memory.Basis = h.last.CPUBasis, h.last.MemoryBasis
	w.CoveredRatio = covered.Seconds() / (end - start).Seconds()
	return w
}

// mean is the mean of one resource's use, and of one more value beside it, weighed by
// time.
type mean struct {
	use    gopprof.Use // sums, but for the limit
	beside float64     // sum
	weight float64     // seconds
}

func (m *mean) add(u gopprof.Use, beside float64, d time.Duration) {
	weight := d.Seconds()
	m.use.Mean += u.Mean * weight
	m.use.Ratio += u.Ratio * weight
	m.use.Limit = u.Limit
	m.beside += beside * weight
	m.weight += weight
}

func (m *mean) result() (u gopprof.Use, beside float64, has bool) {
	if m.weight == 0 {
		return gopprof.Use{}, 0, false
	}
	u = gopprof.Use{Mean: m.use.Mean / m.weight, Limit: m.use.Limit, Ratio: m.use.Ratio / m.weight}
	if !u.Limited() {
		u.Ratio = 0
	}
	return u, m.beside / m.weight, true
}
