package web

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/text"
)

// figure writes a value in a unit of proofs and differences.
func figure(v float64, unit string) string {
	switch unit {
	case "ratio":
		return figures.Tenths(v)
	case "bytes":
		return figures.Size(v)
	case "seconds":
		return seconds(v)
	case "count", "":
		return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
	}
	return fmt.Sprintf("%.3f %s", v, text.Line(unit, 20))
}

// seconds writes short times exactly, and long ones as people say them.
func seconds(v float64) string {
	if v < 120 || v > 1e9 {
		return fmt.Sprintf("%.3g s", v)
	}
	return strings.TrimSuffix(time.Duration(v*float64(time.Second)).Round(time.Minute).String(), "0s")
}

// typical writes the same figure of the others, if anybody knows it.
func typical(p gopprof.Proof) string {
	if p.Typical == nil {
		return "–"
	}
	return figure(*p.Typical, p.Unit)
}

// scopeWords says how far the trouble reaches.
func scopeWords(s gopprof.Scope) string {
	switch s {
	case gopprof.ScopePod:
		return "this pod: others of its workload are quiet"
	case gopprof.ScopeWorkload:
		return "the whole workload: load or a release, not this pod"
	case gopprof.ScopeUnknown:
		return "not known: nothing is known of other pods"
	}
	return string(s)
}

// surely is how the page colours a confidence: one of the style sheet's own words.
func surely(c gopprof.Confidence) string {
	switch c {
	case gopprof.ConfidenceSure, gopprof.ConfidenceLikely:
		return string(c)
	}
	return "unsure"
}

// path writes how a program gets to a function, outermost first.
func path(functions []string) string { return strings.Join(functions, " → ") }

// outcome says what became of a sibling.
func outcome(s gopprof.Sibling) string {
	switch s.State {
	case gopprof.SiblingStored:
		return "profiled"
	case gopprof.SiblingAsked:
		return "asked, and came too late to be compared with"
	case gopprof.SiblingFailed:
		return "failed"
	}
	return string(s.State)
}

// pictured says what the picture of the evidence shows, for who does not see it.
func pictured(c gopprof.Capture) string {
	what := "Use"
	if e := c.Trigger.Evidence; e != nil {
		switch e.Resource {
		case gopprof.ResourceCPU:
			what = "CPU use"
		case gopprof.ResourceMemory:
			what = "Memory use"
		case gopprof.ResourceThrottled:
			what = "Throttling"
		}
	}
	return fmt.Sprintf("%s of this pod in the %g minutes up to the end of its capture, as both witnesses saw it", what, gopprof.HistoryLength.Minutes())
}
