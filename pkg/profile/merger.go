package profile

import (
	"encoding/binary"
	"fmt"
	"maps"

	"github.com/google/pprof/profile"
)

// Merger adds profiles of the same Types into one, each as it comes, so that no more than
// the sum and one profile have to be in memory. It adds as pprof does: stacks that are the
// same, at addresses relative to their mapping, are one; the duration is the sum, the time
// the earliest, the period the longest. Comments, links and expressions that drop frames
// are left out.
//
// What it makes is never more than Parse accepts under the same limits.
type Merger struct {
	lim  Limits
	out  Raw
	sums []int64 // of each value: none wraps around
	size size

	strings   map[string]int // number in their order, as of samples
	mappings  map[mappingKey]*profile.Mapping
	functions map[functionKey]*profile.Function
	locations map[locationKey]*profile.Location
	samples   map[string]int // place in out by its locations' IDs
}

// NewMerger returns a Merger whose sum is nothing.
func NewMerger(lim Limits) *Merger {
	return &Merger{
		lim:       lim,
		strings:   map[string]int{},
		mappings:  map[mappingKey]*profile.Mapping{},
		functions: map[functionKey]*profile.Function{},
		locations: map[locationKey]*profile.Location{},
		samples:   map[string]int{},
	}
}

// Profile returns the sum. The Merger must not be used after that. The sum of nothing is no
// valid file.
func (m *Merger) Profile() *Profile { return &Profile{raw: &m.out} }

// Add adds a profile. It is added whole or not at all: refused with ErrTooLarge when the
// sum would be more than the limits allow, with ErrInvalid when it counts other things
// than those before it, when values are negative (which no whole profile has), or when the
// sum of its values and theirs does not fit 64 bits.
func (m *Merger) Add(p *Profile) error {
	sums, err := m.check(p)
	if err != nil {
		return err
	}
	m.lim.enter(m.size.bytes + m.size.cost + p.cost)
	a := &adder{Merger: m, before: m.size, locationOf: make(map[*profile.Location]*profile.Location, len(p.raw.Location))}
	if err := a.add(p.raw); err != nil {
		a.undo()
		return err
	}
	a.commit(p.raw)
	m.sums = sums
	return nil
}

// check returns the sums of all values with the profile's.
func (m *Merger) check(p *Profile) ([]int64, error) {
	if m.sums != nil {
		if differ := p.Types().Differ(m.Profile().Types()); differ != "" {
			return nil, fmt.Errorf("%w to add to the others: %s", ErrInvalid, differ)
		}
	}
	for _, s := range p.raw.Sample {
		for _, v := range s.Value {
			if v < 0 {
				return nil, fmt.Errorf("%w to add: it has negative values", ErrInvalid)
			}
		}
	}
	sums, ok := addAll(m.sums, p.Sums())
	if !ok {
		return nil, fmt.Errorf("%w to add: the sum of its values and the others' does not fit 64 bits", ErrInvalid)
	}
	return sums, nil
}

// adder adds one profile's stacks. The sum holds new ones from the start, but no value of
// the profile before commit.
type adder struct {
	*Merger
	before     size
	locationOf map[*profile.Location]*profile.Location // of the profile's own
	addends    []addend
	key        []byte
}

// addend is one stack of the profile and its place in the sum.
type addend struct {
	at     int
	values []int64
}

func (a *adder) add(raw *Raw) error {
	if a.sums == nil {
		a.header(raw)
	}
	if len(a.mappings) == 0 && len(raw.Mapping) > 0 {
		a.mapping(raw.Mapping[0]) // the first is the program
	}
	for _, s := range raw.Sample {
		if allZero(s.Value) {
			continue
		}
		a.addends = append(a.addends, addend{a.sample(s), s.Value})
		if err := a.size.check(a.lim); err != nil {
			return err
		}
	}
	return a.size.check(a.lim)
}

func allZero(values []int64) bool {
	for _, v := range values {
		if v != 0 {
			return false
		}
	}
	return true
}

// header takes what all the profiles have in common.
func (a *adder) header(raw *Raw) {
	a.size = size{strings: 1, bytes: sizeHeader, cost: costString} // the empty string
	for _, st := range raw.SampleType {
		a.out.SampleType = append(a.out.SampleType, a.valueType(st))
		if st.Type == raw.DefaultSampleType {
			a.out.DefaultSampleType = st.Type
		}
	}
	a.out.PeriodType = a.valueType(raw.PeriodType)
}

func (a *adder) valueType(v *profile.ValueType) *profile.ValueType {
	a.size.valueType()
	return &profile.ValueType{Type: a.text(v.Type), Unit: a.text(v.Unit)}
}

// commit adds the values and the times: nothing can go wrong any more.
func (a *adder) commit(raw *Raw) {
	for _, add := range a.addends {
		for i, v := range add.values {
			a.out.Sample[add.at].Value[i] += v
		}
	}
	if at := raw.TimeNanos; at > 0 && (a.out.TimeNanos == 0 || at < a.out.TimeNanos) {
		a.out.TimeNanos = at
	}
	a.out.DurationNanos = sum(a.out.DurationNanos, duration(raw.DurationNanos))
	a.out.Period = max(a.out.Period, raw.Period)
}

// undo takes everything out again that is new since before.
func (a *adder) undo() {
	was := a.before
	a.size = was
	if a.sums == nil {
		a.out = Raw{}
	}
	a.out.Sample = a.out.Sample[:was.samples]
	a.out.Location = a.out.Location[:was.locations]
	a.out.Function = a.out.Function[:was.functions]
	a.out.Mapping = a.out.Mapping[:was.mappings]
	maps.DeleteFunc(a.samples, func(_ string, at int) bool { return at >= was.samples })
	maps.DeleteFunc(a.locations, func(_ locationKey, l *profile.Location) bool { return l.ID > uint64(was.locations) })
	maps.DeleteFunc(a.functions, func(_ functionKey, f *profile.Function) bool { return f.ID > uint64(was.functions) })
	maps.DeleteFunc(a.mappings, func(_ mappingKey, m *profile.Mapping) bool { return m.ID > uint64(was.mappings) })
	maps.DeleteFunc(a.strings, func(_ string, at int) bool { return at >= was.strings })
}

// sample returns the place in the sum of a stack like this.
func (a *adder) sample(s *profile.Sample) int {
	a.key = a.key[:0]
	for _, l := range s.Location {
		a.key = binary.AppendUvarint(a.key, a.location(l).ID)
	}
	if at, ok := a.samples[string(a.key)]; ok {
		return at
	}
	at := len(a.out.Sample)
	out := &profile.Sample{Value: make([]int64, len(s.Value)), Location: make([]*profile.Location, len(s.Location))}
	for i, l := range s.Location {
		out.Location[i] = a.location(l)
	}
	a.size.sample(out, len(a.key))
	a.samples[string(a.key)] = at
	a.out.Sample = append(a.out.Sample, out)
	return at
}
