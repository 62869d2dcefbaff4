package operations

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	// attempts bounds how often a change is tried again because somebody else was faster: a
	// group's captures may end all at once.
	attempts = 100
	// maxRecent is how many operations are listed, and maxOfNamespace how many of one
	// namespace: a busy one does not hide the others'.
	maxRecent      = 1000
	maxOfNamespace = 100
	// maxNewBytes bounds the record of a new operation, and maxBytes what it grows to with what
	// becomes of its captures: NATS takes a little more in one message.
	maxNewBytes = 700 << 10
	maxBytes    = 1000 << 10
)

// Operation returns an operation as it is now. An unknown one is a *gopprof.Error with
// reason unknown.
func (k *Keeper) Operation(ctx context.Context, id string) (gopprof.Operation, error) {
	if op, ok := k.known(id); ok {
		return k.shown(op), nil
	}
	op, _, err := k.read(ctx, id)
	if err != nil {
		return gopprof.Operation{}, err
	}
	return k.shown(op), nil
}

// known returns an operation that has not ended as it was seen last.
func (k *Keeper) known(id string) (gopprof.Operation, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, ok := k.live[id]
	return r.op, ok && k.caughtUp.Load()
}

// Operations returns the newest operations, newest first.
func (k *Keeper) Operations() []gopprof.Operation {
	k.mu.Lock()
	recent := slices.Clone(k.recent)
	k.mu.Unlock()
	for i, op := range recent {
		recent[i] = k.shown(op)
	}
	return recent
}

// latest is when a capture must be over, whatever its agent says.
func (c Config) latest(op gopprof.Operation, oc gopprof.OperationCapture) time.Time {
	return oc.Started.Add(c.StartWithin + duration(op.Asked))
}

// shown is an operation as a caller sees it: with the time that is left, and captures
// called failed that never arrived.
func (k *Keeper) shown(op gopprof.Operation) gopprof.Operation {
	now := k.deps.Now()
	op, _ = k.expire(op, now)
	for i, oc := range op.Captures {
		if oc.State == gopprof.CaptureProfiling {
			op.Captures[i].SecondsLeft = max(0, oc.Until.Sub(now).Seconds())
		}
	}
	return op
}

// expire calls captures failed that never arrived, or never had their turn. What was given
// stays as it is. A capture that arrives late after all is stored, not failed.
func (k *Keeper) expire(op gopprof.Operation, now time.Time) (gopprof.Operation, bool) {
	over := func(due time.Time, within time.Duration) bool { return now.After(k.clock.meant(due, now).Add(within)) }
	changed := false
	turn := op.At // since when the next one waits
	for _, oc := range op.Captures {
		if oc.Started.After(turn) {
			turn = oc.Started
		}
	}
	op.Captures = slices.Clone(op.Captures)
	for i, oc := range op.Captures {
		if oc.Ended() {
			continue
		}
		var end gopprof.OperationCapture
		switch {
		case oc.State == gopprof.CaptureWaiting && over(turn, k.cfg.QueueTime):
			end = failed(gopprof.ReasonExpired, fmt.Sprintf("it had no turn within %s", k.cfg.QueueTime))
		case oc.State == gopprof.CaptureProfiling && over(oc.Until, k.cfg.ArriveWithin):
			end = failed(gopprof.ReasonNoAnswer, "the capture did not arrive in time; the agent's log says what became of it")
		default:
			continue
		}
		op.Captures[i], _ = advance(oc, end)
		changed = true
	}
	return op, changed
}

// advance takes a capture to a later state. What is stored stays stored; what failed may
// still turn out to be stored, because an agent's answer can be lost on its way.
func advance(oc, to gopprof.OperationCapture) (gopprof.OperationCapture, bool) {
	if oc.State == gopprof.CaptureStored || (oc.State == gopprof.CaptureFailed && to.State != gopprof.CaptureStored) {
		return oc, false
	}
	to.Capture, to.Target = oc.Capture, oc.Target
	to.Started, to.Until = cmp.Or(oc.Started, to.Started), cmp.Or(to.Until, oc.Until)
	return to, to != oc
}

func (k *Keeper) read(ctx context.Context, id string) (gopprof.Operation, uint64, error) {
	var op gopprof.Operation
	unknown := &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "no operation of that ID, or one that ended long ago"}
	if gopprof.CheckID(id) != nil {
		return op, 0, unknown
	}
	value, revision, err := k.deps.Records.Get(ctx, id)
	if errors.Is(err, bus.ErrNoKey) {
		return op, 0, unknown
	}
	if err != nil {
		return op, 0, away(fmt.Errorf("reading operation %q: %w", id, err))
	}
	if op, err = decode(id, value); err != nil {
		// Nobody will ever read it: what waits to be closed must not be tried again until it is forgotten.
		return op, 0, &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "the record of this operation cannot be read", Err: err}
	}
	return op, revision, nil
}

