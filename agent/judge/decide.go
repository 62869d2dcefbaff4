package judge

import (
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// State is what a rule remembers of one target. The zero value is a rule that never
// fired: armed, no cooldown.
type State struct {
	FiredAt time.Time `json:"firedAt,omitzero"`
	// Disarmed is set by firing and cleared by a window below the rule's re-arm level.
	Disarmed bool `json:"disarmed,omitempty"`
	// Peaked is set when the at-once level fired since the rule was last armed.
	Peaked bool `json:"peaked,omitempty"`
	// Cooldown is how long the last firing holds the next one off. It doubles when the
	// rule fires again soon after it ended.
	Cooldown time.Duration `json:"cooldown,omitempty"`
	// NotBefore is the end of the cooldown after a capture.
	NotBefore time.Time `json:"notBefore,omitzero"`
	// HeldUntil holds the rule off for a moment after a refusal, and Held is the reason of
	// that refusal. It neither begins nor ends a cooldown.
	HeldUntil time.Time      `json:"heldUntil,omitzero"`
	Held      gopprof.Reason `json:"held,omitempty"`
	// Image is what ran when the rule fired: another image is a change that ends the
	// back-off.
	Image string `json:"image,omitempty"`
}

// Seen is what one turn knows of a target.
type Seen struct {
	Windows []gopprof.Window // the rule's last windows, oldest first, disjoint
	Latest  gopprof.Window   // the newest reading alone; zero when there is none
	Image   string
}

// Decide says whether a rule fires: a non-nil evidence with ReasonFired, or the reason
// why not. It is pure; the state it returns is the one to keep. A firing is not yet
// remembered in the state: that is Captured's or Refused's to do, when it is known what
// became of it.
func Decide(rule gopprof.Rule, state State, seen Seen, now time.Time) (State, *gopprof.Evidence, gopprof.Reason) {
	state = withinClock(rule, state, now)
	if below(rule, seen, now) {
		state.Disarmed, state.Peaked = false, false
	}
	evidence, reason := evidenceOf(rule, seen, now)
	switch {
	case evidence == nil:
		return state, nil, reason
	case now.Before(state.HeldUntil):
		return state, nil, state.Held
	case climbed(state, *evidence):
		return state, evidence, gopprof.ReasonFired
	case state.Disarmed:
		return state, nil, gopprof.ReasonNotRearmed
	case now.Before(state.NotBefore):
		return state, nil, gopprof.ReasonCooldown
	}
	return state, evidence, gopprof.ReasonFired
}

// climbed tells whether a target that was captured on its way up has now reached the
// at-once level. That is a change, so neither re-arming nor cooldown holds it off; but it
// counts once, and a saw-tooth that fell below the re-arm level in between waits.
func climbed(state State, evidence gopprof.Evidence) bool {
	return evidence.AtOnce && state.Disarmed && !state.Peaked
}

// Captured remembers a firing whose capture was made: the rule is disarmed, and held off
// for a cooldown that doubles as long as firing follows firing and nothing changes.
func Captured(rule gopprof.Rule, state State, evidence gopprof.Evidence, image string, now time.Time) State {
	cooldown := rule.Cooldown
	if now.Before(state.backOffEnds()) && state.Image == image {
		cooldown = min(2*state.Cooldown, rule.MaxCooldown)
	}
	return State{
		FiredAt:   now,
		Disarmed:  true,
		Peaked:    evidence.AtOnce || state.Peaked,
		Cooldown:  cooldown,
		NotBefore: now.Add(cooldown),
		Image:     image,
	}
}

// Refused remembers a firing that came to nothing. It costs no cooldown, and ends none:
// the rule may fire again after one window, and says until then why it did not get
// further.
func Refused(rule gopprof.Rule, state State, reason gopprof.Reason, now time.Time) State {
	state.HeldUntil, state.Held = now.Add(rule.Window), reason
	return state
}

// backOffEnds is until when another firing follows so soon that the cooldown doubles; the
// zero time when the rule never fired.
func (s State) backOffEnds() time.Time {
	if s.FiredAt.IsZero() {
		return time.Time{}
	}
	return s.FiredAt.Add(2 * s.Cooldown)
}

// holdsUntil is until when the state matters to a target that is not there: afterwards it
// is like one that never fired.
func (s State) holdsUntil() time.Time {
	return later(later(s.NotBefore, s.HeldUntil), s.backOffEnds())
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// withinClock keeps a clock that jumped backwards from holding a rule off for longer than
// its cooldown.
func withinClock(rule gopprof.Rule, state State, now time.Time) State {
	if longest := now.Add(state.Cooldown); state.NotBefore.After(longest) {
		state.NotBefore = longest
	}
	if longest := now.Add(rule.Window); state.HeldUntil.After(longest) {
		state.HeldUntil = longest
	}
	if state.FiredAt.After(now) {
		state.FiredAt = now
	}
	return state
}

func below(rule gopprof.Rule, seen Seen, now time.Time) bool {
	newest, ok := newestWindow(rule, seen, now)
	if !ok {
		return false
	}
	ratio, limited := newest.Ratio(rule.Resource)
	return limited && ratio < rule.Rearm
}

// evidenceOf returns what makes the rule fire, or the reason why nothing does.
func evidenceOf(rule gopprof.Rule, seen Seen, now time.Time) (*gopprof.Evidence, gopprof.Reason) {
	if atOnce(rule, seen, now) {
		return newEvidence(rule, rule.AtOnce, true, []gopprof.Window{seen.Latest}), gopprof.ReasonFired
	}
	newest, ok := newestWindow(rule, seen, now)
	if !ok || !newest.Has(rule.Resource) {
		return nil, gopprof.ReasonNoReadings
	}
	ratio, limited := newest.Ratio(rule.Resource)
	switch {
	case !limited:
		return nil, gopprof.ReasonNoLimit
	case ratio <= rule.Threshold:
		return nil, gopprof.ReasonBelowThreshold
	case len(seen.Windows) < rule.InARow:
		return nil, gopprof.ReasonOneWindow
	}
	row := seen.Windows[len(seen.Windows)-rule.InARow:]
	for _, w := range row {
		if ratio, limited := w.Ratio(rule.Resource); !limited || !covered(w) || ratio <= rule.Threshold {
			return nil, gopprof.ReasonOneWindow
		}
	}
	return newEvidence(rule, rule.Threshold, false, row), gopprof.ReasonFired
}

func newEvidence(rule gopprof.Rule, threshold float64, atOnce bool, row []gopprof.Window) *gopprof.Evidence {
	return &gopprof.Evidence{
		Rule: rule.Name, Resource: rule.Resource, Threshold: threshold, AtOnce: atOnce,
		WindowSeconds: rule.Window.Seconds(), Windows: append([]gopprof.Window(nil), row...),
	}
}

func atOnce(rule gopprof.Rule, seen Seen, now time.Time) bool {
	if rule.AtOnce <= 0 || !fresh(seen.Latest, rule, now) {
		return false
	}
	ratio, limited := seen.Latest.Ratio(rule.Resource)
	return limited && ratio >= rule.AtOnce
}

// newestWindow returns the newest window if it may be judged.
func newestWindow(rule gopprof.Rule, seen Seen, now time.Time) (gopprof.Window, bool) {
	if len(seen.Windows) == 0 {
		return gopprof.Window{}, false
	}
	w := seen.Windows[len(seen.Windows)-1]
	return w, covered(w) && fresh(w, rule, now)
}

func covered(w gopprof.Window) bool { return w.CoveredRatio >= gopprof.MinCovered }

// fresh tells whether a window ended within two windows' length of now, in either
// direction: a clock that jumped makes windows of another time. One length is too little
// for series, whose newest interval is judged up to an interval after it arrived.
func fresh(w gopprof.Window, rule gopprof.Rule, now time.Time) bool {
	return !w.End.IsZero() && now.Sub(w.End).Abs() <= 2*rule.Window
}
