package soak

import (
	"fmt"
	"slices"
	"time"

	"github.com/gopprof/gopprof/test/rig"
)

// Account says of every trigger how it ended.
type Account struct {
	Triggers []*Trigger
	Faults   []string // nothing: all is accounted for
}

// longest is the longest that a firing may take until it is in the spool or refused: 90
// seconds for its turn, and the profiles. What was killed later than that was not in hand.
const longest = 2 * time.Minute

// noted is the longest that it may take from a firing's being written down until that is
// said, and from its end's being said until it is struck out: one small file on a busy disk.
const noted = 2 * time.Second

// written is the longest that a capture may lie between taken and spooled, on a busy disk.
const written = 20 * time.Second

// Make makes the account. reasons is the closed set.
func Make(b Books, reasons map[string]bool) Account {
	a := Account{}
	a.Triggers, a.Faults = read(b.Agent)
	a.reports(b)
	a.lost(b)
	for _, t := range a.Triggers {
		a.check(t, reasons)
	}
	a.joined()
	a.told(b)
	slices.Sort(a.Faults)
	return a
}

func (a *Account) fault(format string, args ...any) {
	a.Faults = append(a.Faults, fmt.Sprintf(format, args...))
}

// reports gives the triggers the ends that do not stand in the agent's log.
func (a *Account) reports(b Books) {
	stored, seen := count(b.Stored), map[string]bool{}
	for _, t := range a.Triggers {
		if t.Capture == "" {
			continue
		}
		if seen[t.Capture] {
			a.fault("%s: another trigger has the same capture", t)
		}
		seen[t.Capture] = true
		if stored[t.Capture] > 0 {
			t.Ends = append(t.Ends, End{How: Reported})
		}
		if reason, dead := b.Dead[t.Capture]; dead {
			t.Ends = append(t.Ends, End{How: Dead, Reason: reason})
		}
	}
	for id := range stored {
		if !seen[id] {
			a.fault("report %s has no trigger", id)
		}
	}
	for id := range b.Dead {
		if !seen[id] {
			a.fault("dead letter %s has no trigger", id)
		}
	}
}

// lost finds the triggers that ended with the agent. What fires is in hand before it is said,
// and the next agent says that this one died with it, or the spool has it. The rest the agent
// could not write down, and has said why.
func (a *Account) lost(b Books) {
	safe := durable(b.Agent)
	for _, t := range a.Triggers {
		life := b.Agent[t.life]
		died := slices.Equal(t.Ends, []End{{How: Refused, Reason: agentDied}})
		switch {
		case died && life.Killed.IsZero():
			a.fault("%s: nobody killed the agent that died with it", t)
		case died && durable([]Life{life})[t.Capture]:
			a.fault("%s: in the spool when the agent died with it", t)
		case died:
		case t.closed || len(t.Ends) > 0 || life.Killed.IsZero() || safe[t.Capture]:
			continue
		case mentions(life, t.Capture, lineFiringInHand, lineInHand):
			a.fault("%s: in hand when the agent was killed, and the next one did not say so", t)
		case mentions(life, t.Capture, lineNotInHand):
			t.Ends = append(t.Ends, End{How: Lost, Reason: first(life, t.Capture, lineNotInHand).Text("reason")})
		default:
			a.fault("%s: fired, and was not in hand when the agent was killed", t)
		}
		if held := life.Killed.Sub(t.Fired); held > longest {
			a.fault("%s: %s before the agent was killed, and still in hand", t, held)
		}
		if held := life.Killed.Sub(taken(life, t.Capture)); t.Capture != "" && held > written {
			a.fault("%s: taken %s before the agent was killed, and not in the spool", t, held)
		}
	}
}

// mentions tells whether a life said one of the messages of the capture.
func mentions(life Life, capture string, messages ...string) bool {
	return first(life, capture, messages...) != nil
}

// first returns the first such line of the life, nil if there is none.
func first(life Life, capture string, messages ...string) rig.Line {
	for _, l := range life.Lines {
		if capture != "" && l.Text("capture") == capture && slices.Contains(messages, l.Text("msg")) {
			return l
		}
	}
	return nil
}

// taken returns when the profiles of a capture were there; the end of the life if they
// never were.
func taken(life Life, capture string) time.Time {
	if at, err := time.Parse(timeLayout, first(life, capture, lineTaken).Text("time")); err == nil {
		return at
	}
	return life.Killed
}

// check looks at the ends of one trigger.
func (a *Account) check(t *Trigger, reasons map[string]bool) {
	if len(t.Ends) != 1 {
		a.fault("%s: ended in %d ways, want one: %v", t, len(t.Ends), t.Ends)
		return
	}
	end := t.Ends[0]
	if named := end.How.hasReason(); named && (!reasons[end.Reason] || end.Reason == "internal" || end.Reason == "fired") {
		a.fault("%s: %s for the reason %q, which is none", t, end.How, end.Reason)
	}
}

// joined checks that what was joined became a report.
func (a *Account) joined() {
	reported := map[string]bool{}
	for _, t := range a.Triggers {
		reported[t.Capture] = slices.Contains(t.Ends, End{How: Reported})
	}
	for _, t := range a.Triggers {
		if end := t.Ends; len(end) == 1 && end[0].How == Joined && !reported[end[0].Reason] {
			a.fault("%s: joined capture %q, which became no report", t, end[0].Reason)
		}
	}
}

// told checks that everybody knows of the same reports: store, list and stream of each one
// exactly once, the owner at least once.
func (a *Account) told(b Books) {
	stored := count(b.Stored)
	for where, ids := range map[string][]string{"in the store": b.Stored, "in the list": b.Listed, "in the stream": b.Announced} {
		have := count(ids)
		for id := range stored {
			if have[id] != 1 {
				a.fault("report %s is %d times %s, want once", id, have[id], where)
			}
		}
		for id := range have {
			if stored[id] == 0 {
				a.fault("report %s is %s and not in the store", id, where)
			}
		}
	}
	for id := range stored {
		if told := b.Told[id]; told == 0 && !b.Silent[id] {
			a.fault("report %s was not told to its owner", id)
		} else if told > 0 && b.Silent[id] {
			a.fault("report %s was contradicted, and told to its owner", id)
		}
	}
	for id := range b.Told {
		if stored[id] == 0 {
			a.fault("report %s was told, and is not in the store", id)
		}
	}
}

func count(ids []string) map[string]int {
	n := map[string]int{}
	for _, id := range ids {
		n[id]++
	}
	return n
}
