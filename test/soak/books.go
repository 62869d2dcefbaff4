// Package soak lets gopprof work for a long time while its parts fail one after the other,
// and accounts for every trigger afterwards.
//
// A length and a seed enter; a table leaves, and a failure for every trigger that did not
// end in exactly one way: a report or a named reason. The account (books.go, read.go,
// account.go) is pure: logs and findings enter, an account and its faults leave. It may believe neither program: that a
// report exists is what the store, the API, the stream and the owner say of it.
package soak

import (
	"fmt"
	"slices"
	"time"

	"github.com/gopprof/gopprof/test/rig"
)

// Life is one life of the agent's process.
type Life struct {
	Lines  []rig.Line
	Killed time.Time // zero: it was not killed, but lives or ended when it was told to
}

// Books are what an account is made of.
type Books struct {
	Agent      []Life            // in order
	Aggregator []rig.Line        // of all of its lives, in order
	Listed     []string          // IDs of the reports that the API lists
	Stored     []string          // IDs of the reports in the store
	Announced  []string          // IDs of the reports in the stream
	Dead       map[string]string // reasons of the dead letters, by capture
	Told       map[string]int    // messages that the owner took, by report
	Silent     map[string]bool   // reports that are told to nobody, because the series contradicted them
}

// Lines of the logs that the account is made of.
const (
	lineFired        = "rule fired"
	lineFiringInHand = "firing in hand"
	lineNotInHand    = "firing not in hand"
	lineAsked        = "capture asked for"
	lineJoined       = "firing joined another rule's capture"
	lineInHand       = "capture in hand"
	lineTaken        = "capture taken"
	lineNothing      = "firing came to nothing"
	lineHanded       = "witnesses compared"
	lineSpooled      = "capture spooled"
	linePublished    = "capture published"

	lineCommitted    = "report committed"
	lineAcknowledged = "capture acknowledged"
	lineDead         = "capture dead-lettered"
	lineAnnounced    = "report announced"
	lineStarted      = "aggregator started"
)

// Underway tells what has not come to its end, going by the logs; nothing when all has.
func (b Books) Underway() (what []string) {
	if len(b.Agent) > 0 {
		triggers, _ := read(b.Agent[len(b.Agent)-1:])
		for _, t := range triggers {
			if !t.closed {
				what = append(what, fmt.Sprintf("%s fired and goes on", t))
			}
		}
	}
	ended := b.mentioned(lineAcknowledged, lineDead)
	for id := range durable(b.Agent) {
		if !ended[id] && !b.unsaid(id) {
			what = append(what, "capture "+id+" was handed on and not acknowledged")
		}
	}
	for id := range b.mentioned(lineCommitted) {
		if b.Told[id] == 0 && !b.Silent[id] {
			what = append(what, "report "+id+" was not told")
		}
	}
	slices.Sort(what)
	return what
}

// redelivered is how long after its start an aggregator has got everything again that was not
// acknowledged: some times the stream's ack_wait.
const redelivered = 30 * time.Second

// unsaid tells that a capture was acknowledged by an aggregator that was killed before it
// could say so: its report was announced, and it did not come again to the next one. Were it
// otherwise, it would lie in the stream at the end, which is a fault by itself.
func (b Books) unsaid(id string) bool {
	announced := false
	var started, newest time.Time
	for _, l := range b.Aggregator {
		at, err := time.Parse(timeLayout, l.Text("time"))
		if err != nil {
			continue
		}
		newest = at
		switch {
		case l.Text("capture") == id:
			announced, started = announced || l.Text("msg") == lineAnnounced, time.Time{}
		case l.Text("msg") == lineStarted && started.IsZero():
			started = at
		}
	}
	return announced && !started.IsZero() && newest.Sub(started) >= redelivered
}

// mentioned returns the captures that the aggregator's log names in lines with these
// messages.
func (b Books) mentioned(messages ...string) map[string]bool {
	captures := map[string]bool{}
	for _, l := range b.Aggregator {
		if slices.Contains(messages, l.Text("msg")) {
			captures[l.Text("capture")] = true
		}
	}
	return captures
}

// durable returns the captures that an agent has said to be in its spool or in NATS, among
// them those without profiles, which tell that a firing came to nothing.
func durable(lives []Life) map[string]bool {
	captures := map[string]bool{}
	for _, life := range lives {
		for _, l := range life.Lines {
			if m := l.Text("msg"); m == lineSpooled || m == linePublished {
				captures[l.Text("capture")] = true
			}
		}
	}
	return captures
}
