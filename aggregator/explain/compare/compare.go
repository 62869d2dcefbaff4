// Package compare says how a profile differs from the same of quiet pods.
//
// Enters: condensed profiles of one kind, that of the capture and those of others. Leaves:
// the functions that take more here, each with its part of the excess and how far beyond
// chance that is; "no significant difference" is an answer. It is pure.
//
// Must never happen: a difference told that sampling explains as well; one that is too
// small to matter called a cause.
package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/gopprof/gopprof/pkg/chance"
	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// Side is one profile that is compared.
type Side struct {
	Who      gopprof.Comparator // of the others
	Shape    *profile.Shape
	Requests float64 // served a second while it was taken; 0 when that is not known
}

const (
	// effect is the part of all that a pod spends below which a difference matters to nobody.
	effect = 0.03
	// shift is the part by which the shares of the service's functions may differ and the work
	// still be called the same.
	shift = 0.10
	// fewLooks is how many looks at the service's code the shares are called the same of,
	// leastLooks how many they are called different of: below, looks are no normal distribution.
	fewLooks   = 50
	leastLooks = 10
	// maxGrowths is how many functions are told.
	maxGrowths = 20
)

// Compare compares a capture's profile with the others', false for kinds that count since
// the program started and say nothing of a moment, and when there is nobody to compare with.
func Compare(here Side, others []Side) (gopprof.Difference, bool) {
	unit, ok := unitOf(here.Shape.Kind)
	if !ok {
		return gopprof.Difference{}, false
	}
	if len(others) == 0 || !measured(here.Shape) || slices.ContainsFunc(others, func(s Side) bool { return !measured(s.Shape) }) {
		return gopprof.Difference{}, false
	}
	return comparison{here.Shape, others, requestsOf(here, others)}.difference(unit), true
}

// Comparable tells whether profiles of a kind say something of a moment.
func Comparable(k gopprof.Kind) bool {
	_, ok := unitOf(k)
	return ok
}

// unitOf names what a kind's amounts are in, false for the kinds that are not compared.
func unitOf(k gopprof.Kind) (string, bool) {
	switch k {
	case gopprof.KindCPU:
		return "cores", true
	case gopprof.KindHeap:
		return "bytes", true
	case gopprof.KindGoroutine:
		return "count", true
	}
	return "", false
}

// measured tells whether amounts can be told: how much of CPU time a second took is known
// only with the seconds.
func measured(s *profile.Shape) bool {
	return s != nil && (s.Kind != gopprof.KindCPU || s.Seconds > 0)
}

func amountOf(s *profile.Shape, v int64) amount {
	return amount{value: s.Amount(v), perLook: s.Quantum / s.Unit()}
}

// comparison is one capture's profile and the others.
type comparison struct {
	here     *profile.Shape
	others   []Side
	requests requests
}

// requests are how many were served a second, here and by the others in the mean: both, or
// neither.
type requests struct{ here, typical float64 }

func requestsOf(here Side, others []Side) requests {
	r := requests{here: here.Requests}
	for _, o := range others {
		if !(o.Requests > 0) {
			return requests{}
		}
		r.typical += o.Requests / float64(len(others))
	}
	if here.Shape.Kind != gopprof.KindCPU || !(r.here > 0) {
		return requests{}
	}
	return r
}

func (c comparison) difference(unit string) gopprof.Difference {
	d := gopprof.Difference{Kind: c.here.Kind, Unit: unit, Functions: []gopprof.Growth{}}
	d.HereRequests, d.TypicalRequests = figures.Tidy(c.requests.here), figures.Tidy(c.requests.typical)
	for _, o := range c.others {
		d.With = append(d.With, o.Who)
	}
	whole := c.pair(func(s *profile.Shape) int64 { return s.Total })
	d.Here, d.Typical = whole.here.value, mean(whole.others)
	limit := chance.Beyond(len(c.here.Parts) + 1)
	d.Significant = math.Abs(whole.sigma()) >= limit && math.Abs(d.Here-d.Typical) >= effect*max(d.Here, d.Typical)
	c.grow(&d, limit)
	c.judgeShares(&d)
	d.Here, d.Typical = figures.Tidy(d.Here), figures.Tidy(d.Typical)
	return d
}

// pair picks one figure out of all the profiles.
func (c comparison) pair(of func(*profile.Shape) int64) pair {
	p := pair{here: amountOf(c.here, of(c.here))}
	for _, o := range c.others {
		p.others = append(p.others, amountOf(o.Shape, of(o.Shape)))
	}
	return p
}

