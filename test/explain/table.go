package main

import (
	"fmt"
	"io"
	"strings"
)

// leastRight is the share of cases that must be right first.
const leastRight = 0.95

// score is the account of a run.
type score struct {
	Cases   int     `json:"cases"`
	Right   int     `json:"right"`
	False   int     `json:"falseCertainties"`
	Failed  int     `json:"failed"` // could not be run
	Share   float64 `json:"shareRight"`
	Reached bool    `json:"reached"` // leastRight, and no false certainty
}

func scoreOf(outcomes []outcome, failed int) score {
	s := score{Cases: len(outcomes) + failed, Failed: failed}
	for _, o := range outcomes {
		if o.Right {
			s.Right++
		}
		if o.FalseCertainty {
			s.False++
		}
	}
	if s.Cases > 0 {
		s.Share = float64(s.Right) / float64(s.Cases)
	}
	s.Reached = s.Cases > 0 && s.Share >= leastRight && s.False == 0
	return s
}

// printTable writes all outcomes as a table that pages of documentation can take.
func printTable(w io.Writer, outcomes []outcome) {
	fmt.Fprint(w, "| planted | the report's first line | | first line of `go tool pprof -top` |\n|---|---|---|---|\n")
	for _, o := range outcomes {
		fmt.Fprintf(w, "| **%s**: %s | %s | %s | %s |\n", o.Case, cell(o.Description), cell(o.Summary), cell(o.verdict()), cell(o.Pprof))
	}
}

func (o outcome) verdict() string {
	switch {
	case o.Right:
		return "right"
	case o.FalseCertainty:
		return "WRONG and sure: " + o.Why
	default:
		return "wrong: " + o.Why
	}
}

// cell is a text that does not end its column.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(strings.TrimSpace(text))
}

func printScore(w io.Writer, s score) {
	fmt.Fprintf(w, "\n%d of %d right first (%.0f %%; to be reached: %.0f %%), %d false certainties", s.Right, s.Cases, 100*s.Share, 100*leastRight, s.False)
	if s.Failed > 0 {
		fmt.Fprintf(w, ", %d could not be run", s.Failed)
	}
	fmt.Fprintln(w)
}
