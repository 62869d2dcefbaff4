package wire

import (
	"fmt"
	"math"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// maxValue is more than any cgroup uses of anything: an exabyte. Sums of what is below it
// stay finite.
const maxValue = 1e18

// CheckHistory tells whether a capture with this history could be sent, so that its maker
// can leave it out and send the capture.
func CheckHistory(h gopprof.History) error {
	switch {
	case h.SeriesBy == gopprof.WitnessHeapster, h.SeriesBy == gopprof.WitnessRecord:
	case h.SeriesBy != "" || len(h.Series) > 0:
		return fmt.Errorf("history: %w: series of %q", ErrInvalid, clip(string(h.SeriesBy)))
	}
	for _, points := range [][]gopprof.Point{h.Local, h.Series} {
		if err := checkCount("points of the history", len(points), gopprof.MaxHistory); err != nil {
			return err
		}
		if err := checkPoints(points); err != nil {
			return err
		}
	}
	return nil
}

// checkPoints requires what can be drawn: values that can be true, in the order of time.
func checkPoints(points []gopprof.Point) error {
	for i, p := range points {
		if err := checkTimes("history", p.Start, p.End); err != nil {
			return err
		}
		if !p.End.After(p.Start) || i > 0 && p.Start.Before(points[i-1].Start) {
			return fmt.Errorf("history: %w: point %d is out of order", ErrInvalid, i)
		}
		for _, v := range []float64{p.CPUCores, p.CPULimitCores, p.MemoryBytes, p.MemoryLimitBytes, p.AnonymousBytes} {
			if !within(v, maxValue) {
				return fmt.Errorf("history: %w: value %g of point %d", ErrInvalid, v, i)
			}
		}
		if !within(p.ThrottledRatio, 1) {
			return fmt.Errorf("history: %w: throttled ratio %g of point %d", ErrInvalid, p.ThrottledRatio, i)
		}
	}
	return nil
}

// within tells whether a number is one, from 0 to most.
func within(v, most float64) bool { return !math.IsNaN(v) && v >= 0 && v <= most }

// tidyHistory makes empty lists none, or a history that says nothing is told, and would not
// be told again.
func tidyHistory(h gopprof.History) gopprof.History {
	if len(h.Local) == 0 {
		h.Local = nil
	}
	if len(h.Series) == 0 {
		h.Series = nil
	}
	return h
}
