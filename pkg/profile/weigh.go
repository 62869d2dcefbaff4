package profile

import (
	"hash/maphash"
	"iter"
	"path"

	"github.com/google/pprof/profile"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Weighed is a profile counted by function, as `go tool pprof -top` counts: functions are
// told apart by name; inlined calls are functions of their own; a function that is several
// times on a stack is counted once for it. (What pprof does with drop_frames is left out:
// Go writes none, and a target's regular expressions are not run here.)
type Weighed struct {
	Kind       gopprof.Kind
	SampleType string
	Unit       string
	Total      int64 // of the absolute values, as pprof has it
	Stacks     int64 // distinct stacks whose value is not zero
	Negative   int64 // values below zero, which no whole profile can have
	Saturated  bool  // a sum did not fit 64 bits: no total is true
	Period     int64 // what one look of a sampling profiler stands for, in its own unit; 0 when unknown
	Functions  []gopprof.Function

	raw    *Raw
	column int
	frames map[*profile.Location][]int // leaf first, indices into Functions
}

// Weigh counts the main value of a kind. The error is ErrInvalid when the profile is not
// one of that kind.
func (p *Profile) Weigh(kind gopprof.Kind) (*Weighed, error) {
	want, column, err := p.column(kind)
	if err != nil {
		return nil, err
	}
	w := &Weighed{Kind: kind, SampleType: want.name, Unit: want.unit, Period: max(0, p.raw.Period), raw: p.raw, column: column}
	w.name()
	w.count()
	w.Stacks = distinct(p.raw, column)
	return w, nil
}

// Each yields the frames of every stack, leaf first, as indices into Functions, with the
// stack's value. The slice is used again for the next stack.
func (w *Weighed) Each() iter.Seq2[[]int, int64] {
	return func(yield func([]int, int64) bool) {
		var stack []int
		for _, s := range w.raw.Sample {
			v := s.Value[w.column]
			if v == 0 {
				continue
			}
			stack = stack[:0]
			for _, l := range s.Location {
				stack = append(stack, w.frames[l]...)
			}
			if !yield(stack, v) {
				return
			}
		}
	}
}

// Column returns the sum of another value of the profile, 0 if it has none of that name:
// "samples" of a CPU profile is the number of times that the profiler looked.
func (w *Weighed) Column(name string) int64 {
	for i, st := range w.raw.SampleType {
		if st.Type != name {
			continue
		}
		var total int64
		for _, s := range w.raw.Sample {
			total = sum(total, abs(s.Value[i]))
		}
		return total
	}
	return 0
}

// count fills in flat, cum and the total.
func (w *Weighed) count() {
	seen := make([]int, len(w.Functions)) // number of the last stack that had the function
	n := 0
	for stack, v := range w.Each() {
		n++
		w.Total = w.add(w.Total, abs(v))
		if v < 0 {
			w.Negative++
		}
		for i, f := range stack {
			fn := &w.Functions[f]
			if i == 0 {
				fn.Flat = w.add(fn.Flat, v)
			}
			if seen[f] != n {
				seen[f] = n
				fn.Cum = w.add(fn.Cum, v)
			}
		}
	}
}

func (w *Weighed) add(a, b int64) int64 {
	c := sum(a, b)
	w.Saturated = w.Saturated || c != a+b
	return c
}

// function is what pprof tells nodes of its graph apart by, at the granularity of
// functions. Object and line count only when there is no name.
type function struct {
	name   string
	object string
	line   int64
}

// name gives every frame of every location its function.
func (w *Weighed) name() {
	index, texts := map[function]int{}, printer{}
	w.frames = make(map[*profile.Location][]int, len(w.raw.Location))
	for _, l := range w.raw.Location {
		lines := l.Line
		if len(lines) == 0 {
			lines = []profile.Line{{}}
		}
		frames := make([]int, len(lines))
		for i, line := range lines {
			key := keyOf(l, line.Function)
			at, ok := index[key]
			if !ok {
				at = len(w.Functions)
				index[key] = at
				w.Functions = append(w.Functions, texts.describe(key, line.Function))
			}
			frames[i] = at
		}
		w.frames[l] = frames
	}
}

func keyOf(l *profile.Location, f *profile.Function) function {
	if f != nil && f.Name != "" {
		return function{name: f.Name}
	}
	var key function
	if l.Mapping != nil {
		key.object = l.Mapping.File
	}
	if f != nil {
		key.line = f.StartLine
	}
	return key
}

// printer holds the printed forms of texts that cannot be left as they are. There is one of each,
// which scan has counted, however many functions have it.
type printer map[printed]string

// printed is a text, and whether it is an object's path, of which the last element is printed.
type printed struct {
	text   string
	object bool
}

func (p printer) print(of printed) string {
	if !of.object {
		if _, same := printedBytes(of.text, maxText); same {
			return of.text
		}
	}
	s, ok := p[of]
	if !ok {
		if s = of.text; of.object {
			s = "[" + Printable(path.Base(s), maxText) + "]"
		} else {
			s = Printable(s, maxText)
		}
		p[of] = s
	}
	return s
}

func (p printer) describe(key function, f *profile.Function) gopprof.Function {
	fn := gopprof.Function{Name: p.print(printed{text: key.name})}
	switch {
	case key.name != "":
	case key.object != "":
		fn.Name = p.print(printed{key.object, true})
	default:
		fn.Name = "<unknown>"
	}
	if f != nil {
		fn.File = p.print(printed{text: f.Filename})
		fn.Line = max(0, f.StartLine)
	}
	return fn
}

// distinct counts the stacks that differ; samples that differ in their labels alone are one.
func distinct(raw *Raw, column int) int64 {
	seed := maphash.MakeSeed()
	stacks := make(map[uint64]struct{}, len(raw.Sample))
	for _, s := range raw.Sample {
		if s.Value[column] == 0 {
			continue
		}
		var h maphash.Hash
		h.SetSeed(seed)
		for _, l := range s.Location {
			maphash.WriteComparable(&h, l.ID)
		}
		stacks[h.Sum64()] = struct{}{}
	}
	return int64(len(stacks))
}
