package profile

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// maxDuration is the longest time that a profile may claim to cover.
const maxDuration = 30 * 24 * time.Hour

// Top returns the profile's total and its heaviest functions: the n heaviest by flat and
// the n heaviest by cum (so up to 2n), ordered by flat, then cum, then name. An n of 0
// means all. A profile that is not of the kind, or one of a profiler that was never
// switched on, says so in Reason and Detail.
func (p *Profile) Top(kind gopprof.Kind, n int) gopprof.TopFunctions {
	w, err := p.Weigh(kind)
	if err != nil {
		return gopprof.TopFunctions{Kind: kind, Reason: ReasonOf(err), Detail: err.Error()}
	}
	return w.Top(n)
}

// Top is Profile.Top of a profile that is weighed already.
func (w *Weighed) Top(n int) gopprof.TopFunctions {
	t := gopprof.TopFunctions{
		Kind:            w.Kind,
		SampleType:      w.SampleType,
		Unit:            w.Unit,
		Total:           w.Total,
		Samples:         w.Stacks,
		DurationSeconds: w.seconds(),
		Functions:       w.heaviest(n),
	}
	switch {
	case w.neverOn():
		t.Reason = gopprof.ReasonNotEnabled
		t.Detail = notEnabled(w.Kind)
	case w.Saturated:
		t.Detail = "the values do not fit 64 bits: no total is true"
	case w.Negative > 0:
		t.Detail = fmt.Sprintf("%d stacks have negative values, which cannot be true", w.Negative)
	}
	return t
}

// heaviest picks the functions of Top.
func (w *Weighed) heaviest(n int) []gopprof.Function {
	all := make([]gopprof.Function, 0, len(w.Functions))
	for _, f := range w.Functions {
		if f.Flat != 0 || f.Cum != 0 {
			all = append(all, f)
		}
	}
	if n > 0 && len(all) > n {
		all = pick(all, n)
	}
	slices.SortFunc(all, ByFlat)
	return all
}

// pick returns the first n by flat and the first n by cum, each once.
func pick(all []gopprof.Function, n int) []gopprof.Function {
	slices.SortFunc(all, ByCum)
	byCum := slices.Clone(all[:n])
	slices.SortFunc(all, ByFlat)
	picked := slices.Clone(all[:n])
	for _, f := range byCum {
		if ByFlat(f, picked[n-1]) > 0 {
			picked = append(picked, f)
		}
	}
	return picked
}

// ByFlat orders functions as `go tool pprof -top` does, with cum before name.
func ByFlat(a, b gopprof.Function) int {
	return cmp.Or(cmp.Compare(abs(b.Flat), abs(a.Flat)), cmp.Compare(abs(b.Cum), abs(a.Cum)), cmp.Compare(a.Name, b.Name))
}

// ByCum orders functions as `go tool pprof -top -cum` does, with flat before name.
func ByCum(a, b gopprof.Function) int {
	return cmp.Or(cmp.Compare(abs(b.Cum), abs(a.Cum)), cmp.Compare(abs(b.Flat), abs(a.Flat)), cmp.Compare(a.Name, b.Name))
}

// seconds returns how long the profile says that it was collected, 0 if it does not say
// or says what cannot be.
func (w *Weighed) seconds() float64 {
	d := time.Duration(w.raw.DurationNanos)
	if d <= 0 || d > maxDuration {
		return 0
	}
	return d.Seconds()
}

// neverOn tells whether this is an empty profile of one of the two profilers that are off
// until the program switches them on.
func (w *Weighed) neverOn() bool {
	return (w.Kind == gopprof.KindMutex || w.Kind == gopprof.KindBlock) && len(w.raw.Sample) == 0
}

func notEnabled(kind gopprof.Kind) string {
	call := "runtime.SetMutexProfileFraction"
	if kind == gopprof.KindBlock {
		call = "runtime.SetBlockProfileRate"
	}
	return "empty: the profiler is off unless the program calls " + call + "; an empty file does not tell that from nothing having waited"
}
