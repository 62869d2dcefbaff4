package profile

import (
	"fmt"
	"math"
	"strings"

	"github.com/google/pprof/profile"
)

// maxType is the longest name or unit of a value in Types, in bytes.
const maxType = 60

// Types names what a profile counts: each of its values with its unit, in their order,
// then its period. They are fit to print and to compare: only profiles of the same Types
// can be added.
type Types []string

// Types returns what the profile counts.
func (p *Profile) Types() Types {
	var t Types
	for _, st := range p.raw.SampleType {
		t = append(t, typeText(st))
	}
	return append(t, "a period of "+typeText(p.raw.PeriodType))
}

func typeText(v *profile.ValueType) string {
	if v.Type == "" && v.Unit == "" {
		return "nothing"
	}
	return Printable(v.Type, maxType) + " in " + Printable(v.Unit, maxType)
}

// String lists the types in one line, each apart from the next.
func (t Types) String() string { return strings.Join(t, ", ") }

// Differ says where the types are not those of the others, "" when they are the same.
func (t Types) Differ(others Types) string {
	if len(t) != len(others) {
		return fmt.Sprintf("it counts %s, the others %s", t, others)
	}
	var out []string
	for i := range t {
		if t[i] != others[i] {
			out = append(out, fmt.Sprintf("it counts %s, the others %s", t[i], others[i]))
		}
	}
	return strings.Join(out, "; ")
}

// Sums returns the sum of each value over all stacks, in the order of Types, of absolute
// numbers as pprof has it; math.MaxInt64 where it does not fit.
func (p *Profile) Sums() []int64 {
	sums := make([]int64, len(p.raw.SampleType))
	for _, s := range p.raw.Sample {
		for i, v := range s.Value {
			sums[i] = sum(sums[i], abs(v))
		}
	}
	return sums
}

// addAll returns the sums of two lists, false when one does not fit 64 bits.
func addAll(a, b []int64) ([]int64, bool) {
	out := make([]int64, len(b))
	copy(out, a)
	for i, v := range b {
		if out[i] = sum(out[i], v); out[i] == math.MaxInt64 {
			return nil, false
		}
	}
	return out, true
}
