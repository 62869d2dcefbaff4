package notify

import (
	"cmp"
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

	Told   batch     `json:"told,omitzero"`
	ToldAt time.Time `json:"toldAt,omitzero"`

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

// batch is some reports: the hottest pods by name, and the count of all.
type batch struct {
	Items   []Item   `json:"items,omitempty"`
	Keys    []string `json:"keys,omitempty"` // of pods and their causes
	Pods    []string `json:"pods,omitempty"`
	Reports int      `json:"reports,omitempty"`
}

// sending is a message on its way.
type sending struct {
	ID    string `json:"id"`
	Kind  Kind   `json:"kind"`
	Why   string `json:"why"`
	Ended bool   `json:"ended,omitempty"` // it tells, too, that the group is over
	Batch batch  `json:"batch"`
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

// add is the group with a report; false when it is known already.
func (g group) add(i Item, t timing, now time.Time) (group, bool) {
	if slices.Contains(g.Seen, i.Report) {
		return g, false
	}
	if g.Ended { // what comes now is a new story
		g.Since, g.Ended, g.Told, g.ToldAt, g.Again = time.Time{}, false, batch{}, time.Time{}, 0
	}
	g.Timing, g.Last = t, now
	if g.Since.IsZero() {
		g.Since = now
	}
	g.Seen = bound(append(slices.Clone(g.Seen), i.Report))
	if k := digestOf(i.key()); slices.Contains(g.Told.Keys, k) || g.Sending != nil && slices.Contains(g.Sending.Batch.Keys, k) {
		g.Again++
		return g, true
	}
	if g.Fresh.Reports == 0 {
		g.FreshAt = now
	}
	g.Fresh = g.Fresh.with(i)
	return g, true
}

// bound keeps the newest.
func bound(all []string) []string { return all[max(0, len(all)-mostSeen):] }

// with is the batch with one more report.
func (b batch) with(i Item) batch {
	return b.join(batch{Items: []Item{i}, Keys: []string{digestOf(i.key())}, Pods: []string{digestOf(i.pod())}, Reports: 1})
}

// join is two batches as one: of each pod and cause the hotter report, the hottest first.
func (b batch) join(o batch) batch {
	out := batch{Keys: union(b.Keys, o.Keys), Pods: union(b.Pods, o.Pods), Reports: b.Reports + o.Reports}
	out.Items = slices.Concat(b.Items, o.Items)
	slices.SortStableFunc(out.Items, hotter)
	seen := map[string]bool{}
	out.Items = slices.DeleteFunc(out.Items, func(i Item) bool {
		known := seen[i.key()]
		seen[i.key()] = true
		return known
	})
	out.Items = out.Items[:min(len(out.Items), mostItems)]
	for k := fullItems; k < len(out.Items); k++ {
		out.Items[k] = out.Items[k].short()
	}
	return out
}

// short is the batch without what only a message about it shows.
func (b batch) short() batch {
	b.Items = slices.Clone(b.Items)
	for k := range b.Items {
		b.Items[k] = b.Items[k].short()
	}
	return b
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return bound(out)
}

// hotter orders reports: what is the pod's own before what its workload has in common, the
// surer cause before the less sure, the higher use before the lower.
func hotter(a, b Item) int {
	own := func(i Item) int {
		if i.Scope == string(gopprof.ScopePod) {
			return 0
		}
		return 1
	}
	sure := func(i Item) int {
		if k := slices.Index([]string{"sure", "likely", "unsure"}, i.Cause().Confidence); k >= 0 {
			return k
		}
		return 3
	}
	return cmp.Or(cmp.Compare(own(a), own(b)), cmp.Compare(sure(a), sure(b)), cmp.Compare(b.Ratio, a.Ratio))
}

// act is what to do about a group.
type act int

const (
	actNothing act = iota // until another report comes
	actWait               // until a time
	actTell
	actClose // it is over, and there is nothing to tell of that
)

// Why a group is told of, or waits: the words of the log.
const (
	whyNothing    = "nothing"
	whyFirst      = "first"
	whyMore       = "more"
	whyRepeat     = "repeat"
	whyEnded      = "ended"
	whyRetry      = "retry"
	whyUnknown    = "unknown_fate"
	whyInFlight   = "in_flight"
	whyFailed     = "failed"
	whyGroupWait  = "group_wait"
	whyInterval   = "group_interval"
	whyStillGoing = "end_after"
)

// decision is what to do about a group, and why.
type decision struct {
	act   act
	why   string
	kind  Kind      // of actTell
	until time.Time // of actWait
	same  bool      // of actTell: nothing may change, since an earlier attempt may have arrived
}

// decide says what to do about a group now. lease is how long an attempt may take before its
// process is thought dead.
func (g group) decide(now time.Time, lease time.Duration) decision {
	if g.Sending != nil {
		return g.decideSending(now, lease)
	}
	if g.Fresh.Reports > 0 {
		return g.decideFresh(now, lease)
	}
	return g.decideEnd(now)
}

// decideSending is about a message that was tried.
func (g group) decideSending(now time.Time, lease time.Duration) decision {
	if g.At.Sub(now) > lease { // of before the clock was set back: how long it meant to wait is not known
		now = later(g.At.Add(lease), g.Next)
	}
	switch end := g.At.Add(lease); {
	case g.State == stateSending && end.After(now):
		return decision{act: actWait, why: whyInFlight, until: end} // another replica is at it
	case g.State == stateSending:
		return decision{act: actTell, why: whyUnknown, kind: g.Sending.Kind, same: true}
	case g.Next.After(now):
		return decision{act: actWait, why: whyFailed, until: g.Next}
	}
	return decision{act: actTell, why: whyRetry, kind: g.Sending.Kind}
}

// decideFresh is about reports that nobody was told of.
func (g group) decideFresh(now time.Time, lease time.Duration) decision {
	if g.FreshAt.Sub(now) > lease { // the clock was set back
		return decision{act: actTell, why: whyFirst, kind: g.freshKind()}
	}
	due, wait, why := g.FreshAt.Add(g.Timing.Wait), whyGroupWait, whyFirst
	if !g.ToldAt.IsZero() {
		due, wait, why = later(g.FreshAt, g.ToldAt.Add(g.Timing.Interval)), whyInterval, whyMore
	}
	if due.After(now) {
		return decision{act: actWait, why: wait, until: due}
	}
	return decision{act: actTell, why: why, kind: g.freshKind()}
}

func (g group) freshKind() Kind {
	if g.ToldAt.IsZero() {
		return KindFirst
	}
	return KindMore
}

// decideEnd is about a group of which everything was told.
func (g group) decideEnd(now time.Time) decision {
	if g.Ended || g.Since.IsZero() {
		return decision{act: actNothing, why: whyNothing}
	}
	end, repeat := g.over(), g.ToldAt.Add(g.Timing.Repeat)
	switch goesOn := g.Again > 0 && !g.ToldAt.IsZero(); {
	case !end.After(now) && (g.Timing.NoFollowUp || g.ToldAt.IsZero()):
		return decision{act: actClose, why: whyEnded}
	case !end.After(now):
		return decision{act: actTell, why: whyEnded, kind: KindEnded}
	case goesOn && !repeat.After(now):
		return decision{act: actTell, why: whyRepeat, kind: KindRepeat}
	case goesOn && repeat.Before(end):
		return decision{act: actWait, why: whyStillGoing, until: repeat}
	}
	return decision{act: actWait, why: whyStillGoing, until: end}
}

// over is when the group is over if nothing more comes.
func (g group) over() time.Time { return g.Last.Add(g.Timing.EndAfter) }

// begun is the group with an attempt to tell what was decided.
func (g group) begun(d decision, id string, now time.Time) group {
	if !d.same {
		g = g.composed(d, id)
	}
	g.Sending.Ended = g.Sending.Ended || !d.same && !g.over().After(now) // late: it tells both at once
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
	if g.Sending != nil {
		if g.Fresh.Reports == 0 {
			s = *g.Sending // the same again
			g.Sending = &s
			return g
		}
		s.Batch, s.Kind, s.Why = g.Sending.Batch, g.freshKind(), whyRetry
		if g.Sending.Kind == KindEnded { // it is not over
			g.Again += g.Sending.Batch.Reports - g.Told.Reports
			s.Batch = batch{}
		}
	}
	switch {
	case s.Kind == KindEnded:
		s.Batch, s.Ended = g.Told, true
		s.Batch.Reports += g.Again
	case s.Kind == KindRepeat:
		s.Batch = g.Told
		s.Batch.Reports = g.Again
	default:
		s.Batch = s.Batch.join(g.Fresh)
		s.Batch.Reports += g.Again
	}
	g.Seq++
	s.ID = fmt.Sprintf("%s-%d", id, g.Seq)
	g.Sending, g.Fresh, g.FreshAt, g.Again = &s, batch{}, time.Time{}, 0
	return g
}

// part is what the message under way tells of the group.
func (g group) part() Part {
	b := g.Sending.Batch
	return Part{
		Kind: g.Sending.Kind, Group: g.Labels, Items: b.Items, Pods: len(b.Pods), Reports: b.Reports,
		Since: g.Since, Last: g.Last, Ended: g.Sending.Ended, Until: g.over(),
	}
}

// done is the group whose message arrived.
func (g group) done(now time.Time) group {
	s := *g.Sending
	switch s.Kind {
	case KindEnded:
	case KindRepeat:
		g.Told.Reports += s.Batch.Reports
	default:
		g.Told = g.Told.join(s.Batch.short())
	}
	g = g.settled()
	g.ToldAt = now
	if s.Ended && g.Fresh.Reports == 0 && g.Again == 0 {
		return g.closed()
	}
	return g
}

// closed is the group that is over: it is kept to know its reports again, and no more.
func (g group) closed() group {
	g.Ended, g.Told, g.Again = true, batch{}, 0
	return g
}

// failed is the group whose message is to be tried again.
func (g group) failed(out Outcome, next, now time.Time) group {
	g.State, g.At, g.Next, g.Reason, g.Detail = stateWaiting, now, next, out.Reason, out.Detail
	return g
}

// settled is the group without a message under way.
func (g group) settled() group {
	g.Sending, g.State, g.Attempts, g.FirstTry, g.At, g.Next, g.Reason, g.Detail = nil, "", 0, time.Time{}, time.Time{}, time.Time{}, "", ""
	return g
}

// gaveUp is the group whose message nobody will get. One that said that the group is over is
// not said again.
func (g group) gaveUp() group {
	over := g.Sending.Ended
	if g = g.settled(); over && g.Fresh.Reports == 0 && g.Again == 0 {
		return g.closed()
	}
	return g
}
