package profile

import (
	"encoding/binary"

	"github.com/google/pprof/profile"
)

// What tells the parts of profiles of the same program apart, as pprof's merge does it.
type (
	mappingKey struct {
		size, offset uint64
		file         string // build ID, or the path of a file without one
	}
	functionKey struct {
		name, system, file string
		line               int64
	}
	locationKey struct {
		address uint64 // from the start of the mapping
		mapping uint64 // its ID
		lines   string // function's ID, line and column of each
		folded  bool
	}
)

// pageBytes is what sizes of mappings are rounded up to: they differ a little from one
// start of a program to the next.
const pageBytes = 0x1000

func (a *adder) mapping(m *profile.Mapping) *profile.Mapping {
	if m == nil {
		return nil
	}
	bytes := m.Limit - m.Start + pageBytes - 1
	key := mappingKey{size: bytes - bytes%pageBytes, offset: m.Offset, file: m.BuildID}
	if key.file == "" {
		key.file = m.File
	}
	if out := a.mappings[key]; out != nil {
		return out
	}
	out := &profile.Mapping{
		ID: uint64(len(a.out.Mapping) + 1), Start: m.Start, Limit: m.Limit, Offset: m.Offset,
		File: a.text(m.File), BuildID: a.text(m.BuildID),
		HasFunctions: m.HasFunctions, HasFilenames: m.HasFilenames,
		HasLineNumbers: m.HasLineNumbers, HasInlineFrames: m.HasInlineFrames,
	}
	a.size.mapping()
	a.mappings[key] = out
	a.out.Mapping = append(a.out.Mapping, out)
	return out
}

func (a *adder) function(f *profile.Function) *profile.Function {
	if f == nil {
		return nil
	}
	key := functionKey{f.Name, f.SystemName, f.Filename, f.StartLine}
	if out := a.functions[key]; out != nil {
		return out
	}
	out := &profile.Function{
		ID: uint64(len(a.out.Function) + 1), StartLine: f.StartLine,
		Name: a.text(f.Name), SystemName: a.text(f.SystemName), Filename: a.text(f.Filename),
	}
	a.size.function()
	a.functions[key] = out
	a.out.Function = append(a.out.Function, out)
	return out
}

func (a *adder) location(l *profile.Location) *profile.Location {
	if out := a.locationOf[l]; out != nil {
		return out
	}
	out := &profile.Location{
		ID: uint64(len(a.out.Location) + 1), Mapping: a.mapping(l.Mapping), Address: l.Address,
		Line: make([]profile.Line, len(l.Line)), IsFolded: l.IsFolded,
	}
	key := locationKey{address: l.Address, folded: l.IsFolded}
	if l.Mapping != nil {
		key.address -= l.Mapping.Start
		key.mapping = out.Mapping.ID
		out.Address = key.address + out.Mapping.Start
	}
	var lines []byte
	for i, line := range l.Line {
		out.Line[i] = profile.Line{Function: a.function(line.Function), Line: line.Line, Column: line.Column}
		lines = binary.AppendUvarint(lines, out.Line[i].Function.ID)
		lines = binary.AppendVarint(binary.AppendVarint(lines, line.Line), line.Column)
	}
	key.lines = string(lines)
	if same := a.locations[key]; same != nil {
		out = same
	} else {
		a.size.location(len(l.Line))
		a.locations[key] = out
		a.out.Location = append(a.out.Location, out)
	}
	a.locationOf[l] = out
	return out
}

// text counts a string of the sum, once.
func (a *adder) text(s string) string {
	if _, ok := a.strings[s]; !ok && s != "" {
		a.strings[s] = a.size.strings
		a.size.text(s)
	}
	return s
}
