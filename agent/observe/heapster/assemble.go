package heapster

import (
	"maps"
	"slices"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/heapster"
)

// span is what was asked for: whole intervals of resolution inside [from, to].
type span struct {
	from, to   time.Time
	resolution time.Duration
}

// empty tells whether no interval fits.
func (s span) empty() bool { return s.to.Sub(s.from) < s.resolution }

// holds tells whether a point with this stamp was asked for.
func (s span) holds(stamp time.Time) bool { return !stamp.Before(s.from) && !stamp.After(s.to) }

// found is what an answer holds.
type found struct {
	windows   map[gopprof.SeriesKey][]gopprof.Window
	schemas   map[heapster.Schema]bool
	points    int // all of them
	absurd    int // dropped: a value that cannot be true, or a stamp that was not asked for
	malformed int // rows dropped
}

// slot is one stamp of one container.
type slot struct {
	value  [heapster.Metrics]float64
	has    [heapster.Metrics]bool
	absurd int
}

// slots are a container's, by stamp in milliseconds.
type slots map[int64]*slot

// origins are one container's slots as Heapster and as gopprof's record stage wrote them.
type origins struct{ genuine, ours slots }

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

// keep puts a point in its slot. Of two numbers for one slot the first stays: they come from
// both schemas at once, or from series that differ in a tag that is not asked for.
func (f *found) keep(containers map[gopprof.SeriesKey]*origins, p heapster.Point, of span) {
	if !of.holds(p.At) {
		f.absurd++
		return
	}
	f.schemas[p.Schema] = true
	o := containers[p.Series]
	if o == nil {
		o = &origins{genuine: slots{}, ours: slots{}}
		containers[p.Series] = o
	}
	s := o.slot(p)
	switch {
	case p.Absurd:
		f.absurd++
		s.absurd++
	case !s.has[p.Metric]:
		s.value[p.Metric], s.has[p.Metric] = p.Value, true
	}
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
// since they may overlap.
func (o *origins) windows(of span) []gopprof.Window {
	if w := o.genuine.windows(gopprof.WitnessHeapster, of); len(w) > 0 {
		return w
	}
	return o.ours.windows(gopprof.WitnessRecord, of)
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
func (in slots) carry(stamps []int64, limit heapster.Metric) {
	known := slices.IndexFunc(stamps, func(at int64) bool { return in[at].has[limit] })
	if known < 0 {
		return
	}
	value := in[stamps[known]].value[limit]
	for _, at := range stamps {
		s := in[at]
		if s.has[limit] {
			value = s.value[limit]
		}
		s.value[limit], s.has[limit] = value, true
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
	if !s.has[mean] || !s.has[limit] {
		return u, false
	}
	u.Mean = s.value[mean]
	if u.Limited() {
		u.Ratio = u.Mean / u.Limit
	}
	return u, true
}
