package profile

import (
	"cmp"
	"math"
	"slices"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Shape is a profile condensed to what comparing and explaining it needs, so that the
// profile itself need not be kept. Every stack's value belongs to exactly one part: the
// innermost function of the service that is on it, or for a stack without any, the
// outermost function that says something.
type Shape struct {
	Kind    gopprof.Kind
	Total   int64
	Seconds float64 // that a timed profile took; 0 for others, and when unknown
	// Quantum is what one look of a sampling profiler stands for, in the unit of the values:
	// the values over it are how many times something was seen.
	Quantum float64
	Classes [Classes]int64 // of kind cpu: the value of each class's stacks
	Own     int64          // the value of stacks that hold code of the service
	Parts   map[string]*Part
}

// Part is one function of a Shape.
type Part struct {
	Name string
	File string
	Own  bool // the service's
	// Self is the value of the stacks that belong to it: spent in the function itself and in
	// what it calls, up to the next function of the service. Cum is that of all stacks that
	// it is on, and Depth where it stands on them: the mean distance from the outermost.
	Self, Cum int64
	Depth     float64
	// Classes and CumClasses are Self and Cum by the class of the stack, of kind cpu.
	Classes, CumClasses [Classes]int64
	// Below is what it calls on the way to most of Self: a function, or where it calls several
	// of one package, that package's path; "" when most is its own.
	Below string
	// Path is how the program gets there on the heaviest of the stacks it is on, outermost
	// first, without itself and without what says nothing.
	Path []string
	// Wait is what most of its goroutines wait for, and Waiting how many of them, of kind
	// goroutine.
	Wait    Wait
	Waiting int64
}

// Bounds on a Shape.
const (
	maxParts     = 1000  // the heaviest by Cum
	leastPart    = 0.001 // of the total
	maxPath      = 12
	maxPathBytes = 256 // of one name

	shortest = 0.001 // seconds that a profile can take
)

// Shape condenses the profile. Seconds is how long it took, 0 when unknown or when the kind
// is not timed.
func (w *Weighed) Shape(seconds float64) *Shape { return w.ShapeLike(nil, seconds) }

// ShapeLike is Shape for comparing with another of the same build: a function is the
// service's if it is there, since two profiles may show differently much of the program.
func (w *Weighed) ShapeLike(other *Shape, seconds float64) *Shape {
	s := &Shape{Kind: w.Kind, Total: w.Total, Quantum: w.quantum(), Parts: map[string]*Part{}}
	if seconds >= shortest && !math.IsInf(seconds, 0) {
		s.Seconds = seconds
	}
	b := newShaper(w)
	if other != nil {
		b.agree(other)
	}
	for stack, v := range w.Each() {
		b.add(s, stack, v)
	}
	b.finish(s)
	return s
}

// Unit is what a value is divided by to be an amount of what the kind is about: cores for the
// CPU time of a profile whose length is known, else CPU seconds; bytes, goroutines.
func (s *Shape) Unit() float64 {
	switch {
	case s.Kind != gopprof.KindCPU:
		return 1
	case s.Seconds > 0:
		return 1e9 * s.Seconds
	}
	return 1e9
}

// Amount is a value in Unit.
func (s *Shape) Amount(v int64) float64 { return float64(v) / s.Unit() }

// Looks is how many times a sampling profiler saw what has a value.
func (s *Shape) Looks(v int64) float64 { return float64(v) / s.Quantum }

// quantum is the distance of looks of a sampling profiler. A CPU profile counts its looks;
// without that its period counts, or the one that Go has.
func (w *Weighed) quantum() float64 {
	switch looks := w.Column("samples"); {
	case w.Kind == gopprof.KindCPU && looks > 0 && w.Total > looks:
		return float64(w.Total) / float64(looks)
	case w.Kind == gopprof.KindCPU && w.Period <= 0:
		return usualPeriod
	case w.Period > 0 && slices.Contains([]gopprof.Kind{gopprof.KindCPU, gopprof.KindHeap, gopprof.KindAllocs}, w.Kind):
		return float64(w.Period)
	}
	return 1
}

// usualPeriod is that of Go's CPU profiler, in nanoseconds (runtime/pprof).
const usualPeriod = 10_000_000

// shaper builds a Shape.
type shaper struct {
	w      *Weighed
	owners []Owner
	marks  []mark
	waits  []Wait
	seen   []int // number of the last stack that had the function
	stacks int
	parts  []partial // by function
}

// partial is a Part while it is counted.
type partial struct {
	self, cum int64
	depth     float64
	classes   [Classes]int64 // of self
	all       [Classes]int64 // of cum
	below     map[int]int64  // callee → value of self
	waits     map[Wait]int64
	heaviest  int64
	path      []int // of the heaviest stack, outermost first
}

func newShaper(w *Weighed) *shaper {
	n := len(w.Functions)
	b := &shaper{w: w, owners: w.Owners(), marks: make([]mark, n), waits: make([]Wait, n), seen: make([]int, n), parts: make([]partial, n)}
	for i, f := range w.Functions {
		b.marks[i], b.waits[i] = markOf(f.Name), waitOf(f.Name)
	}
	return b
}

// agree takes the other's word for whose a function is.
func (b *shaper) agree(other *Shape) {
	for i, f := range b.w.Functions {
		switch p := other.Parts[f.Name]; {
		case p == nil:
		case p.Own:
			b.owners[i] = OwnerService
		default:
			b.owners[i] = min(b.owners[i], OwnerLibrary)
		}
	}
}

// add counts one stack, leaf first.
func (b *shaper) add(s *Shape, stack []int, v int64) {
	if v <= 0 || len(stack) == 0 {
		return
	}
	b.stacks++
	class := classOf(stack, b.marks)
	s.Classes[class] += v
	at, own := b.belongs(stack)
	if own {
		s.Own += v
	}
	for i := len(stack) - 1; i >= 0; i-- {
		b.pass(stack, i, v, class)
	}
	p := &b.parts[stack[at]]
	p.self += v
	p.classes[class] += v
	if p.below == nil {
		p.below, p.waits = map[int]int64{}, map[Wait]int64{}
	}
	if at > 0 {
		p.below[stack[at-1]] += v
	}
	if b.w.Kind == gopprof.KindGoroutine {
		p.waits[b.wait(stack[:at])] += v
	}
}

// pass counts a function of a stack, once, where it is nearest to the outermost.
func (b *shaper) pass(stack []int, i int, v int64, class Class) {
	f := stack[i]
	if b.seen[f] == b.stacks {
		return
	}
	b.seen[f] = b.stacks
	p := &b.parts[f]
	p.cum = sum(p.cum, v)
	p.all[class] += v
	p.depth += float64(len(stack)-1-i) * float64(v)
	if v > p.heaviest {
		p.heaviest = v
		p.path = append(p.path[:0], stack[i+1:min(len(stack), i+1+2*maxPath)]...)
	}
}

// belongs returns the place in a stack of the function that it belongs to, and whether that
// is the service's.
func (b *shaper) belongs(stack []int) (at int, own bool) {
	if i := slices.IndexFunc(stack, func(f int) bool { return b.owners[f] == OwnerService }); i >= 0 {
		return i, true
	}
	for i := len(stack) - 1; i >= 0; i-- {
		if !Generic(b.w.Functions[stack[i]].Name) {
			return i, false
		}
	}
	return 0, false
}

// wait is what the frames inside a function say that the goroutine waits for.
func (b *shaper) wait(inner []int) Wait {
	for i := len(inner) - 1; i >= 0; i-- {
		if w := b.waits[inner[i]]; w != WaitNone {
			return w
		}
	}
	return WaitNone
}

// finish keeps the heaviest functions.
func (b *shaper) finish(s *Shape) {
	least := int64(leastPart * float64(s.Total))
	var heavy []int
	for f, p := range b.parts {
		if p.cum > 0 && p.cum >= least {
			heavy = append(heavy, f)
		}
	}
	slices.SortFunc(heavy, func(x, y int) int {
		return cmp.Or(cmp.Compare(b.parts[y].cum, b.parts[x].cum), cmp.Compare(b.w.Functions[x].Name, b.w.Functions[y].Name))
	})
	for _, f := range heavy[:min(len(heavy), maxParts)] {
		fn := b.w.Functions[f]
		if s.Parts[fn.Name] == nil { // of two that print the same the heavier stands for both
			s.Parts[fn.Name] = b.part(f, fn)
		}
	}
}

func (b *shaper) part(f int, fn gopprof.Function) *Part {
	p := b.parts[f]
	out := &Part{
		Name: fn.Name, File: fn.File, Own: b.owners[f] == OwnerService,
		Self: p.self, Cum: p.cum, Depth: p.depth / float64(p.cum), Classes: p.classes, CumClasses: p.all,
	}
	for i := len(p.path) - 1; i >= 0; i-- {
		if name := b.w.Functions[p.path[i]].Name; !Generic(name) {
			out.Path = append(out.Path, Printable(name, maxPathBytes))
		}
	}
	out.Path = out.Path[max(0, len(out.Path)-maxPath):]
	out.Below = b.below(p)
	if out.Wait, out.Waiting = most(p.waits); out.Wait == WaitNone {
		out.Waiting = 0
	}
	return out
}

func (b *shaper) below(p partial) string {
	if callee, v := most(p.below); v*2 > p.self {
		return b.w.Functions[callee].Name
	}
	packages := map[string]int64{}
	for callee, v := range p.below {
		packages[PackageOf(b.w.Functions[callee].Name)] += v
	}
	if pkg, v := most(packages); v*2 > p.self {
		return pkg
	}
	return ""
}

// most returns the heaviest key, of those as heavy the lowest.
func most[K cmp.Ordered](values map[K]int64) (key K, value int64) {
	for k, v := range values {
		if v > value || v == value && k < key {
			key, value = k, v
		}
	}
	return key, value
}
