package app

import (
	"sync"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// past is what the series said of the node's containers over the last gopprof.HistoryLength,
// gathered from all answers: one that was asked for the sake of two minutes is put to those
// of before. A point is a hundred bytes, so a container costs 1.5 KB at one a minute.
type past struct {
	mu   sync.Mutex // guards the rest
	from time.Time  // no answer is missing between from and to
	to   time.Time  // when the newest answer came
	of   map[gopprof.SeriesKey]seen
}

// seen is what one writer's series said of one container, oldest first.
type seen struct {
	by     gopprof.Witness
	points []gopprof.Point
}

// late is after how many intervals a point may still be written; what an answer did not
// hold then, it never will.
const late = 2

// lacks tells whether an answer that begins at next would leave some time since from
// untold.
func (p *past) lacks(from, next time.Time, resolution time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.to.IsZero() || p.from.After(from.Add(resolution)) || next.After(p.to.Add(-late*resolution))
}

// add puts an answer, asked at a moment for all since from, in the place of what was known
// of the same time.
func (p *past) add(answer map[gopprof.SeriesKey][]gopprof.Window, from, asked time.Time, resolution time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if from.Before(p.from) || p.to.IsZero() || from.After(p.to.Add(-late*resolution)) {
		p.from = from
	}
	p.to = asked
	if p.join(answer, p.of, from) > pastMost {
		p.from = from
		p.join(answer, nil, from)
	}
}

// pastMost is how many points are kept of what earlier answers said, all together: what a node
// of 250 containers may have. A server that names others in each answer would fill the memory.
const pastMost = 250 * gopprof.MaxHistory

// join makes what is known of an answer and what was known before, and returns how many points
// that is. The caller holds mu.
func (p *past) join(answer map[gopprof.SeriesKey][]gopprof.Window, before map[gopprof.SeriesKey]seen, from time.Time) (points int) {
	p.of = make(map[gopprof.SeriesKey]seen, len(answer))
	for key, windows := range answer {
		p.put(key, seenIn(windows), before[key], from)
		delete(before, key)
	}
	for key, old := range before {
		p.put(key, seen{by: old.by}, old, from)
	}
	for _, of := range p.of {
		points += len(of.points)
	}
	return points
}

// put joins what is new of a container to what is old, unless that was another writer's.
// The caller holds mu.
func (p *past) put(key gopprof.SeriesKey, now, old seen, from time.Time) {
	joined := seen{by: now.by}
	oldest := p.to.Add(-gopprof.HistoryLength)
	for _, point := range old.points {
		if old.by == now.by && point.Start.Before(from) && point.End.After(oldest) {
			joined.points = append(joined.points, point)
		}
	}
	joined.points = append(joined.points, now.points...)
	joined.points = joined.points[max(0, len(joined.points)-gopprof.MaxHistory):]
	if len(joined.points) > 0 {
		p.of[key] = joined
	}
}

// seenIn leaves out the windows that report nothing.
func seenIn(windows []gopprof.Window) seen {
	var s seen
	for _, w := range windows {
		if s.by = w.Witness; w.HasCPU || w.HasMemory {
			s.points = append(s.points, pointOf(w))
		}
	}
	return s
}

// pointOf is the series' window as a point. What it does not report it does not say.
func pointOf(w gopprof.Window) gopprof.Point {
	p := gopprof.Point{Start: w.Start.UTC(), End: w.End.UTC(), HasCPU: w.HasCPU, HasMemory: w.HasMemory}
	if w.HasCPU {
		p.CPUCores, p.CPULimitCores = w.CPU.Mean, w.CPU.Limit
	}
	if w.HasMemory {
		p.MemoryBytes, p.MemoryLimitBytes = w.Memory.Mean, w.Memory.Limit
	}
	return p
}

// told returns what the series said of a target over (start, end], and who wrote them.
// Nothing of before the target's container started: that was another one of its name. And
// nothing at all when there was no answer since a moment.
func (p *past) told(t gopprof.Target, start, end, since time.Time) ([]gopprof.Point, gopprof.Witness) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.of[t.Series()]
	var points []gopprof.Point
	for _, point := range of.points {
		if point.End.After(start) && point.Start.Before(end) && !point.Start.Before(t.Started) {
			points = append(points, point)
		}
	}
	if len(points) == 0 || p.to.Before(since) {
		return nil, ""
	}
	return points, of.by
}
