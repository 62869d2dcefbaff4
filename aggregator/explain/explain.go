// Package explain says in a few words what a capture shows.
//
// Enters: a capture with its profiles' bytes. Leaves: an Explanation: one summary line,
// warnings that limit how far the rest may be trusted, and each profile's heaviest
// functions. It is pure: no I/O, no clock.
//
// Must never happen: a claim that the profiles and the evidence do not carry; two large
// profiles in memory at once.
package explain

import (
	"math"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// topFunctions is how many functions of each profile a report lists by flat, and by cum.
const topFunctions = 20

// Explain reads the capture's profiles and says what they show. A profile that cannot be
// read costs its own part only. A trace is not a pprof file: nothing is said of it.
func Explain(c gopprof.Capture, around Around, lim profile.Limits) gopprof.Explanation {
	found := findings{}
	var tops []gopprof.TopFunctions
	for _, file := range c.Profiles {
		if file.Kind == gopprof.KindTrace {
			continue
		}
		f := read(file, lim)
		found[file.Kind] = f
		tops = append(tops, f.top)
	}
	ratio := explained(c, found)
	return gopprof.Explanation{
		Summary:        summary(c, found),
		Warnings:       warnings(c, found, ratio),
		ExplainedRatio: ratio,
		Profiles:       tops,
	}
}

// finding is what one profile says.
type finding struct {
	top    gopprof.TopFunctions
	blame  blame
	looks  int64 // times that the CPU profiler looked
	period int64 // what one look stands for, in the unit of top
}

// findings holds what each readable or unreadable profile of the capture says.
type findings map[gopprof.Kind]finding

func read(file gopprof.Profile, lim profile.Limits) finding {
	refused := func(err error) finding {
		return finding{top: gopprof.TopFunctions{Kind: file.Kind, Reason: profile.ReasonOf(err), Detail: err.Error()}}
	}
	p, err := profile.Parse(file.Bytes, lim)
	if err != nil {
		return refused(err)
	}
	w, err := p.Weigh(file.Kind)
	if err != nil {
		return refused(err)
	}
	return finding{top: w.Top(topFunctions), blame: blameOf(w), looks: w.Column("samples"), period: w.Period}
}

// usable tells whether the numbers of the finding mean anything.
func (f finding) usable() bool {
	return f.top.Reason == "" && f.top.Total > 0 && f.top.Total < math.MaxInt64
}

// explained returns the share of the container's CPU time that the CPU profile holds.
func explained(c gopprof.Capture, found findings) *float64 {
	f, ok := found[gopprof.KindCPU]
	if !ok || f.top.Reason != "" || f.top.Total == math.MaxInt64 || !(c.CPUSeconds > 0) {
		return nil
	}
	ratio := seconds(f.top.Total) / c.CPUSeconds
	if math.IsInf(ratio, 0) || math.IsInf(c.CPUSeconds, 0) {
		return nil
	}
	return &ratio
}

func seconds(nanos int64) float64 { return float64(nanos) / 1e9 }
