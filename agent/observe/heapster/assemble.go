package heapster

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/heapster"
)

// span is what was asked for: whole intervals of resolution inside [from, to].
type span struct {
	from, to   time.Time
	resolution time.Duration
	now        time.Time // by our clock; zero: nothing of the present is asked for
	future     time.Time // until then points are asked for that there cannot be yet; zero: none
}

// until is the newest stamp that is asked for.
func (s span) until() time.Time {
	if s.future.After(s.to) {
		return s.future
	}
	return s.to
}

// ahead tells whether a stamp lies in the future by more than clocks that are kept, and a
// point that is stamped with its interval's end, are apart.
func (s span) ahead(stamp time.Time) bool {
	return !s.future.IsZero() && stamp.After(s.now.Add(s.resolution))
}

// beside tells whether a stamp was asked for on the way to the future, and is of no use.
func (s span) beside(stamp time.Time) bool { return stamp.After(s.to) && !stamp.After(s.until()) }

// empty tells whether no interval fits.
func (s span) empty() bool { return s.to.Sub(s.from) < s.resolution }

// holds tells whether a point with this stamp was asked for.
func (s span) holds(stamp time.Time) bool { return !stamp.Before(s.from) && !stamp.After(s.to) }

// found is what an answer holds.
type found struct {
	windows   map[gopprof.SeriesKey][]gopprof.Window
	schemas   map[heapster.Schema]bool
	points    int // all of them
	absurd    int // dropped: a value that cannot be true, two that differ, or a stamp of the future
	malformed int // rows dropped
}

// slot is one stamp of one container.
type slot struct {
	value    [heapster.Metrics]float64
	has      [heapster.Metrics]bool
	disputed [heapster.Metrics]bool // there are two values that are far from each other
	absurd   int
}

// slots are a container's, by stamp in milliseconds.
type slots map[int64]*slot

// origins are one container's slots as Heapster and as gopprof's record stage wrote them.
type origins struct {
	genuine, ours slots
	ahead         int // points of the future
}

// apart is how far two values for one slot may be from each other, as a share of the
// larger one, and still be one value, read twice.
const apart = 0.05

// assemble makes windows of the points of an answer.
func assemble(tables []heapster.Table, of span) found {
	f := found{windows: map[gopprof.SeriesKey][]gopprof.Window{}, schemas: map[heapster.Schema]bool{}}
	containers := map[gopprof.SeriesKey]*origins{}
	for _, t := range tables {
		points, malformed := t.Points()
		f.points += len(points)
		f.malformed += malformed
		for _, p := range points {
			f.keep(containers, p, of)
		}
	}
	for key, o := range containers {
		if windows := o.windows(of); len(windows) > 0 {
			f.windows[key] = windows
		}
	}
	return f
}

// keep puts a point in its slot. Two numbers for one slot come from both schemas at once, or
// from series that differ in a tag that is not asked for: two clusters, for one. The first
// stays, unless they say different things.
func (f *found) keep(containers map[gopprof.SeriesKey]*origins, p heapster.Point, of span) {
	o := containers[p.Series]
	if o == nil {
		o = &origins{genuine: slots{}, ours: slots{}}
		containers[p.Series] = o
	}
	if !of.holds(p.At) {
		switch {
		case of.ahead(p.At):
			o.ahead++
			f.absurd++
		case !of.beside(p.At):
			f.absurd++
		}
		return
	}
	f.schemas[p.Schema] = true
	f.absurd += o.slot(p).keep(p)
}

// keep notes the point's value and returns how many values it made absurd.
func (s *slot) keep(p heapster.Point) (absurd int) {
	switch {
	case p.Absurd:
		s.absurd++
		return 1
	case !s.has[p.Metric]:
		s.value[p.Metric], s.has[p.Metric] = p.Value, true
	case !s.disputed[p.Metric] && math.Abs(p.Value-s.value[p.Metric]) > apart*max(p.Value, s.value[p.Metric]):
		s.disputed[p.Metric] = true
		s.absurd++
		return 1
	}
	return 0
}

func (o *origins) slot(p heapster.Point) *slot {
	in := o.genuine
	if p.Ours {
		in = o.ours
	}
	at := p.At.UnixMilli()
	if in[at] == nil {
		in[at] = &slot{}
	}
	return in[at]
}

// windows returns Heapster's own windows if there are any, else those of record: never both,
// since they may overlap. Where there are points of the future, this node's clock and the
// writer's are apart: what is stamped with a minute was used in another one, so that none
// of the windows reports anything.
func (o *origins) windows(of span) []gopprof.Window {
	windows := o.genuine.windows(gopprof.WitnessHeapster, of)
	if len(windows) == 0 {
		windows = o.ours.windows(gopprof.WitnessRecord, of)
	}
	if o.ahead == 0 {
		return windows
	}
	if len(windows) == 0 {
		windows = []gopprof.Window{{Witness: gopprof.WitnessHeapster, Start: of.to.Add(-of.resolution), End: of.to}}
	}
	for i := range windows {
		w := &windows[i]
		w.HasCPU, w.HasMemory, w.AbsurdPoints = false, false, w.AbsurdPoints+o.ahead
	}
	return windows
}

func (in slots) windows(witness gopprof.Witness, of span) []gopprof.Window {
	stamps := slices.Sorted(maps.Keys(in))
	in.carry(stamps, heapster.MetricCPULimit)
	in.carry(stamps, heapster.MetricMemoryLimit)
	var out []gopprof.Window
	for _, at := range stamps {
		end := time.UnixMilli(at).UTC()
		start := end.Add(-of.resolution)
		if start.Before(of.from) {
			continue
		}
		out = append(out, in[at].window(witness, start, end))
	}
	return out
}

// carry fills a limit that is missing with the newest before it, or else the oldest after it.
// One that two points dispute is no better for being carried.
func (in slots) carry(stamps []int64, limit heapster.Metric) {
	known := slices.IndexFunc(stamps, func(at int64) bool { return in[at].has[limit] })
	if known < 0 {
		return
	}
	last := *in[stamps[known]]
	for _, at := range stamps {
		s := in[at]
		if s.has[limit] {
			last = *s
		}
		s.value[limit], s.has[limit], s.disputed[limit] = last.value[limit], true, last.disputed[limit]
	}
}

func (s *slot) window(witness gopprof.Witness, start, end time.Time) gopprof.Window {
	w := gopprof.Window{Witness: witness, Start: start, End: end, Readings: 1, CoveredRatio: 1, AbsurdPoints: s.absurd}
	w.CPU, w.HasCPU = s.use(heapster.MetricCPUUse, heapster.MetricCPULimit)
	w.Memory, w.HasMemory = s.use(heapster.MetricMemoryUse, heapster.MetricMemoryLimit)
	return w
}

// use returns a resource's use, and whether both it and its limit are known.
func (s *slot) use(mean, limit heapster.Metric) (gopprof.Use, bool) {
	u := gopprof.Use{Limit: s.value[limit]}
	if !s.has[mean] || !s.has[limit] || s.disputed[mean] || s.disputed[limit] {
		return u, false
	}
	u.Mean = s.value[mean]
	if u.Limited() {
		u.Ratio = u.Mean / u.Limit
	}
	return u, true
}
