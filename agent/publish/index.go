package publish

import (
	"cmp"
	"slices"
	"time"
)

// sentMax is how many captures that were sent are remembered, to tell a repetition from
// another capture under the same ID.
const sentMax = 1024

// index is what is known of the spool without reading it.
type index struct {
	entries map[string]*entry // by capture ID
	bytes   int64
	last    uint64 // seq of the newest entry
	sent    sentLog
}

// entry is one capture that waits.
type entry struct {
	id       string
	size     int64
	seq      uint64    // order of arrival
	spooled  time.Time // arrival
	next     time.Time // when it may be sent; zero is at once
	attempts int       // failed ones
	roomless int       // those of them to which NATS said that it is full
	sending  bool
	held     bool // not in its final form; Publish replaces it
	looks    bool // being sent to see whether there is room; of a claimed copy
}

func newIndex() index {
	return index{entries: make(map[string]*entry), sent: sentLog{sums: make(map[string]digest)}}
}

// add replaces what is known under the ID. What is held until a moment is not sent before.
func (x *index) add(id string, size int64, at, heldUntil time.Time) {
	x.remove(id)
	x.last++
	x.entries[id] = &entry{id: id, size: size, seq: x.last, spooled: at, next: heldUntil, held: !heldUntil.IsZero()}
	x.bytes += size
}

func (x *index) remove(id string) {
	if e := x.entries[id]; e != nil {
		x.bytes -= e.size
		delete(x.entries, id)
	}
}

// replaceable tells whether the entry under the ID is held and was never tried.
func (x *index) replaceable(id string) bool {
	e := x.entries[id]
	return e != nil && e.held && !e.sending && e.attempts == 0
}

// holds tells whether the entry is still the one under its ID.
func (x *index) holds(e entry) bool {
	now := x.entries[e.id]
	return now != nil && now.seq == e.seq
}

// due returns the entry to send next, or how long to wait for one: those that were never
// tried go first, so that refused ones hold nobody up.
func (x *index) due(now time.Time) (e *entry, wait time.Duration) {
	wait = time.Hour
	for _, o := range x.entries {
		switch left := o.next.Sub(now); {
		case o.sending:
		case left > 0:
			wait = min(wait, left)
		case e == nil || before(o, e) < 0:
			e = o
		}
	}
	return e, wait
}

func before(a, b *entry) int {
	return cmp.Or(cmp.Compare(min(a.attempts, 1), min(b.attempts, 1)), cmp.Compare(a.roomless, b.roomless),
		a.next.Compare(b.next), cmp.Compare(a.seq, b.seq))
}

// beyond returns the oldest entries without which the spool is within its bound. The
// newest stays, and so does what is being sent.
func (x *index) beyond(maxBytes int64) []*entry {
	var out []*entry
	over := x.bytes - maxBytes
	for _, e := range x.byAge() {
		if over <= 0 || e.seq == x.last {
			break
		}
		if !e.sending {
			out = append(out, e)
			over -= e.size
		}
	}
	return out
}

func (x *index) byAge() []*entry {
	all := make([]*entry, 0, len(x.entries))
	for _, e := range x.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(a.seq, b.seq) })
	return all
}

// sentLog remembers the newest captures that were sent.
type sentLog struct {
	sums map[string]digest
	ids  []string // oldest first
}

func (s *sentLog) get(id string) (digest, bool) {
	sum, ok := s.sums[id]
	return sum, ok
}

func (s *sentLog) put(id string, sum digest) {
	if _, ok := s.sums[id]; !ok {
		s.ids = append(s.ids, id)
	}
	s.sums[id] = sum
	if len(s.ids) > sentMax {
		delete(s.sums, s.ids[0])
		s.ids = slices.Delete(s.ids, 0, 1)
	}
}
