package judge

import (
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Combine makes one window (start, end] of the series' intervals that lie in it. Means are
// weighted by time, and each resource only by the intervals that reported it; one that was
// reported for less than gopprof.MinCovered of the window counts as not reported.
func Combine(intervals []gopprof.Window, start, end time.Time) gopprof.Window {
	w := gopprof.Window{Start: start, End: end}
	var cpu, memory, both weighted
	for _, i := range intervals {
		if i.Start.Before(start) || i.End.After(end) {
			continue
		}
		seconds := i.End.Sub(i.Start).Seconds()
		w.Witness = i.Witness
		w.Readings++
		both.seconds += seconds
		if i.HasCPU {
			cpu.add(i.CPU, seconds)
		}
		if i.HasMemory {
			memory.add(i.Memory, seconds)
		}
	}
	length := end.Sub(start).Seconds()
	w.CPU, w.HasCPU = cpu.use(), cpu.covers(length)
	w.Memory, w.HasMemory = memory.use(), memory.covers(length)
	w.CoveredRatio = both.seconds / length
	return w
}

// weighted is a sum of uses, weighted by seconds.
type weighted struct {
	mean, ratio, limit, seconds float64
}

func (s *weighted) add(u gopprof.Use, seconds float64) {
	s.mean += u.Mean * seconds
	s.ratio += u.Ratio * seconds
	s.limit = u.Limit
	s.seconds += seconds
}

func (s *weighted) covers(seconds float64) bool {
	return s.seconds > 0 && s.seconds >= gopprof.MinCovered*seconds
}

func (s *weighted) use() gopprof.Use {
	if s.seconds == 0 {
		return gopprof.Use{}
	}
	return gopprof.Use{Mean: s.mean / s.seconds, Ratio: s.ratio / s.seconds, Limit: s.limit}
}

// Disagreements returns the intervals since from in which the series were above a rule's
// threshold and the local readings of the same interval were not near it: the direction
// that Agree cannot see, because nothing fired.
func Disagreements(rule gopprof.Rule, series []gopprof.Window, local Local, from time.Time) []gopprof.Comparison {
	if rule.Resource == gopprof.ResourceThrottled {
		return nil // the series do not know throttling
	}
	var found []gopprof.Comparison
	for _, w := range series {
		ratio, ok := w.Ratio(rule.Resource)
		if !ok || ratio <= rule.Threshold || w.Start.Before(from) {
			continue
		}
		mine, ok := local(localSpan(rule.Resource, w))
		if !ok {
			continue
		}
		if mineRatio, ok := mine.Ratio(rule.Resource); ok && mineRatio < (1-Tolerance)*ratio {
			found = append(found, gopprof.Comparison{Start: w.Start, End: w.End, Local: mineRatio, Series: ratio})
		}
	}
	return found
}
