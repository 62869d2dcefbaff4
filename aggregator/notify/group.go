package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Bounds of a group's record.
const (
	fullItems = 3    // pods of which everything is kept; of the others it is a line
	mostSeen  = 1000 // reports, and pods, that are known again
	// maxGroupBytes bounds it where pods have absurd names: NATS takes twice as much.
	maxGroupBytes = 512 << 10
)

// group is what is known of the reports that are told to one receiver together: what is
// still to be told, what is being told and what was. It is a record in the bucket, changed
// by its revision alone, and holds no secret.
type group struct {
	Receiver string `json:"receiver"`
	Labels   string `json:"labels"` // what its reports have in common
	Timing   timing `json:"timing"` // of the route of its newest report

	Since time.Time `json:"since,omitzero"` // first report since it began anew
	Last  time.Time `json:"last,omitzero"`  // newest report
	Ended bool      `json:"ended,omitempty"`

	Fresh   batch     `json:"fresh,omitzero"` // not told yet
	FreshAt time.Time `json:"freshAt,omitzero"`
	Again   int       `json:"again,omitempty"` // reports since then of pods that were told of

	Sending *sending `json:"sending,omitempty"` // what an attempt tells, or told in vain
	Same    batch    `json:"same,omitzero"`     // reports since then of the pods that it tells of
	Rest    bool     `json:"rest,omitempty"`    // no group, but a message that some recipients did not get yet

	Told      batch     `json:"told,omitzero"`
	ToldAt    time.Time `json:"toldAt,omitzero"`
	ToldUntil time.Time `json:"toldUntil,omitzero"` // when it is over, as was told last

	Seen []string `json:"seen,omitempty"` // IDs of its reports, oldest first
	Seq  int      `json:"seq,omitempty"`  // number of its messages

	State    state          `json:"state,omitempty"` // of Sending; empty when there is none
	Attempts int            `json:"attempts,omitempty"`
	FirstTry time.Time      `json:"firstTry,omitzero"`
	At       time.Time      `json:"at,omitzero"` // of the last attempt
	Next     time.Time      `json:"next,omitzero"`
	Reason   gopprof.Reason `json:"reason,omitempty"`
	Detail   string         `json:"detail,omitempty"`

	revision uint64 // 0: there is no record yet
}

// sending is a message on its way.
type sending struct {
	ID    string `json:"id"`
	Kind  Kind   `json:"kind"`
	Why   string `json:"why"`
	Ended bool   `json:"ended,omitempty"` // it tells, too, that the group is over
	Batch batch  `json:"batch"`
	// Late is what of it joined after the first attempt, and has more time left than that.
	Late  batch     `json:"late,omitzero"`
	Until time.Time `json:"until,omitzero"` // when the group is over, as it tells
	Left  []string  `json:"left,omitempty"` // the recipients who are still to get it; empty: all
}

// digestOf shortens a name to what tells it from others.
func digestOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// groupKey names the record of a group.
func groupKey(receiver, route, labels string) string {
	return groupPrefix + receiver + "." + digestOf(route+"\x00"+labels)
}

const groupPrefix = "group."

// groupOf reads a record. One that is not ours, or cannot be true, is none.
func groupOf(value []byte) (g group) {
	if err := json.Unmarshal(value, &g); err != nil || g.Attempts < 0 || g.Attempts > mostAttempts || (g.State == stateSending || g.State == stateWaiting) != (g.Sending != nil) {
		return group{}
	}
	return g
}

// encode returns the record as it is written, and the group as it stands there: of one that is too
// large, of each pod a line, and then ever fewer of them by name. All are counted.
func (g group) encode() (group, []byte, error) {
	for most := mostItems; ; most /= 2 {
		value, err := json.Marshal(g)
		if err != nil || len(value) <= maxGroupBytes || most == 0 {
			return g, value, err
		}
		g.Fresh, g.Same, g.Told = g.Fresh.least(most), g.Same.least(most), g.Told.least(most)
		if g.Sending != nil {
			s := *g.Sending
			s.Batch, s.Late = s.Batch.least(most), s.Late.least(most)
			g.Sending = &s
		}
	}
}

// add is the group with a report; false when it is known already.
func (g group) add(i Item, t timing, now time.Time) (group, bool) {
	if slices.Contains(g.Seen, i.Report) {
		return g, false
	}
	if g.Ended { // what comes now is a new story
		g.Since, g.Ended, g.Told, g.Again = time.Time{}, false, batch{}, 0
		g.ToldAt, g.ToldUntil = time.Time{}, time.Time{}
	}
	g.Timing, g.Last = t, now
	if g.Since.IsZero() {
		g.Since = now
	}
	g.Seen = bound(append(slices.Clone(g.Seen), i.Report))
	switch k := digestOf(i.key()); {
	case slices.Contains(g.Told.Keys, k):
		g.Again++
	case g.Sending != nil && slices.Contains(g.Sending.Batch.Keys, k):
		g.Same = g.Same.with(i)
	default:
		if g.Fresh.Reports == 0 {
			g.FreshAt = now
		}
		g.Fresh = g.Fresh.with(i)
	}
	return g.retracted(), true
}

// retracted is the group without a follow-up that failed, if reports came since: it is not
// over.
func (g group) retracted() group {
	if g.State != stateWaiting || g.Sending.Kind != KindEnded || g.Fresh.Reports+g.Again == 0 {
		return g
	}
	g.Again += g.Sending.Batch.Reports - g.Told.Reports
	return g.settled()
}

