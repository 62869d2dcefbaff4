package picture

import (
	"time"

	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// entry is one line of the legend: a piece of what it explains, and words.
type entry struct {
	sign  func(s *sheet, x, y float64)
	words string
}

// legend explains what was drawn, in two columns below y, and returns where it ends.
func legend(s *sheet, c gopprof.Capture, f frame, panels []panel, y int) int {
	entries := entriesOf(c, f, panels)
	const columns, columnWidth, signWidth = 2, (sheetWidth - 2*margin) / 2, 34
	for i, e := range entries {
		left, middle := float64(margin+i%columns*columnWidth), float64(y+i/columns*labelHeight+8)
		e.sign(s, left, middle)
		s.text("", left+signWidth, middle+4, "start", name(e.words, legendRoom))
	}
	return y + (len(entries)+columns-1)/columns*labelHeight
}

func entriesOf(c gopprof.Capture, f frame, panels []panel) []entry {
	var local, series, limits bool
	var threshold float64
	for _, p := range panels {
		local, series = local || len(p.local) > 0, series || len(p.series) > 0
		limits = limits || p.ratios && p.resource != gopprof.ResourceThrottled
		threshold = max(threshold, p.threshold)
	}
	var out []entry
	add := func(shown bool, words string, sign func(s *sheet, x, y float64)) {
		if shown {
			out = append(out, entry{sign, words})
		}
	}
	from, to, captured := f.clip(c.Start, c.End)
	add(local, "cAdvisor, on the node", lineSign("local"))
	add(series, seriesWords(c.History.SeriesBy), seriesSign)
	add(threshold > 0, "threshold, "+figures.Percent(threshold), lineSign("threshold"))
	add(limits, limitWords(panels), lineSign("limit"))
	add(captured, "capture, "+figures.Length(to.Sub(from).Round(time.Second).Seconds()), func(s *sheet, x, y float64) { s.rect("capture", x, y-6, 26, 12) })
	add(f.holds(c.Trigger.At), fired(c.Trigger), func(s *sheet, x, y float64) {
		s.line("trigger", x+13, y, x+13, y+7)
		s.triangle("mark", x+13, y, 4)
	})
	return out
}

func lineSign(class string) func(s *sheet, x, y float64) {
	return func(s *sheet, x, y float64) { s.line(class, x, y, x+26, y) }
}

func seriesSign(s *sheet, x, y float64) {
	var bar, point pathData
	bar.move(x, y)
	bar.horizontal(x + 26)
	point.diamond(x+13, y, 4)
	s.path("series", bar)
	s.path("points", point)
}

func seriesWords(by gopprof.Witness) string {
	switch by {
	case gopprof.WitnessHeapster:
		return "Heapster's series"
	case gopprof.WitnessRecord:
		return "record, no second witness"
	}
	return "series"
}

// limitWords names what 100 % is.
func limitWords(panels []panel) string {
	for _, p := range panels {
		if p.ratios && p.resource != gopprof.ResourceThrottled && p.yardstick != "its limit" {
			return "100 %, " + p.yardstick
		}
	}
	return "100 %, the limit"
}
