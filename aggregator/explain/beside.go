package explain

import (
	"fmt"

	"github.com/gopprof/gopprof/aggregator/explain/cause"
	"github.com/gopprof/gopprof/aggregator/explain/compare"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// maxOthers is how many quiet captures one is compared with.
const maxOthers = 4

// beside is what the quiet captures say, by kind.
type beside struct {
	others      map[gopprof.Kind][]cause.Other
	differences []gopprof.Difference
	unread      []string // those that could not be read, and why
	held        int64    // bytes of the capture's profiles: they are to be drawn, and stay in memory
}

// lookAround reads the others' profiles, one at a time, and compares.
func lookAround(c gopprof.Capture, found findings, around Around, r *reader) beside {
	b := beside{others: map[gopprof.Kind][]cause.Other{}}
	for _, file := range c.Profiles {
		b.held += int64(len(file.Bytes))
	}
	others := around.Others[:min(len(around.Others), maxOthers)]
	for _, file := range c.Profiles {
		here := found[file.Kind].shape
		if here == nil || !compare.Comparable(file.Kind) {
			continue
		}
		var sides []compare.Side
		for _, o := range others {
			s := b.read(o, here, r)
			if s == nil {
				continue
			}
			sides = append(sides, compare.Side{Who: who(o), Shape: s, Requests: requests(o.Report.Capture, s)})
			b.others[file.Kind] = append(b.others[file.Kind], cause.Other{Capture: o.Report.Capture, Shape: s})
		}
		if d, ok := compare.Compare(compare.Side{Shape: here, Requests: requests(c, here)}, sides); ok {
			b.differences = append(b.differences, d)
		} else {
			delete(b.others, file.Kind)
		}
	}
	return b
}

// read reads the profile of another capture that is to be compared with one here, nil when
// it has none that is of use.
func (b *beside) read(o Other, here *profile.Shape, r *reader) *profile.Shape {
	k := here.Kind
	taken, ok := o.Report.Capture.Profile(k)
	if !ok {
		return nil
	}
	r.release()
	data, err := o.Read(k)
	if err == nil {
		var w *profile.Weighed
		if w, err = r.weighBeside(b.held, k, data); err == nil {
			top := w.Top(1)
			if (finding{top: top}).usable() && w.Negative == 0 {
				return w.ShapeLike(here, length(taken.Seconds, top))
			}
			return nil
		}
	}
	b.unread = append(b.unread, fmt.Sprintf("not compared with the %s profile of pod %s: %s", k, quote(o.Report.Capture.Target.Pod), quote(err.Error())))
	return nil
}

// requests is how many requests a capture's target served a second, 0 when that is not known.
func requests(c gopprof.Capture, cpu *profile.Shape) float64 {
	if !(cpu.Seconds > 0) {
		return 0
	}
	return c.Requests / cpu.Seconds
}

func who(o Other) gopprof.Comparator {
	return gopprof.Comparator{Report: o.Report.ID, Pod: o.Report.Capture.Target.Pod, Earlier: o.Earlier}
}

// facts is all of it as the rules look at it.
func (b beside) facts(c gopprof.Capture, around Around, found findings, d doubts) cause.Facts {
	f := cause.Facts{
		Capture: c, Fleet: around.Fleet, Here: map[gopprof.Kind]*profile.Shape{},
		Others: b.others, Differences: map[gopprof.Kind]gopprof.Difference{}, Doubted: d.contradicted || d.process, FewLooks: d.few,
	}
	for k, one := range found {
		if one.shape != nil {
			f.Here[k] = one.shape
		}
	}
	for _, d := range b.differences {
		f.Differences[d.Kind] = d
	}
	return f
}
