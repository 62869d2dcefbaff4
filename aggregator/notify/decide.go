package notify

import "time"

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
	whyRenew      = "renew"
)

// decision is what to do about a group, and why.
type decision struct {
	act   act
	why   string
	kind  Kind      // of actTell
	until time.Time // of actWait; of actTell since when, zero when that is not known
	same  bool      // of actTell: nothing may change, since an earlier attempt may have arrived
}

// decide says what to do about a group now. lease is how long an attempt may take before its
// process is thought dead.
func (g group) decide(now time.Time, lease time.Duration) decision {
	if g.Sending != nil {
		return g.decideSending(now, lease)
	}
	if g.Fresh.Reports > 0 {
		return g.decideRenewal(g.decideFresh(now, lease), now)
	}
	return g.decideRenewal(g.decideEnd(now), now)
}

// decideRenewal tells again, instead of waiting, what else would end by itself at the
// receiver while the group goes on. A third of the time to its end is left for failures.
func (g group) decideRenewal(d decision, now time.Time) decision {
	if d.act != actWait || !g.Timing.Renew || g.ToldAt.IsZero() || !g.over().After(g.ToldUntil) {
		return d
	}
	due, kind := g.ToldUntil.Add(-g.Timing.EndAfter/3), KindRepeat
	if g.Fresh.Reports > 0 {
		kind = KindMore
	}
	switch {
	case !due.After(now):
		return decision{act: actTell, why: whyRenew, kind: kind, until: due}
	case due.Before(d.until):
		return decision{act: actWait, why: whyRenew, until: due}
	}
	return d
}

// decideSending is about a message that was tried.
func (g group) decideSending(now time.Time, lease time.Duration) decision {
	if g.At.Sub(now) > lease { // of before the clock was set back: how long it meant to wait is not known
		d := g.decideSending(later(g.At.Add(lease), g.Next), lease)
		d.until = time.Time{}
		return d
	}
	switch end := g.At.Add(lease); {
	case g.State == stateSending && end.After(now):
		return decision{act: actWait, why: whyInFlight, until: end} // another replica is at it
	case g.State == stateSending:
		return decision{act: actTell, why: whyUnknown, kind: g.Sending.Kind, until: end, same: true}
	case g.Next.After(now):
		return decision{act: actWait, why: whyFailed, until: g.Next}
	}
	return decision{act: actTell, why: whyRetry, kind: g.Sending.Kind, until: g.Next}
}

// decideFresh is about reports that nobody was told of.
func (g group) decideFresh(now time.Time, lease time.Duration) decision {
	due, wait, why := g.FreshAt.Add(g.Timing.Wait), whyGroupWait, whyFirst
	if !g.ToldAt.IsZero() {
		due, wait, why = later(g.FreshAt, g.ToldAt.Add(g.Timing.Interval)), whyInterval, whyMore
	}
	switch {
	case later(g.FreshAt, g.ToldAt).Sub(now) > lease: // the clock was set back
		return decision{act: actTell, why: why, kind: g.freshKind()}
	case due.After(now):
		return decision{act: actWait, why: wait, until: due}
	}
	return decision{act: actTell, why: why, kind: g.freshKind(), until: due}
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
		return decision{act: actTell, why: whyEnded, kind: KindEnded, until: end}
	case goesOn && !repeat.After(now):
		return decision{act: actTell, why: whyRepeat, kind: KindRepeat, until: repeat}
	case goesOn && repeat.Before(end):
		return decision{act: actWait, why: whyStillGoing, until: repeat}
	}
	return decision{act: actWait, why: whyStillGoing, until: end}
}

// over is when the group is over if nothing more comes.
func (g group) over() time.Time { return g.Last.Add(g.Timing.EndAfter) }
