package dispatch

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	// patience is how old a capture's ID may be and still be judged by the time it was made.
	patience = 5 * time.Minute
	// maxPerHour and maxGrants bound the ledger to some 700 KB, below NATS's message limit.
	maxPerHour = 1000
	maxGrants  = 1600
)

// ledger is what was granted in the last hour and, of each incident, its newest grant.
// It is one value under one key: a decision about several bounds must see all of them.
type ledger struct {
	Grants []grant `json:"grants"` // oldest first
}

// grant is one capture that may be made. A sibling's has neither workload nor rule: it takes
// no place of its workload's hot pods, and begins and prolongs no incident.
type grant struct {
	Capture  string    `json:"c"`
	Incident string    `json:"i"`
	Workload string    `json:"w,omitempty"`
	Rule     string    `json:"r,omitempty"`
	At       time.Time `json:"t"`
	Ended    time.Time `json:"e,omitzero"` // its report was stored, or it failed
}

// withinClock returns the ledger without moments of the future, which a clock that was set
// back leaves, and whether there were any: what was granted then was granted now, and what
// ended has ended. Replicas' clocks may be apart by patience.
func (l ledger) withinClock(now time.Time) (ledger, bool) {
	latest := now.Add(patience)
	future := func(g grant) bool { return g.At.After(latest) || g.Ended.After(latest) }
	if !slices.ContainsFunc(l.Grants, future) {
		return l, false
	}
	out := ledger{Grants: slices.Clone(l.Grants)}
	for i := range out.Grants {
		g := &out.Grants[i]
		if !g.Ended.IsZero() && future(*g) {
			g.Ended = now.Add(-patience) // before whatever is asked for now
		}
		if g.At.After(latest) {
			g.At = now
		}
	}
	return out, true
}

// runningAt tells whether the capture was or may have been running at a time.
func (g grant) runningAt(at time.Time, lifetime time.Duration) bool {
	return g.At.Add(lifetime).After(at) && (g.Ended.IsZero() || g.Ended.After(at))
}

// decide answers a firing. It is judged by the ledger as of the time at which the
// capture's ID was made, within the last minutes: all that was granted since counts, and
// what ended since is still running. So a refusal stays a refusal when it is asked for
// again, without being written down anywhere; a grant is in the ledger.
// When the answer is a new grant, it is returned for the ledger.
func decide(c Config, l ledger, f gopprof.Firing, now time.Time, newID func() string) (gopprof.Decision, *grant) {
	w, r := workloadKey(f.Target), clipKey(f.Rule)
	if g := l.find(f.Capture); g != nil {
		if g.Workload != w || g.Rule != r {
			return gopprof.Decision{Reason: gopprof.ReasonBadInput}, nil // another capture's ID
		}
		return gopprof.Decision{Go: true, Incident: g.Incident}, nil
	}
	if exhausted(c, l, w, judgedAt(madeAt(f.Capture), now)) {
		return gopprof.Decision{Reason: gopprof.ReasonBudget}, nil
	}
	g := grant{Capture: f.Capture, Workload: w, Rule: r, At: now, Incident: l.incident(w, r, now.Add(-c.IncidentWindow))}
	if g.Incident == "" {
		g.Incident = newID()
	}
	return gopprof.Decision{Go: true, Incident: g.Incident}, &g
}

// madeAt reads the time out of a UUIDv7, which is the maker's clock in milliseconds.
func madeAt(id string) time.Time {
	u, err := uuid.Parse(id)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(u.Time().UnixTime())
}

// judgedAt bounds an agent's clock by ours.
func judgedAt(at, now time.Time) time.Time {
	if at.After(now) {
		return now
	}
	if oldest := now.Add(-patience); at.Before(oldest) {
		return oldest
	}
	return at
}

func exhausted(c Config, l ledger, workload string, at time.Time) bool {
	var atOnce, perHour, ofWorkload, ofWorkloadPerHour int
	for _, g := range l.Grants {
		recent, running, own := g.At.After(at.Add(-time.Hour)), g.runningAt(at, c.CaptureLifetime), g.Workload == workload
		perHour += one(recent)
		atOnce += one(running)
		ofWorkloadPerHour += one(recent && own)
		ofWorkload += one(running && own)
	}
	b := c.Budget
	return atOnce >= b.TotalAtOnce || perHour >= b.TotalPerHour ||
		ofWorkload >= b.PerWorkloadAtOnce || ofWorkloadPerHour >= b.PerWorkloadPerHour
}

