// Package explain says what a capture shows, and why its container was hot.
//
// Enters: a capture with its profiles' bytes, and what is known around it: quiet captures of
// the same workload to compare with, and how many of its pods are hot. Leaves: an
// Explanation: one summary line, warnings that limit how far the rest may be trusted, a
// verdict with its proof, what grew, and each profile's heaviest functions. It does no I/O
// but through the readers that it is given, and has no clock.
//
// Must never happen: a claim that the profiles and the evidence do not carry; two large
// profiles in memory at once, or one of the others beside a capture whose bytes leave it no
// room.
package explain

import (
	"errors"
	"math"
	"runtime/debug"

	"github.com/gopprof/gopprof/aggregator/explain/cause"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// topFunctions is how many functions of each profile a report lists by flat, and by cum.
const topFunctions = 20

// Explain reads the capture's profiles and says what they show. A profile that cannot be
// read costs its own part only, and so does one of the others'. A trace is not a pprof file:
// nothing is said of it.
func Explain(c gopprof.Capture, around Around, lim profile.Limits) gopprof.Explanation {
	return Reading(c, around, lim, func(gopprof.Kind, *profile.Profile) {})
}

// Reading is Explain for who needs the capture's profiles as well: each that can be read is
// handed to read as long as it is in memory, and must not be kept or changed.
func Reading(c gopprof.Capture, around Around, lim profile.Limits, read func(gopprof.Kind, *profile.Profile)) gopprof.Explanation {
	r := &reader{lim: lim}
	defer r.release()
	found := findings{}
	var tops []gopprof.TopFunctions
	for _, file := range c.Profiles {
		if file.Kind == gopprof.KindTrace {
			continue
		}
		f := r.read(file, read)
		found[file.Kind] = f
		tops = append(tops, f.top)
	}
	ratio := explained(c, found)
	e := gopprof.Explanation{ExplainedRatio: ratio, Profiles: tops}
	beside := lookAround(c, found, around, r)
	e.Differences = beside.differences
	if c.Trigger.Kind != gopprof.TriggerSibling {
		verdict := cause.Judge(beside.facts(c, around, found, doubtsOf(c, found, ratio)))
		e.Verdict = &verdict
	}
	e.Summary = summary(c, found, e.Verdict, around, ratio)
	e.Warnings = append(warnings(c, found, ratio), beside.unread...)
	return e
}

// finding is what one profile says.
type finding struct {
	top    gopprof.TopFunctions
	blame  blame
	looks  int64          // times that the CPU profiler looked
	period int64          // what one look stands for, in the unit of top
	lost   int64          // of top's total: looks that the CPU profiler had no room for
	shape  *profile.Shape // nil of one that cannot be read
}

// findings holds what each readable or unreadable profile of the capture says.
type findings map[gopprof.Kind]finding

// reader reads profiles, one at a time.
type reader struct {
	lim  profile.Limits
	most int64 // what the costliest took since memory was given back, in bytes
}

// largeCost is the cost in bytes from which a profile's memory is worth giving back to the
// machine. A usual one costs a fifth of it.
const largeCost = 8 << 20

// release gives back what large profiles took: whoever reads the next takes as much again, and
// whoever draws them, in another process.
func (r *reader) release() {
	if r.most > largeCost {
		debug.FreeOSMemory()
		r.most = 0
	}
}

func (r *reader) read(file gopprof.Profile, read func(gopprof.Kind, *profile.Profile)) finding {
	p, err := r.parse(file.Bytes, r.lim)
	var w *profile.Weighed
	if err == nil {
		w, err = p.Weigh(file.Kind)
	}
	if err != nil {
		return finding{top: gopprof.TopFunctions{Kind: file.Kind, Reason: profile.ReasonOf(err), Detail: err.Error()}}
	}
	f := finding{top: w.Top(topFunctions), looks: w.Column("samples"), period: w.Period}
	for _, fn := range w.Functions {
		if fn.Name == lostEvents {
			f.lost = fn.Flat
		}
	}
	if f.usable() && w.Negative == 0 {
		f.shape = w.Shape(length(file.Seconds, f.top))
	}
	f.blame = blameOf(w, f.shape)
	read(file.Kind, p)
	return f
}

// lostEvents is the function that stands for what a CPU profiler had no room for
// (runtime/pprof/proto.go).
const lostEvents = "runtime/pprof.lostProfileEvent"

// weighBeside reads an other's profile beside so many bytes that stay in memory: all of it
// together takes no more than one profile may.
func (r *reader) weighBeside(held int64, k gopprof.Kind, data []byte) (*profile.Weighed, error) {
	lim := r.lim
	lim.MemoryBytes = max(0, lim.MemoryBytes-held-int64(len(data)))
	p, err := r.parse(data, lim)
	if err != nil {
		return nil, err
	}
	return p.Weigh(k)
}

func (r *reader) parse(data []byte, lim profile.Limits) (*profile.Profile, error) {
	p, err := profile.Parse(data, lim)
	if errors.Is(err, profile.ErrTooLarge) {
		r.most = r.lim.MemoryBytes // it may have been unpacked before
	}
	if err != nil {
		return nil, err
	}
	r.most = max(r.most, p.Cost())
	return p, nil
}

// length is how long a profile took, as its file says, or else as the agent does.
func length(taken float64, top gopprof.TopFunctions) float64 {
	if top.DurationSeconds > 0 {
		return top.DurationSeconds
	}
	return taken
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
