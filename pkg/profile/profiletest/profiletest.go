// Package profiletest makes pprof files for tests: small ones whose every number is known,
// and hostile ones.
//
// Enters: stacks, or the name that a hostile target gives to everything. Leaves: the bytes
// of a file. It writes the format by hand and imports no parser, so that it can say what
// no encoder would.
package profiletest

import "strings"

// Stack is one stack and its main value.
type Stack struct {
	Value  int64
	Frames []string // leaf first, each a function's name, or "name file"
}

// On returns a stack.
func On(value int64, frames ...string) Stack { return Stack{Value: value, Frames: frames} }

// CPU returns a CPU profile; values are nanoseconds at one look in 10 ms.
func CPU(seconds float64, stacks ...Stack) []byte {
	const period = 10_000_000
	f := newFile("samples", "count", "cpu", "nanoseconds")
	for _, s := range stacks {
		f.add(s.Frames, s.Value/period, s.Value)
	}
	f.header = f.header.Varint(Duration, uint64(seconds*1e9)).Varint(Period, period)
	return f.gzip()
}

// Heap returns a heap or allocs profile: what was allocated is all still in use.
func Heap(stacks ...Stack) []byte {
	f := newFile("alloc_objects", "count", "alloc_space", "bytes", "inuse_objects", "count", "inuse_space", "bytes")
	for _, s := range stacks {
		f.add(s.Frames, 1, s.Value, 1, s.Value)
	}
	f.header = f.header.Varint(Period, 512<<10)
	return f.gzip()
}

// Goroutine returns a goroutine profile.
func Goroutine(stacks ...Stack) []byte {
	f := newFile("goroutine", "count")
	for _, s := range stacks {
		f.add(s.Frames, s.Value)
	}
	return f.gzip()
}

// Contention returns a mutex or block profile; values are nanoseconds. Without stacks it is
// what a program answers that never switched the profiler on.
func Contention(stacks ...Stack) []byte {
	f := newFile("contentions", "count", "delay", "nanoseconds")
	for _, s := range stacks {
		f.add(s.Frames, 1, s.Value)
	}
	return f.gzip()
}

// file is a profile that is being written.
type file struct {
	header    Message
	strings   []string
	functions map[string]uint64 // by frame; the location has the same number
}

func newFile(types ...string) *file {
	f := &file{strings: []string{""}, functions: map[string]uint64{}}
	for i := 0; i < len(types); i += 2 {
		f.header = f.header.Bytes(SampleType, Message{}.Varint(1, f.text(types[i])).Varint(2, f.text(types[i+1])))
	}
	return f
}

// text returns the number of a string in the table.
func (f *file) text(s string) uint64 {
	for i, t := range f.strings {
		if s == t {
			return uint64(i)
		}
	}
	f.strings = append(f.strings, s)
	return uint64(len(f.strings) - 1)
}

func (f *file) add(frames []string, values ...int64) {
	var locations, numbers []uint64
	for _, frame := range frames {
		locations = append(locations, f.location(frame))
	}
	for _, v := range values {
		numbers = append(numbers, uint64(v))
	}
	f.header = f.header.Bytes(Sample, Message{}.Packed(SampleLocation, locations...).Packed(SampleValue, numbers...))
}

func (f *file) location(frame string) uint64 {
	if id := f.functions[frame]; id != 0 {
		return id
	}
	id := uint64(len(f.functions) + 1)
	f.functions[frame] = id
	name, path, _ := strings.Cut(frame, " ")
	f.header = f.header.Bytes(Function, Message{}.Varint(1, id).Varint(2, f.text(name)).Varint(3, f.text(name)).Varint(4, f.text(path)))
	f.header = f.header.Bytes(Location, Message{}.Varint(1, id).Bytes(LocationLine, Message{}.Varint(1, id)))
	return id
}

func (f *file) gzip() []byte {
	m := f.header
	for _, s := range f.strings {
		m = m.Text(String, s)
	}
	return Gzip(m)
}