// sibling returns whether a sibling may be captured, judged as decide does, and the grant to
// be written down where it is new.
func sibling(c Config, l ledger, capture, incident string, now time.Time) (bool, *grant) {
	if g := l.find(capture); g != nil {
		return g.sibling() && g.Incident == incident, nil
	}
	if exhaustedForSiblings(c, l, judgedAt(madeAt(capture), now)) {
		return false, nil
	}
	return true, &grant{Capture: capture, Incident: incident, At: now}
}

func (g grant) sibling() bool { return g.Workload == "" }

// exhaustedForSiblings keeps half of the places for hot pods, so that in a bad hour the tenth
// incident is not told "budget" because of pods that are well.
func exhaustedForSiblings(c Config, l ledger, at time.Time) bool {
	var total, own struct{ atOnce, perHour int }
	for _, g := range l.Grants {
		running, recent := one(g.runningAt(at, c.CaptureLifetime)), one(g.At.After(at.Add(-time.Hour)))
		total.atOnce += running
		total.perHour += recent
		if g.sibling() {
			own.atOnce += running
			own.perHour += recent
		}
	}
	b := c.Budget
	return total.atOnce >= b.TotalAtOnce || total.perHour >= b.TotalPerHour ||
		own.atOnce >= (b.TotalAtOnce+1)/2 || own.perHour >= (b.TotalPerHour+1)/2
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (l ledger) find(capture string) *grant {
	for i := range l.Grants {
		if l.Grants[i].Capture == capture {
			return &l.Grants[i]
		}
	}
	return nil
}

// incident returns the incident of the newest grant of the same cause since a time.
func (l ledger) incident(workload, rule string, since time.Time) string {
	for i := len(l.Grants) - 1; i >= 0; i-- {
		if g := l.Grants[i]; g.Workload == workload && g.Rule == rule && g.At.After(since) {
			return g.Incident
		}
	}
	return ""
}

// with returns the ledger with a grant more, without what no decision can need any more.
func (l ledger) with(g grant, c Config, now time.Time) ledger {
	out := ledger{Grants: make([]grant, 0, len(l.Grants)+1)}
	hour, window := now.Add(-time.Hour-patience), now.Add(-c.IncidentWindow)
	newest := map[[2]string]string{}
	for _, o := range l.Grants {
		newest[[2]string{o.Workload, o.Rule}] = o.Capture
	}
	for _, o := range l.Grants {
		last := newest[[2]string{o.Workload, o.Rule}] == o.Capture
		if o.At.After(hour) || (last && o.At.After(window)) {
			out.Grants = append(out.Grants, o)
		}
	}
	out.Grants = append(out.Grants, g)
	if over := len(out.Grants) - maxGrants; over > 0 {
		out.Grants = out.Grants[over:]
	}
	return out
}

// ended returns the ledger with a capture marked as ended, or false if it need not change.
func (l ledger) ended(capture string, now time.Time) (ledger, bool) {
	g := l.find(capture)
	if g == nil || !g.Ended.IsZero() {
		return l, false
	}
	out := ledger{Grants: append([]grant(nil), l.Grants...)}
	out.find(capture).Ended = now
	return out, true
}

// workloadKey names a target's workload in the ledger.
func workloadKey(t gopprof.Target) string {
	return clipKey(strings.Join([]string{t.Cluster, t.Namespace, t.Workload.Kind, t.Workload.Name}, "/"))
}

// clipKey bounds a name that came from elsewhere without making two names one. What it returns
// is the same when it was written down and read again: no half of a letter, nor what stands for
// one.
func clipKey(s string) string {
	const most, kept = 120, 64
	if len(s) <= most && !strings.ContainsRune(s, utf8.RuneError) {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	whole := func(r rune) rune {
		if r == utf8.RuneError {
			return -1
		}
		return r
	}
	return strings.Map(whole, s[:min(len(s), kept)]) + "#" + hex.EncodeToString(sum[:16])
}
