package notify

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

type state string

const (
	stateSending state = "sending" // a post is under way, or its process died in it
	stateWaiting state = "waiting" // failed, to be tried again
	stateTold    state = "told"
	stateGaveUp  state = "gave_up"
)

// record is what is known of telling one report to one receiver. It holds no secret.
type record struct {
	State    state          `json:"state"`
	Attempts int            `json:"attempts"`
	First    time.Time      `json:"first"` // first attempt
	At       time.Time      `json:"at"`    // last change
	Next     time.Time      `json:"next,omitzero"`
	Reason   gopprof.Reason `json:"reason,omitempty"` // of the last failure
	Detail   string         `json:"detail,omitempty"`

	revision uint64 // 0: there is no record yet
}

type action int

const (
	send    action = iota
	sendDup        // send, though an earlier post may have arrived
	wait
	done
)

// next says what to do about a record now, and how long to wait when that is it. A record
// of the future, beyond what replicas' clocks are apart, is one of before the clock was set
// back: how long it meant to wait is not known any more.
func (r record) next(now time.Time, lease time.Duration) (action, time.Duration) {
	if r.At.Sub(now) > lease {
		now = later(r.At.Add(lease), r.Next)
	}
	switch r.State {
	case stateTold, stateGaveUp:
		return done, 0
	case stateSending:
		if left := r.At.Add(lease).Sub(now); left > 0 {
			return wait, left // another replica is at it
		}
		return sendDup, 0
	case stateWaiting:
		if left := r.Next.Sub(now); left > 0 {
			return wait, left
		}
	}
	return send, 0
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// begun returns the record of an attempt that begins.
func (r record) begun(now time.Time) record {
	if r.Attempts == 0 {
		r.First = now
	}
	r.State, r.At, r.Next = stateSending, now, time.Time{}
	r.Attempts++
	return r
}

// key names the record of a report and a receiver; both parts are safe as they are.
func key(report, receiver string) string { return report + "." + receiver }

func (n *Notifier) read(ctx context.Context, k string) (record, error) {
	value, revision, err := n.deps.Told.Get(ctx, k)
	if errors.Is(err, bus.ErrNoKey) {
		return record{}, nil
	}
	if err != nil {
		return record{}, err
	}
	r := recordOf(value)
	r.revision = revision
	return r, nil
}

// mostAttempts is more than there can be of one report: those of a year, a second apart.
const mostAttempts = 1 << 25

// recordOf reads a record. One that is not ours, or cannot be true, is none: tell again
// rather than never.
func recordOf(value []byte) (r record) {
	if err := json.Unmarshal(value, &r); err != nil || r.Attempts < 0 || r.Attempts > mostAttempts {
		return record{}
	}
	return r
}

func (n *Notifier) write(ctx context.Context, k string, r record) (record, error) {
	value, err := json.Marshal(r)
	if err == nil {
		r.revision, err = n.put(ctx, k, value, r.revision)
	}
	return r, err
}

// put writes what has a revision, or is new when that is 0, and returns its next one.
func (n *Notifier) put(ctx context.Context, key string, value []byte, revision uint64) (_ uint64, err error) {
	if revision == 0 {
		revision, err = n.deps.Told.Create(ctx, key, value)
	} else {
		revision, err = n.deps.Told.Update(ctx, key, value, revision)
	}
	return revision, n.noteFull(err)
}