// begun is the group with an attempt to tell what was decided.
func (g group) begun(d decision, id string, now time.Time) group {
	if !d.same {
		g = g.composed(d, id)
	}
	s := *g.Sending
	s.Until = g.over()
	s.Ended = s.Ended || !d.same && !s.Until.After(now) // late: it tells both at once
	g.Sending = &s
	if g.Attempts++; g.Attempts == 1 {
		g.FirstTry = now
	}
	g.State, g.At, g.Next = stateSending, now, time.Time{}
	return g
}

// composed puts together what a message tells: what failed to be told before, and what came
// since.
func (g group) composed(d decision, id string) group {
	s := sending{Kind: d.kind, Why: d.why}
	switch {
	case g.Sending != nil && g.Fresh.Reports == 0:
		return g // the same again
	case g.Sending != nil:
		late := g.Fresh.join(g.Same)
		s = sending{Kind: g.freshKind(), Why: whyRetry, Batch: g.Sending.Batch.join(late), Late: g.Sending.Late.join(late)}
		g.Same = batch{}
	case s.Kind == KindEnded:
		s.Batch, s.Ended = g.Told, true
	case s.Kind == KindRepeat:
		s.Batch = g.Told
		s.Batch.Reports = 0
	default:
		s.Batch = g.Fresh
	}
	s.Batch.Reports += g.Again
	g.Seq++
	s.ID = fmt.Sprintf("%s-%d", id, g.Seq)
	g.Sending, g.Fresh, g.FreshAt, g.Again = &s, batch{}, time.Time{}, 0
	return g
}

// part is what the message under way tells of the group.
func (g group) part() Part {
	s, b := g.Sending, g.Sending.Batch
	if g.Timing.Renew { // of the pods that were told of before, too: they are not over
		b = b.beside(g.Told)
	}
	return Part{
		Kind: s.Kind, Group: g.Labels, Items: b.Items, Pods: len(b.Pods), Reports: b.Reports,
		Since: g.Since, Last: g.Last, Ended: s.Ended, Until: s.Until,
	}
}

// done is the group whose message arrived.
func (g group) done(now time.Time) group {
	s := *g.Sending
	if g.Rest {
		return g.settled().closed()
	}
	switch s.Kind {
	case KindEnded:
	case KindRepeat:
		g.Told.Reports += s.Batch.Reports
	default:
		if !g.Timing.Renew { // else it is told again as it was
			s.Batch = s.Batch.short()
		}
		g.Told = g.Told.join(s.Batch)
	}
	g.Again += g.Same.Reports
	g.Same = batch{}
	g = g.settled()
	g.ToldAt, g.ToldUntil = now, s.Until
	if s.Ended { // it ended there: should it go on, that is told at once
		g.ToldUntil = time.Time{}
	}
	return g.closedIf(s.Ended)
}

// closed is the group that is over: it is kept to know its reports again, and no more.
func (g group) closed() group {
	g.Ended, g.Told, g.Again = true, batch{}, 0
	return g
}

// closedIf is the group that is over, if that was said of it and nothing came since.
func (g group) closedIf(said bool) group {
	if said && g.Fresh.Reports == 0 && g.Again == 0 {
		return g.closed()
	}
	return g
}

// failed is the group whose message is to be tried again: with the recipients that are left,
// if it is known who they are.
func (g group) failed(out Outcome, next, now time.Time) group {
	g.State, g.At, g.Next, g.Reason, g.Detail = stateWaiting, now, next, out.Reason, out.Detail
	if len(out.Left) > 0 {
		s := *g.Sending
		s.Left = out.Left
		g.Sending = &s
	}
	return g.retracted()
}

// settled is the group without a message under way.
func (g group) settled() group {
	g.Sending, g.State, g.Attempts, g.FirstTry, g.At, g.Next, g.Reason, g.Detail = nil, "", 0, time.Time{}, time.Time{}, time.Time{}, "", ""
	return g
}

// gaveUp is the group whose message nobody will get. What came after its first attempt is
// told by another one, unless it was a part of a message that was refused for good. One that
// said that the group is over, or that it goes on, is not said again.
func (g group) gaveUp(refused bool, now time.Time) group {
	s := *g.Sending
	if g.Rest {
		return g.settled().closed()
	}
	back := g.Same
	if !refused {
		back = back.join(s.Late)
	}
	if g.Fresh.Reports == 0 && back.Reports > 0 {
		g.FreshAt = now
	}
	g.Fresh, g.Same, g.ToldUntil = g.Fresh.join(back), batch{}, s.Until
	return g.settled().closedIf(s.Ended)
}

// rest is a record of the message under way for the recipients who did not get it, to whom
// it is told apart from its group.
func (g group) rest(out Outcome, next, now time.Time) group {
	r := group{
		Receiver: g.Receiver, Labels: g.Labels, Timing: g.Timing, Since: g.Since, Last: g.Last, Rest: true,
		Sending: g.Sending, Attempts: 1, FirstTry: now,
	}
	return r.failed(out, next, now)
}

// abandoned is the group of which nobody is told any more.
func (g group) abandoned() group {
	g.Fresh, g.FreshAt, g.Same = batch{}, time.Time{}, batch{}
	return g.settled().closed()
}
