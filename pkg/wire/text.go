package wire

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Bounds of what a message says beside names.
const (
	maxDetail   = 1024 // bytes of a text for people, without its end mark
	maxWord     = 64   // bytes of a word out of a closed set
	maxWindows  = 20   // of one capture; rules look at ten at most
	maxCompared = 500  // intervals that both witnesses saw; the newest are kept
)

// line makes a text for people, or of an error that quotes what was sent, one bounded line that
// may be printed. It may repeat what a
// pod or a database answered, and costs nobody the message that it is in.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	const end = "…"
	if len(s) <= maxDetail || len(s) <= maxDetail+len(end) && strings.HasSuffix(s, end) {
		return s
	}
	return strings.ToValidUTF8(s[:maxDetail], "") + end
}

// tidyCapture returns the capture with its texts for people as lines. What the caller
// shares is not changed.
func tidyCapture(c gopprof.Capture) gopprof.Capture {
	c.Agreement = tidyAgreement(c.Agreement)
	c.History = tidyHistory(c.History)
	c.Failures = slices.Clone(c.Failures)
	for i := range c.Failures {
		c.Failures[i].Detail = line(c.Failures[i].Detail)
	}
	return c
}

func tidyAgreement(a gopprof.Agreement) gopprof.Agreement {
	a.Detail = line(a.Detail)
	if a.Compared = a.Compared[max(0, len(a.Compared)-maxCompared):]; len(a.Compared) == 0 {
		a.Compared = nil // or an agreement that says nothing is told, and would not be told again
	}
	return a
}

// tidyState does the same for a node's state.
func tidyState(s gopprof.NodeState) gopprof.NodeState {
	s.Targets, s.Refused = slices.Clone(s.Targets), slices.Clone(s.Refused)
	for i := range s.Targets {
		t := &s.Targets[i]
		t.Detail, t.Rules = line(t.Detail), slices.Clone(t.Rules)
		for j := range t.Rules {
			t.Rules[j].LastAgreement = tidyAgreement(t.Rules[j].LastAgreement)
		}
	}
	for i := range s.Refused {
		s.Refused[i].Detail = line(s.Refused[i].Detail)
	}
	return s
}

// checkTrigger bounds why a capture was made.
func checkTrigger(t gopprof.Trigger) error {
	if err := checkWords("trigger", maxWord, string(t.Kind)); err != nil {
		return err
	}
	if err := checkTimes("trigger", t.At); err != nil {
		return err
	}
	if q := t.Request; q != nil {
		if err := checkWords("request", maxText, q.Who, q.Operation); err != nil {
			return err
		}
	}
	if err := checkAlert(t.Alert); err != nil {
		return err
	}
	e := t.Evidence
	if e == nil {
		return nil
	}
	if err := checkWords("evidence", maxWord, e.Rule, string(e.Resource), string(e.Policy)); err != nil {
		return err
	}
	if err := checkCount("windows", len(e.Windows), maxWindows); err != nil {
		return err
	}
	return checkWindows(e.Windows)
}

func checkWindows(windows []gopprof.Window) error {
	for _, w := range windows {
		if err := checkWords("window", maxWord, string(w.Witness), string(w.CPU.Basis), string(w.Memory.Basis)); err != nil {
			return err
		}
		if err := checkTimes("window", w.Start, w.End); err != nil {
			return err
		}
	}
	return nil
}

func checkAgreement(a gopprof.Agreement) error {
	for _, c := range a.Compared {
		if err := checkTimes("agreement", c.Start, c.End); err != nil {
			return err
		}
	}
	return checkWords("agreement", maxWord, string(a.Result), string(a.Reason))
}

// checkFailures: each kind fails once.
func checkFailures(failures []gopprof.Failure) error {
	if err := checkCount("failures", len(failures), len(gopprof.Kinds())); err != nil {
		return err
	}
	for _, f := range failures {
		if err := checkKind(f.Kind); err != nil {
			return err
		}
		if err := checkWords("failure", maxWord, string(f.Reason)); err != nil {
			return err
		}
	}
	return nil
}

func checkCount(field string, n, most int) error {
	if n > most {
		return fmt.Errorf("%s: %w: %d of them, at most %d", field, ErrTooLarge, n, most)
	}
	return nil
}
