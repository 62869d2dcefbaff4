package soak

import (
	"fmt"
	"time"

	"github.com/gopprof/gopprof/test/rig"
)

// Trigger is one firing of a rule on a target.
type Trigger struct {
	Target, Rule string
	Fired        time.Time
	Capture      string // the ID that its capture has, if there will be one
	Ends         []End  // exactly one, or there is a fault

	life   int
	closed bool // the agent's log says how it ended
	said   Life // the life that said so, at the time
	at     time.Time
}

// String names the trigger for a person.
func (t *Trigger) String() string {
	name := fmt.Sprintf("%s on %s at %s", t.Rule, t.Target, t.Fired.Format("15:04:05.000"))
	if t.Capture != "" {
		name += " (capture " + t.Capture + ")"
	}
	return name
}

// End is how a trigger ended.
type End struct {
	How    How
	Reason string // of those that have one; of Joined, the capture
}

// How is a way in which a trigger may end.
type How string

// The ways.
const (
	Reported How = "report"          // committed under its own ID
	Joined   How = "joined"          // another rule's capture of the target was its, too
	Refused  How = "refused"         // by agent or aggregator, with a reason
	Lost     How = "lost with agent" // killed, and could not write it down, with that reason
	Dead     How = "dead letter"
)

// hasReason tells whether it must be for one of the closed set.
func (h How) hasReason() bool { return h == Refused || h == Lost || h == Dead }

// agentDied is the reason that the next life gives for what one had in hand.
const agentDied = "agent_died"

// timeLayout is that of zap's ISO 8601.
const timeLayout = "2006-01-02T15:04:05.000Z0700"

// read returns the triggers of the lives, each with the end that the agent's log gives it,
// and what cannot be: on one target a rule fires again only when what it did before ended.
func read(lives []Life) (triggers []*Trigger, faults []string) {
	left := map[string]*Trigger{}
	for i, life := range lives {
		r := reader{life: i, lives: lives, open: map[string]*Trigger{}, left: left}
		for _, l := range life.Lines {
			r.line(l)
		}
		triggers, faults = append(triggers, r.triggers...), append(faults, r.faults...)
		for _, t := range r.triggers {
			left[t.Capture] = t
		}
	}
	return triggers, faults
}

// reader reads one life.
type reader struct {
	life     int
	lives    []Life
	left     map[string]*Trigger // of the lives before, by capture
	open     map[string]*Trigger // by target and rule
	triggers []*Trigger
	faults   []string
}

func (r *reader) line(l rig.Line) {
	target := l.Text("namespace") + "/" + l.Text("pod")
	key, message := target+" "+l.Text("rule"), l.Text("msg")
	t := r.open[key]
	if message == lineNothing && l.Text("reason") == agentDied {
		r.died(l, target)
		return
	}
	switch message {
	case lineFired:
		if t != nil {
			r.faults = append(r.faults, fmt.Sprintf("%s: fired again before it ended", t))
		}
		at, err := time.Parse(timeLayout, l.Text("time"))
		if err != nil {
			r.faults = append(r.faults, fmt.Sprintf("a line without its time: %v", l))
		}
		t = &Trigger{Target: target, Rule: l.Text("rule"), Fired: at, Capture: l.Text("capture"), life: r.life}
		if t.Capture == "" {
			r.faults = append(r.faults, fmt.Sprintf("%s: fired without an ID", t))
		}
		r.open[key], r.triggers = t, append(r.triggers, t)
	case lineAsked, lineJoined, lineNothing, lineHanded:
		if t == nil {
			r.faults = append(r.faults, fmt.Sprintf("%s of %s, which did not fire", message, key))
			return
		}
		r.went(t, l)
		if t.closed {
			delete(r.open, key)
		}
	}
}

// died notes the end of a trigger that an earlier life had in hand. It may have said how the
// trigger ended, and been killed before it had struck it out, or before that it came to nothing
// was in the spool: then it is told anew, and is no further end.
func (r *reader) died(l rig.Line, target string) {
	t := r.left[l.Text("capture")]
	if t == nil {
		t = r.unsaid(l, target)
	}
	if t == nil || l.Text("capture") == "" || t.Target != target || t.Rule != l.Text("rule") {
		r.faults = append(r.faults, fmt.Sprintf("%s of %s: no agent before had it in hand", agentDied, l.Text("capture")))
		return
	}
	at, _ := time.Parse(timeLayout, l.Text("time"))
	if !t.again() {
		t.Ends = append(t.Ends, End{How: Refused, Reason: agentDied})
	}
	t.closed, t.said, t.at = true, r.lives[r.life], at
}

// unsaid returns the trigger whose life was killed when it had written it down and not said
// yet that the rule fired; nil if there was no such life.
func (r *reader) unsaid(l rig.Line, target string) *Trigger {
	fired, err := time.Parse(timeLayout, l.Text("since"))
	if err != nil || l.Text("capture") == "" {
		return nil
	}
	for i, life := range r.lives[:r.life] {
		if life.Killed.Sub(fired).Abs() < noted {
			t := &Trigger{Target: target, Rule: l.Text("rule"), Fired: fired, Capture: l.Text("capture"), life: i}
			r.triggers, r.left[t.Capture] = append(r.triggers, t), t
			return t
		}
	}
	return nil
}

// again tells whether that the agent died with it may be told though its end is known.
func (t *Trigger) again() bool {
	if !t.closed || len(t.Ends) != 1 {
		return false
	}
	within := map[How]time.Duration{Refused: written, Joined: noted}[t.Ends[0].How]
	return t.said.Killed.Sub(t.at).Abs() < within
}

// went notes how a trigger went on.
func (r *reader) went(t *Trigger, l rig.Line) {
	capture := l.Text("capture")
	switch l.Text("msg") {
	case lineAsked:
		if capture != t.Capture {
			r.faults = append(r.faults, fmt.Sprintf("%s: asked for as capture %q", t, capture))
		}
		return
	case lineJoined:
		t.Ends = append(t.Ends, End{How: Joined, Reason: capture})
	case lineNothing:
		t.Ends = append(t.Ends, End{How: Refused, Reason: l.Text("reason")})
		fallthrough
	case lineHanded:
		if capture != t.Capture {
			r.faults = append(r.faults, fmt.Sprintf("%s: ended as capture %q", t, capture))
		}
	}
	t.closed, t.said = true, r.lives[r.life]
	t.at, _ = time.Parse(timeLayout, l.Text("time"))
}
