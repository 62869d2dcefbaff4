package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// judgement is whether a report found what was planted.
type judgement struct {
	Right bool `json:"right"`
	// FalseCertainty is a wrong answer that was said to be sure.
	FalseCertainty bool   `json:"falseCertainty"`
	Why            string `json:"why"` // of wrong
}

// judge compares a report with what was to be found.
func judge(c Case, r gopprof.Report) judgement {
	causes := causesOf(r)
	if c.Expect.Control {
		return judgeControl(c.Expect, causes)
	}
	var wrong []string
	if rule := ruleOf(r); !slices.Contains(c.Rules, rule) {
		wrong = append(wrong, fmt.Sprintf("rule %q fired", rule))
	}
	if first := firstKind(causes); !slices.Contains(c.Expect.Causes, first) {
		wrong = append(wrong, fmt.Sprintf("first cause %q, not %s", first, strings.Join(c.Expect.Causes, " or ")))
	}
	if !matches(c.Expect.Summary, r.Explanation.Summary) {
		wrong = append(wrong, fmt.Sprintf("first line without %q", c.Expect.Summary))
	}
	never := broken(c.Expect.Never, r.Explanation.Summary, causes)
	j := judgement{Right: len(wrong) == 0 && len(never) == 0, Why: strings.Join(append(wrong, never...), "; ")}
	sure := len(causes) > 0 && causes[0].Confidence == gopprof.ConfidenceSure
	j.FalseCertainty = !j.Right && (sure || slices.ContainsFunc(never, func(w string) bool { return strings.HasPrefix(w, "sure of ") }))
	return j
}

// judgeControl is for cases without a cause in the code.
func judgeControl(e Expect, causes []gopprof.Cause) judgement {
	for _, cause := range causes {
		if cause.Confidence == gopprof.ConfidenceSure && !slices.Contains(e.Causes, string(cause.Kind)) {
			return judgement{FalseCertainty: true, Why: fmt.Sprintf("sure of %q, where nothing is wrong", cause.Line)}
		}
	}
	return judgement{Right: true}
}

// broken lists what must never be said, and was.
func broken(never []string, summary string, causes []gopprof.Cause) (said []string) {
	for _, pattern := range never {
		if matches(pattern, summary) {
			said = append(said, fmt.Sprintf("first line with %q", pattern))
		}
		for _, cause := range causes {
			if cause.Confidence == gopprof.ConfidenceSure && matches(pattern, cause.Line) {
				said = append(said, fmt.Sprintf("sure of %q", cause.Line))
			}
		}
	}
	return said
}

func matches(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) } // checked when it was read

func causesOf(r gopprof.Report) []gopprof.Cause {
	if r.Explanation.Verdict == nil {
		return nil
	}
	return r.Explanation.Verdict.Causes
}

func firstKind(causes []gopprof.Cause) string {
	if len(causes) == 0 {
		return noCause
	}
	return string(causes[0].Kind)
}

func ruleOf(r gopprof.Report) string {
	if e := r.Capture.Trigger.Evidence; e != nil {
		return e.Rule
	}
	return ""
}
