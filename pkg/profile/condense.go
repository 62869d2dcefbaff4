package profile

import (
	"encoding/binary"

	"github.com/google/pprof/profile"
)

// Condense returns a profile of which pprof's driver makes the very same call graph, by
// functions and at a -nodefraction, for less: the driver goes through every frame of every
// stack three times. Of the functions that it drops because they are below that fraction, a
// stack keeps one where several follow each other, and each is kept once, because the
// driver counts them; stacks that are the same then are one.
//
// It takes a profile that Clean returned, whose parts it shares, and returns that profile
// itself where nothing may be left out: with values below zero functions may be dropped
// that were not small.
func (p *Profile) Condense(fraction float64) *Profile {
	w := &Weighed{raw: p.raw}
	w.name()
	w.count()
	if w.Negative > 0 || w.Saturated {
		return p
	}
	c := newCondenser(w, fraction)
	out := &Raw{
		SampleType: p.raw.SampleType, PeriodType: p.raw.PeriodType, Period: p.raw.Period,
		TimeNanos: p.raw.TimeNanos, DurationNanos: p.raw.DurationNanos,
		Mapping: p.raw.Mapping, Location: p.raw.Location, Function: p.raw.Function,
	}
	at := map[string]*profile.Sample{}
	for _, s := range p.raw.Sample {
		key := c.reduce(s)
		if same := at[string(key)]; same != nil {
			same.Value[0] += s.Value[0]
			continue
		}
		kept := &profile.Sample{Value: []int64{s.Value[0]}, Location: c.locations()}
		at[string(key)] = kept
		out.Sample = append(out.Sample, kept)
	}
	return &Profile{raw: out}
}

// condenser reduces one stack after the other.
type condenser struct {
	class []int // of a location, by its ID: those whose frames are the same functions are one
	first []*profile.Location
	frame [][]int // functions of a class
	small []bool  // a class of which the driver keeps no frame
	told  []bool  // a function that is in the output already

	stack []int // classes of the reduced stack, leaf first
	key   []byte
}

func newCondenser(w *Weighed, fraction float64) *condenser {
	var total int64
	for _, f := range w.Functions {
		total += f.Flat
	}
	cutoff := int64(float64(total) * fraction) // as the driver computes it
	c := &condenser{class: make([]int, len(w.raw.Location)+1), told: make([]bool, len(w.Functions))}
	classes := map[string]int{}
	for _, l := range w.raw.Location {
		c.key = c.key[:0]
		small := true
		for _, f := range w.frames[l] {
			c.key = binary.AppendUvarint(c.key, uint64(f))
			small = small && w.Functions[f].Cum < cutoff
		}
		class, ok := classes[string(c.key)]
		if !ok {
			class = len(c.first)
			classes[string(c.key)] = class
			c.first, c.frame, c.small = append(c.first, l), append(c.frame, w.frames[l]), append(c.small, small)
		}
		c.class[l.ID] = class
	}
	return c
}

// reduce makes stack of a sample's and returns what tells it apart from others, which is
// good until the next call.
func (c *condenser) reduce(s *profile.Sample) []byte {
	c.stack = c.stack[:0]
	large := false // a frame that the driver keeps was met
	run := 0       // frames that stand for the small ones met since
	fresh := false // one of them was not in the output before
	for _, l := range s.Location {
		class := c.class[l.ID]
		switch {
		case !c.small[class]:
			large, run, fresh = true, 0, false
		case c.tell(class):
			run++
			fresh = true
		case run > 0:
			continue
		default:
			run++
		}
		c.stack = append(c.stack, class)
	}
	if large && !fresh { // nobody looks for callers of the outermost frame that is kept
		c.stack = c.stack[:len(c.stack)-run]
	}
	c.key = c.key[:0]
	for _, class := range c.stack {
		c.key = binary.AppendUvarint(c.key, uint64(class))
	}
	return c.key
}

// tell marks a small class's functions as being in the output and returns whether one was
// not.
func (c *condenser) tell(class int) (fresh bool) {
	for _, f := range c.frame[class] {
		fresh = fresh || !c.told[f]
		c.told[f] = true
	}
	return fresh
}

// locations are those of the reduced stack.
func (c *condenser) locations() []*profile.Location {
	out := make([]*profile.Location, len(c.stack))
	for i, class := range c.stack {
		out[i] = c.first[class]
	}
	return out
}
