package profile

import (
	"fmt"
	"math"
	"path"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Lengths in bytes of names in a cleaned profile: a box of a drawing holds no more.
const (
	maxDrawnName   = 200
	maxDrawnObject = 80
)

// Clean returns a copy of the profile that is safe to draw: only the main value of the
// kind, its name and unit from our own list; no labels, comments, links, paths, build IDs,
// addresses or expressions that drop frames; every name cleaned and cut. The error is
// ErrInvalid when the profile is not of the kind, or when its values do not fit 64 bits so
// that no drawing of it would be true.
func (p *Profile) Clean(kind gopprof.Kind) (*Profile, error) {
	want, column, err := p.column(kind)
	if err != nil {
		return nil, err
	}
	c := &cleaner{
		mappings:  map[*profile.Mapping]*profile.Mapping{},
		functions: map[*profile.Function]*profile.Function{},
		locations: map[*profile.Location]*profile.Location{},
	}
	c.out = Raw{
		SampleType:    []*profile.ValueType{{Type: want.name, Unit: want.unit}},
		PeriodType:    &profile.ValueType{},
		TimeNanos:     max(0, p.raw.TimeNanos),
		DurationNanos: duration(p.raw.DurationNanos),
	}
	used := usedMappings(p.raw)
	for i, m := range p.raw.Mapping {
		if i == 0 || used[m] {
			c.mapping(m) // in their order: the first is the program
		}
	}
	var total int64
	for _, s := range p.raw.Sample {
		v := s.Value[column]
		if v == 0 {
			continue
		}
		if total = sum(total, abs(v)); total == math.MaxInt64 {
			return nil, fmt.Errorf("%w: the values of %s do not fit 64 bits", ErrInvalid, want.name)
		}
		c.out.Sample = append(c.out.Sample, c.sample(s, v))
	}
	return &Profile{raw: &c.out}, nil
}

// usedMappings returns those that stacks lead to: a file may name a hundred thousand others.
func usedMappings(raw *Raw) map[*profile.Mapping]bool {
	used := map[*profile.Mapping]bool{}
	for _, s := range raw.Sample {
		for _, l := range s.Location {
			if l.Mapping != nil {
				used[l.Mapping] = true
			}
		}
	}
	return used
}

func duration(nanos int64) int64 {
	if nanos < 0 || nanos > maxDuration.Nanoseconds() {
		return 0
	}
	return nanos
}

// cleaner copies what samples refer to, each thing once.
type cleaner struct {
	out       Raw
	mappings  map[*profile.Mapping]*profile.Mapping
	functions map[*profile.Function]*profile.Function
	locations map[*profile.Location]*profile.Location
}

func (c *cleaner) sample(s *profile.Sample, v int64) *profile.Sample {
	out := &profile.Sample{Value: []int64{v}, Location: make([]*profile.Location, len(s.Location))}
	for i, l := range s.Location {
		out.Location[i] = c.location(l)
	}
	return out
}

func (c *cleaner) location(l *profile.Location) *profile.Location {
	if out := c.locations[l]; out != nil {
		return out
	}
	out := &profile.Location{
		ID:      uint64(len(c.out.Location) + 1),
		Mapping: c.mapping(l.Mapping),
		Line:    make([]profile.Line, len(l.Line)),
	}
	for i, line := range l.Line {
		out.Line[i].Function = c.function(line.Function)
	}
	c.locations[l] = out
	c.out.Location = append(c.out.Location, out)
	return out
}

func (c *cleaner) function(f *profile.Function) *profile.Function {
	if f == nil {
		return nil
	}
	if out := c.functions[f]; out != nil {
		return out
	}
	name := Printable(f.Name, maxDrawnName)
	out := &profile.Function{
		ID:         uint64(len(c.out.Function) + 1),
		Name:       name,
		SystemName: name,
		StartLine:  max(0, f.StartLine),
	}
	c.functions[f] = out
	c.out.Function = append(c.out.Function, out)
	return out
}

func (c *cleaner) mapping(m *profile.Mapping) *profile.Mapping {
	if m == nil {
		return nil
	}
	if out := c.mappings[m]; out != nil {
		return out
	}
	out := &profile.Mapping{
		ID:              uint64(len(c.out.Mapping) + 1),
		File:            objectName(m.File),
		HasFunctions:    true,
		HasFilenames:    true,
		HasLineNumbers:  true,
		HasInlineFrames: true,
	}
	c.mappings[m] = out
	c.out.Mapping = append(c.out.Mapping, out)
	return out
}

// objectName returns the base name of a program or library in plain characters only:
// pprof writes it into a graph's title without quoting it.
func objectName(file string) string {
	if file == "" {
		return ""
	}
	base := path.Base(file)
	if len(base) > maxDrawnObject {
		base = base[:maxDrawnObject]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-+[]", r):
			return r
		}
		return '_'
	}, base)
}