// decode reads the record of an operation.
func decode(id string, value []byte) (op gopprof.Operation, err error) {
	if err = json.Unmarshal(value, &op); err == nil && op.ID != id {
		err = fmt.Errorf("it is of operation %q", op.ID)
	}
	return op, err
}

// away gives the error of who keeps the records a name for callers, when it may be none in
// a moment.
func away(err error) error {
	switch {
	case errors.Is(err, bus.ErrFull):
		return &gopprof.Error{Reason: gopprof.ReasonNATSFull, Detail: "NATS, which keeps the operations, has no room for another", Err: err}
	case errors.Is(err, bus.ErrAway), errors.Is(err, context.DeadlineExceeded):
		return &gopprof.Error{Reason: gopprof.ReasonNoAnswer, Detail: "NATS, which keeps the operations, does not answer: try again", Err: err}
	}
	return err
}

// encode is an operation as it is written: without the words beside the reasons of its failed
// captures where it is too large with them. What an agent writes must not keep it from its end.
func encode(op gopprof.Operation, most int) ([]byte, error) {
	value, err := json.Marshal(op)
	if err != nil || len(value) <= most {
		return value, err
	}
	op.Captures = slices.Clone(op.Captures)
	for i := range op.Captures {
		op.Captures[i].Detail = ""
	}
	return json.Marshal(op)
}

// checkRecord refuses an operation whose record would be too large: agents name their pods as
// they like, within bounds.
func checkRecord(op gopprof.Operation) error {
	value, err := encode(op, maxNewBytes)
	if err == nil && len(value) > maxNewBytes {
		err = bad("%d pods with such long names are more than one operation can hold: say how many by maxPods", len(op.Captures))
	}
	return err
}

// change reads an operation, lets f change it, and writes that at the revision that was
// read, again from the start when somebody else wrote meanwhile. f returns false when
// nothing changes. The operation as it then is comes back.
func (k *Keeper) change(ctx context.Context, id string, f func(op *gopprof.Operation) bool) (op gopprof.Operation, err error) {
	err = dispatch.Contend(attempts, k.metrics.conflicts, func() (err error) {
		var revision uint64
		if op, revision, err = k.read(ctx, id); err != nil {
			return err
		}
		if !f(&op) {
			k.note(op, revision, 0)
			return nil
		}
		value, err := encode(op, maxBytes)
		if err == nil {
			revision, err = k.deps.Records.Update(ctx, id, value, revision)
		}
		if err != nil {
			return away(fmt.Errorf("writing operation %q: %w", id, err))
		}
		k.note(op, revision, len(value))
		return nil
	})
	return op, err
}

// advanceCapture takes one capture of an operation to a later state, and returns whether it
// did.
func (k *Keeper) advanceCapture(ctx context.Context, id, capture string, to gopprof.OperationCapture) (advanced bool, err error) {
	_, err = k.change(ctx, id, func(op *gopprof.Operation) bool {
		advanced = false
		for i, oc := range op.Captures {
			if oc.Capture == capture {
				op.Captures[i], advanced = advance(oc, to)
			}
		}
		return advanced
	})
	return advanced && err == nil, err
}

// note remembers an operation as it is at a revision, and tells who follows it. Older
// revisions than the one that is known are nothing new.
func (k *Keeper) note(op gopprof.Operation, revision uint64, bytes int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if bytes > 0 {
		k.sizes[op.ID] = size{op.At, bytes, op.Ended()}
	}
	if known, ok := k.live[op.ID]; (ok && known.revision >= revision) || k.past[op.ID].revision >= revision {
		return
	}
	if op.Ended() {
		delete(k.live, op.ID)
		k.past[op.ID] = record{revision: revision, at: k.deps.Now()}
	} else {
		k.live[op.ID] = record{op: op, revision: revision}
	}
	k.noteRecent(op)
	k.noteAlert(op)
	k.metrics.live.Set(float64(len(k.live)))
	for follower := range k.followers[op.ID] {
		select {
		case follower <- struct{}{}:
		default:
		}
	}
}

// noteRecent keeps the list of the newest operations; k.mu is held.
func (k *Keeper) noteRecent(op gopprof.Operation) {
	at, known := slices.BinarySearchFunc(k.recent, op, func(a, b gopprof.Operation) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID))
	})
	if known {
		k.recent[at] = op
		return
	}
	k.recent = slices.Insert(k.recent, at, op)
	own, oldest := 0, 0
	for i, o := range k.recent {
		if o.Asked.Namespace == op.Asked.Namespace {
			own, oldest = own+1, i
		}
	}
	if own > maxOfNamespace {
		k.recent = slices.Delete(k.recent, oldest, oldest+1)
	}
	if len(k.recent) > maxRecent {
		k.recent = slices.Delete(k.recent, maxRecent, len(k.recent))
	}
}
