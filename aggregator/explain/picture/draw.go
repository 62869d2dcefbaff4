package picture

import (
	"fmt"
	"time"

	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// The sheet is narrow, so that it can be read on a telephone. Lengths are in its own units,
// as wide as one pixel where it is not scaled.
const (
	sheetWidth  = 440
	margin      = 12
	plotLeft    = 54
	plotRight   = sheetWidth - 20
	plotHeight  = 140
	headHeight  = 44
	labelHeight = 18 // of a line of text
	legendRoom  = 30 // characters of one entry
)

// draw lays everything out, from above to below.
func draw(c gopprof.Capture, f frame, panels []panel) []byte {
	t := c.Target
	s := &sheet{}
	s.head("title", 20, name(t.Namespace+"/"+t.Pod, room("title")))
	s.head("", 38, fmt.Sprintf("%s, %s to %s UTC, %s", f.end.UTC().Format("2006-01-02"), minute(f.start), minute(f.end), why(c)))
	y := headHeight
	for _, p := range panels {
		y = plotOf(s, c, f, p, y)
	}
	y = legend(s, c, f, panels, y+4)
	title := fmt.Sprintf("%s of %s/%s before its capture", panels[0].what(), name(t.Namespace, 100), name(t.Pod, 100))
	return s.close(y+8, title, description(c, f, panels))
}

// plot is one panel's place on the sheet.
type plot struct {
	*sheet
	frame
	scale
	panel
	top, bottom float64
}

// plotOf draws one panel below y and returns where it ends.
func plotOf(s *sheet, c gopprof.Capture, f frame, p panel, y int) int {
	top := y + 3*labelHeight
	a := plot{sheet: s, frame: f, scale: scaleOf(p), panel: p, top: float64(top), bottom: float64(top + plotHeight)}
	s.head("strong", y+16, p.heading(a.unit))
	s.head("", y+16+labelHeight, p.peaks(c.History.SeriesBy))
	a.shade(c)
	a.axes()
	a.bounds()
	a.steps()
	a.minutes()
	a.trigger(c.Trigger)
	return top + plotHeight + labelHeight + 4
}

func (a plot) x(t time.Time) float64 {
	return plotLeft + (plotRight-plotLeft)*float64(t.Sub(a.start))/float64(a.end.Sub(a.start))
}

// y puts what lies above the axis at its upper edge.
func (a plot) y(v float64) float64 {
	return a.bottom - plotHeight*min(v/a.scale.top, 1)
}

// shade marks the time of the capture.
func (a plot) shade(c gopprof.Capture) {
	if from, to, ok := a.clip(c.Start, c.End); ok {
		a.rect("capture", a.x(from), a.top, max(a.x(to)-a.x(from), 2), plotHeight)
	}
}

// axes draws the grid with its labels.
func (a plot) axes() {
	for v := 0.0; v <= a.scale.top*1.001; v += a.step {
		a.line("grid", plotLeft, a.y(v), plotRight, a.y(v))
		label := figures.Cores(v / a.divisor) // to three digits behind the point
		if a.unit == "%" {
			label += " %"
		}
		a.text("tick", plotLeft-6, a.y(v)+4, "end", label)
	}
	first := a.start.UTC().Truncate(time.Minute)
	for i := range gopprof.HistoryLength/time.Minute + 2 {
		switch t := first.Add(i * time.Minute); {
		case !a.holds(t):
		case t.Equal(t.Truncate(5 * time.Minute)):
			a.line("grid", a.x(t), a.top, a.x(t), a.bottom+5)
			a.text("tick", a.x(t), a.bottom+17, "middle", minute(t))
		default:
			a.line("grid", a.x(t), a.bottom, a.x(t), a.bottom+3)
		}
	}
}

// bounds draws the limit and the threshold.
func (a plot) bounds() {
	if a.ratios && a.resource != gopprof.ResourceThrottled {
		a.line("limit", plotLeft, a.y(1), plotRight, a.y(1))
	}
	if a.threshold > 0 {
		a.line("threshold", plotLeft, a.y(a.threshold), plotRight, a.y(a.threshold))
	}
}

// joined is how far two readings may be apart to be drawn as one line: clocks are no better.
const joined = time.Second

// steps draws the local readings as one line that breaks where there are none.
func (a plot) steps() {
	var d pathData
	for i, s := range a.local {
		if i > 0 && s.start.Sub(a.local[i-1].end) <= joined {
			d.vertical(a.y(s.value))
		} else {
			d.move(a.x(s.start), a.y(s.value))
		}
		d.horizontal(a.x(s.end))
	}
	a.path("local", d)
}

// minutes draws each interval of the series as a bar with a diamond on it.
func (a plot) minutes() {
	var bars, points pathData
	for _, s := range a.series {
		from, to, y := a.x(s.start), a.x(s.end), a.y(s.value)
		bars.move(from, y)
		bars.horizontal(to)
		points.diamond((from+to)/2, y, 4)
	}
	a.path("series", bars)
	a.path("points", points)
}

// trigger marks the moment of the decision, its words on the side where there is room.
func (a plot) trigger(t gopprof.Trigger) {
	if !a.holds(t.At) {
		return
	}
	x := a.x(t.At)
	a.line("trigger", x, a.top, x, a.bottom)
	a.triangle("mark", x, a.top, 5)
	if x > (plotLeft+plotRight)/2 {
		a.text("tick", x-8, a.top-4, "end", fired(t))
		return
	}
	a.text("tick", x+8, a.top-4, "start", fired(t))
}
