package profile

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/pprof/profile"
)

// Heaviest returns the profile's heaviest stacks, of at most so many frames and functions in
// all. The lighter ones become one stack, of one function whose name says how many they are,
// so that the total stays. It takes a profile that Clean or Condense returned, whose parts it
// shares, and returns that profile itself where nothing has to be left out.
func (p *Profile) Heaviest(frames, functions int) *Profile {
	order := slices.Clone(p.raw.Sample)
	slices.SortStableFunc(order, func(a, b *profile.Sample) int { return cmp.Compare(abs(b.Value[0]), abs(a.Value[0])) })
	k := keeper{frames: frames, functions: functions, kept: map[any]bool{}}
	n := slices.IndexFunc(order, func(s *profile.Sample) bool { return !k.keep(s) })
	if n < 0 {
		return p
	}
	rest := &profile.Function{ID: uint64(len(p.raw.Function) + 1), Name: fmt.Sprintf("%d lighter stacks are left out", len(order)-n)}
	rest.SystemName = rest.Name
	at := &profile.Location{ID: uint64(len(p.raw.Location) + 1), Line: []profile.Line{{Function: rest}}}
	lighter := &profile.Sample{Value: []int64{0}, Location: []*profile.Location{at}}
	for _, s := range order[n:] {
		lighter.Value[0] = sum(lighter.Value[0], s.Value[0])
	}
	return &Profile{raw: &Raw{
		SampleType: p.raw.SampleType, PeriodType: p.raw.PeriodType, Period: p.raw.Period,
		TimeNanos: p.raw.TimeNanos, DurationNanos: p.raw.DurationNanos,
		Sample: append(order[:n:n], lighter), Mapping: p.raw.Mapping,
		Location: append(only(p.raw.Location, k.kept), at), Function: append(only(p.raw.Function, k.kept), rest),
	}}
}

// keeper takes stacks as long as there is room for them.
type keeper struct {
	frames, functions int          // for which there is room
	kept              map[any]bool // locations and functions
}

// keep takes a stack, or returns false when there is no room for it.
func (k *keeper) keep(s *profile.Sample) bool {
	for _, l := range s.Location {
		k.frames -= max(1, len(l.Line))
		if k.kept[l] {
			continue
		}
		k.kept[l] = true
		for _, line := range l.Line {
			if line.Function != nil && !k.kept[line.Function] {
				k.kept[line.Function] = true
				k.functions--
			}
		}
	}
	return k.frames >= 0 && k.functions >= 0
}

// only returns those of all that are kept.
func only[T any](all []*T, kept map[any]bool) []*T {
	var out []*T
	for _, one := range all {
		if kept[one] {
			out = append(out, one)
		}
	}
	return out
}
