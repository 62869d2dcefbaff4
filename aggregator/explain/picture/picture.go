// Package picture draws the evidence of a capture: what both witnesses saw of the target's
// use, against its limit and the rule's threshold, in the minutes up to the capture's end.
//
// A capture enters; an SVG leaves that needs nothing beside itself. It is pure: no I/O, no
// clock, and the same capture gives the same bytes.
//
// Must never happen: a script, a reference to elsewhere or a name that is anything but text
// in the picture, whatever the target calls itself; a picture that grows with what an agent
// claims; something drawn that no witness said.
package picture

import (
	"slices"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Draw returns the picture of a capture's History, false when there is nothing to draw. A
// rule's capture shows the resource that fired (throttling with the CPU below it), any other
// the CPU, and memory beside a heap profile.
func Draw(c gopprof.Capture) (svg []byte, ok bool) {
	f, ok := frameOf(c)
	if !ok {
		return nil, false
	}
	panels := panelsOf(c, f)
	if len(panels) == 0 {
		return nil, false
	}
	return draw(c, f, panels), true
}

// frame is the stretch of time that is drawn: (start, end].
type frame struct{ start, end time.Time }

func frameOf(c gopprof.Capture) (frame, bool) {
	end := c.End
	if end.IsZero() {
		end = c.Start
	}
	return frame{end.Add(-gopprof.HistoryLength), end}, !end.IsZero()
}

// holds tells whether a moment can be marked.
func (f frame) holds(t time.Time) bool { return !t.Before(f.start) && !t.After(f.end) }

// clip returns the part of a stretch of time inside the frame, false when there is none.
func (f frame) clip(start, end time.Time) (from, to time.Time, ok bool) {
	if start.Before(f.start) {
		start = f.start
	}
	if end.After(f.end) {
		end = f.end
	}
	return start, end, start.Before(end)
}

// panelsOf returns what can be drawn of what ought to be shown.
func panelsOf(c gopprof.Capture, f frame) []panel {
	var panels []panel
	for _, r := range resources(c) {
		if p, ok := panelOf(c, f, r); ok {
			panels = append(panels, p)
		}
	}
	return panels
}

func resources(c gopprof.Capture) []gopprof.Resource {
	if e := c.Trigger.Evidence; e != nil {
		switch {
		case e.Resource == gopprof.ResourceThrottled:
			return []gopprof.Resource{gopprof.ResourceThrottled, gopprof.ResourceCPU}
		case slices.Contains(gopprof.Resources(), e.Resource):
			return []gopprof.Resource{e.Resource}
		}
	}
	if _, heap := c.Profile(gopprof.KindHeap); heap {
		return []gopprof.Resource{gopprof.ResourceCPU, gopprof.ResourceMemory}
	}
	return []gopprof.Resource{gopprof.ResourceCPU}
}
