package cause

import (
	"fmt"
	"math"
	"time"

	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// growing tells how fast memory grows and when the limit is reached, if it grows steadily.
func (j judged) growing(c *gopprof.Cause) string {
	points := j.Capture.History.Local
	perSecond, ok := slope(points)
	if !ok {
		return ""
	}
	c.Proof = append(c.Proof, gopprof.Proof{What: "growth of the memory in use, per minute", Value: figures.Tidy(perSecond * 60), Unit: "bytes"})
	said := fmt.Sprintf("; memory grows by %s a minute", figures.Size(math.Round(perSecond*60)))
	last := points[len(points)-1]
	left := (last.MemoryLimitBytes - last.MemoryBytes) / perSecond
	if last.MemoryLimitBytes > 0 && left > 0 && left < (24*time.Hour).Seconds() {
		c.Proof = append(c.Proof, gopprof.Proof{What: "time to the limit", Value: figures.Tidy(left), Unit: "seconds"})
		said += " and reaches its limit in " + about(time.Duration(left*float64(time.Second)))
	}
	return said
}

func about(d time.Duration) string {
	switch {
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

const (
	trendPoints = 6    // readings that a trend is told from, at least
	steady      = 0.8  // share of the variance that a steady growth explains (R²)
	fall        = 0.1  // how much less memory in use is called a fall
	flat        = 0.02 // growth over the whole span that is called none
)

// slope fits a straight line through the newest readings of memory (least squares) and
// returns its slope in bytes a second: false when they do not grow, or not steadily. What was
// before the last fall counts for nothing: a collection, a restart.
func slope(points []gopprof.Point) (float64, bool) {
	points = sinceFall(points)
	n := float64(len(points))
	if len(points) < trendPoints {
		return 0, false
	}
	first := points[0]
	var sx, sy, sxx, sxy, syy float64
	for _, p := range points {
		x, y := p.End.Sub(first.End).Seconds(), p.MemoryBytes-first.MemoryBytes
		sx, sy, sxx, sxy, syy = sx+x, sy+y, sxx+x*x, sxy+x*y, syy+y*y
	}
	dx, dy, d := n*sxx-sx*sx, n*syy-sy*sy, n*sxy-sx*sy
	if !(dx > 0) || !(dy > 0) || !(d > 0) || d*d/(dx*dy) < steady {
		return 0, false
	}
	span := points[len(points)-1].End.Sub(first.End).Seconds()
	return d / dx, d/dx*span > flat*first.MemoryBytes
}

// sinceFall returns the readings since memory was given back last.
func sinceFall(points []gopprof.Point) []gopprof.Point {
	for i := len(points) - 1; i >= 0; i-- {
		if !points[i].HasMemory {
			return points[i+1:]
		}
		if i > 0 && points[i].MemoryBytes < (1-fall)*points[i-1].MemoryBytes {
			return points[i:]
		}
	}
	return points
}