// grow lists the functions that take significantly more here.
func (c comparison) grow(d *gopprof.Difference, limit float64) {
	excess := d.Here - d.Typical
	for name, part := range c.here.Parts {
		if part.Self == 0 {
			continue
		}
		p := c.pair(func(s *profile.Shape) int64 { return selfOf(s, name) })
		sigma, more := p.sigma(), p.here.value-mean(p.others)
		if sigma < limit || more < effect*d.Here {
			continue
		}
		d.Significant = true
		g := gopprof.Growth{
			Function: name, File: part.File, Own: part.Own, Path: part.Path,
			Here: figures.Tidy(p.here.value), Typical: figures.Tidy(mean(p.others)), Sigma: figures.Tidy(sigma),
			HereShare: share(p.here.value, d.Here), TypicalShare: share(mean(p.others), d.Typical),
		}
		if c.requests.here > 0 {
			g.HerePerRequest = figures.Tidy(p.here.value / c.requests.here)
			g.TypicalPerRequest = figures.Tidy(mean(p.others) / c.requests.typical)
		}
		if excess > 0 {
			g.Excess = figures.Tidy(more / excess)
		}
		if pkg := profile.PackageOf(name); part.Below != "" && part.Below != pkg && profile.PackageOf(part.Below) != pkg {
			g.Below = part.Below
		}
		d.Functions = append(d.Functions, g)
	}
	slices.SortFunc(d.Functions, func(a, b gopprof.Growth) int {
		return cmp.Or(cmp.Compare(b.Here-b.Typical, a.Here-a.Typical), cmp.Compare(a.Function, b.Function))
	})
	d.Functions = d.Functions[:min(len(d.Functions), maxGrowths)]
}

func selfOf(s *profile.Shape, name string) int64 {
	if p := s.Parts[name]; p != nil {
		return p.Self
	}
	return 0
}

// judgeShares tells whether the same work is done here, more or less of it: whether the
// service's own functions have the same shares of the time spent in and below the service's
// code, by themselves and with all that they call: much of a service is spread over functions
// none of which is large. The runtime's part is left out of the shares: a busy process
// schedules less for each request, and collects its garbage otherwise, though it does the
// same. That nothing differs beyond chance is no proof where chance reaches far: then it
// cannot be told.
func (c comparison) judgeShares(d *gopprof.Difference) {
	if c.here.Kind != gopprof.KindCPU {
		return
	}
	own, looks := c.here.Looks(c.here.Own), 0.0
	for _, o := range c.others {
		looks += o.Shape.Looks(o.Shape.Own)
	}
	differs, told := c.sharesDiffer(own, looks)
	switch {
	case differs:
	case own < fewLooks || looks < fewLooks || !told:
		d.Note = fmt.Sprintf("whether the same work is done cannot be told: the profiler saw the service's code %.0f times here, and %.0f times in the others", own, looks)
	default:
		d.SameShares = !c.outside(d)
	}
}

// sharesDiffer tells whether a function's share differs beyond chance and by what matters,
// and whether none can differ by twice that without being seen.
func (c comparison) sharesDiffer(own, looks float64) (differs, told bool) {
	names := c.names()
	limit := chance.Beyond(2 * len(names))
	told = true
	for name := range names {
		for _, of := range []func(*profile.Part) int64{self, cum} {
			here, theirs := c.proportions(name, of, own, looks)
			apart := math.Abs(here.Ratio - theirs.Ratio)
			if apart >= shift && min(own, looks) >= leastLooks && math.Abs(here.Sigma(theirs)) >= limit {
				return true, true
			}
			told = told && apart+2*here.Error(theirs) < 2*shift
		}
	}
	return false, told
}

// proportions are what a function has of the time spent in the service's code, here and in
// all the others.
func (c comparison) proportions(name string, of func(*profile.Part) int64, own, looks float64) (here, theirs chance.Share) {
	here = chance.Share{Ratio: ratio(ownOf(c.here, name, of), c.here.Own), Looks: own}
	theirs.Looks = looks
	for _, o := range c.others {
		theirs.Ratio += o.Shape.Looks(ownOf(o.Shape, name, of)) / max(looks, 1)
	}
	return here, theirs
}

func self(p *profile.Part) int64 { return p.Self }
func cum(p *profile.Part) int64  { return p.Cum }

// outside tells whether much more of the CPU goes to other than the service's code here: to
// the collector, to spinning, to waking goroutines.
func (c comparison) outside(d *gopprof.Difference) bool {
	own := c.pair(func(s *profile.Shape) int64 { return s.Own })
	return share(mean(own.others), d.Typical)-share(own.here.value, d.Here) >= 2*shift
}

func (c comparison) names() map[string]bool {
	names := map[string]bool{}
	for _, s := range append([]Side{{Shape: c.here}}, c.others...) {
		for name, p := range s.Shape.Parts {
			if p.Own {
				names[name] = true
			}
		}
	}
	return names
}

func ownOf(s *profile.Shape, name string, of func(*profile.Part) int64) int64 {
	if p := s.Parts[name]; p != nil && p.Own {
		return of(p)
	}
	return 0
}

func ratio(part, whole int64) float64 { return float64(part) / max(float64(whole), 1) }

func share(part, whole float64) float64 {
	if !(whole > 0) {
		return 0
	}
	return figures.Tidy(part / whole)
}
