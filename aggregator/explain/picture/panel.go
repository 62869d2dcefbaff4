package picture

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// panel is one resource as both witnesses saw it.
type panel struct {
	resource gopprof.Resource
	// ratios tells that values are parts of the limit (of the periods, for throttling); else
	// they are cores or bytes.
	ratios    bool
	local     []stretch // oldest first, none over another
	series    []stretch // likewise
	threshold float64   // ratio; 0: none to draw
	yardstick string    // what ratios are ratios of
}

// stretch is one value that held for some time.
type stretch struct {
	start, end time.Time
	value      float64 // what is drawn
	use        float64 // cores or bytes
	limit      float64 // likewise; 0: none
}

// Beyond these a value is no use of a container but a mistake, and is not drawn.
const (
	mostCores = 1e5
	mostBytes = 1 << 56
	mostRatio = 1e6
)

// panelOf returns what was seen of a resource: against the limit wherever a point knows
// one, in cores or bytes where none does. False when nothing was seen.
func panelOf(c gopprof.Capture, f frame, r gopprof.Resource) (panel, bool) {
	p := panel{resource: r, ratios: true, yardstick: "its limit"}
	var standIn float64 // for a limit
	if e := c.Trigger.Evidence; e != nil && e.Resource == r {
		p.yardstick, standIn = e.Yardstick(), standInOf(*e)
		if e.Threshold > 0 && e.Threshold <= mostRatio {
			p.threshold = e.Threshold
		}
	}
	against := func(x gopprof.Point) (stretch, bool) { return ratioOf(x, r, standIn) }
	p.local, p.series = stretches(c.History.Local, f, against), stretches(c.History.Series, f, against)
	if p.empty() && r != gopprof.ResourceThrottled {
		p.ratios, p.threshold = false, 0
		absolute := func(x gopprof.Point) (stretch, bool) { return useOf(x, r) }
		p.local, p.series = stretches(c.History.Local, f, absolute), stretches(c.History.Series, f, absolute)
	}
	return p, !p.empty()
}

func (p panel) empty() bool { return len(p.local)+len(p.series) == 0 }

// standInOf returns what the rule compared with where there was no limit; else 0.
func standInOf(e gopprof.Evidence) float64 {
	use := e.Newest().CPU
	if e.Resource == gopprof.ResourceMemory {
		use = e.Newest().Memory
	}
	if use.Basis == gopprof.BasisLimit || !drawable(use.Limit, mostBytes) {
		return 0
	}
	return use.Limit
}

// useOf returns the use of a point, false when it cannot be drawn.
func useOf(x gopprof.Point, r gopprof.Resource) (stretch, bool) {
	s := stretch{start: x.Start, end: x.End}
	known, most := x.HasCPU, mostCores
	s.use, s.limit = x.CPUCores, x.CPULimitCores
	if r == gopprof.ResourceMemory {
		known, most = x.HasMemory, mostBytes
		s.use, s.limit = x.MemoryBytes, x.MemoryLimitBytes
	}
	if !drawable(s.limit, most) {
		s.limit = 0
	}
	s.value = s.use
	return s, known && drawable(s.use, most)
}

// ratioOf returns the use of a point against its limit, or against what stands in for one.
func ratioOf(x gopprof.Point, r gopprof.Resource, standIn float64) (stretch, bool) {
	s, ok := useOf(x, r)
	if s.limit == 0 {
		s.limit = standIn
	}
	s.value = s.use / s.limit
	if r == gopprof.ResourceThrottled {
		s.value = x.ThrottledRatio
	}
	return s, ok && s.limit > 0 && drawable(s.value, mostRatio)
}

func drawable(v, most float64) bool { return v >= 0 && v <= most } // NaN is neither

// stretches returns what can be drawn of a witness's points: those inside the frame, in
// their order in time, where two overlap the later one's rest, and the newest of too many.
func stretches(points []gopprof.Point, f frame, of func(gopprof.Point) (stretch, bool)) []stretch {
	var all []stretch
	for _, x := range points {
		s, ok := of(x)
		from, to, inside := f.clip(s.start, s.end)
		if s.start, s.end = from, to; ok && inside {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b stretch) int {
		return cmp.Or(a.start.Compare(b.start), a.end.Compare(b.end), cmp.Compare(a.value, b.value))
	})
	var kept []stretch
	for _, s := range all {
		if n := len(kept); n > 0 && s.start.Before(kept[n-1].end) {
			s.start = kept[n-1].end
		}
		if s.start.Before(s.end) {
			kept = append(kept, s)
		}
	}
	return kept[max(0, len(kept)-gopprof.MaxHistory):]
}

// highest returns the stretch with the highest value, false when there is none.
func highest(all []stretch) (stretch, bool) {
	if len(all) == 0 {
		return stretch{}, false
	}
	return slices.MaxFunc(all, func(a, b stretch) int { return cmp.Compare(a.value, b.value) }), true
}

// most returns the highest value of both witnesses.
func (p panel) most() float64 {
	var m float64
	for _, all := range [][]stretch{p.local, p.series} {
		if s, ok := highest(all); ok {
			m = math.Max(m, s.value)
		}
	}
	return m
}

// limits returns the limits as they followed each other, each with the moment from which it
// was seen: as the local witness saw them, or else the series.
func (p panel) limits() []stretch {
	seen := p.local
	if len(seen) == 0 {
		seen = p.series
	}
	return slices.CompactFunc(slices.Clone(seen), func(a, b stretch) bool { return a.limit == b.limit })
}
