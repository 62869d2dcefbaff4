package operations

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	// attempts bounds how often a change is tried again because somebody else was faster: a
	// group's captures may end all at once.
	attempts = 100
	// maxRecent is how many operations are listed.
	maxRecent = 200
)

// Operation returns an operation as it is now. An unknown one is a *gopprof.Error with
// reason unknown.
func (k *Keeper) Operation(ctx context.Context, id string) (gopprof.Operation, error) {
	op, _, err := k.read(ctx, id)
	if err != nil {
		return gopprof.Operation{}, err
	}
	return k.shown(op), nil
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

// shown is an operation as a caller sees it: with the time that is left, and captures
// called failed that never arrived.
func (k *Keeper) shown(op gopprof.Operation) gopprof.Operation {
	now := k.deps.Now()
	op, _ = expire(op, now, k.cfg)
	for i, oc := range op.Captures {
		if oc.State == gopprof.CaptureProfiling {
			op.Captures[i].SecondsLeft = max(0, oc.Until.Sub(now).Seconds())
		}
	}
	return op
}

// expire calls captures failed that never arrived, or never had their turn. What was given
// stays as it is. A capture that arrives late after all is stored, not failed.
func expire(op gopprof.Operation, now time.Time, c Config) (gopprof.Operation, bool) {
	changed := false
	op.Captures = slices.Clone(op.Captures)
	for i, oc := range op.Captures {
		if oc.Ended() {
			continue
		}
		var end gopprof.OperationCapture
		switch {
		case oc.State == gopprof.CaptureWaiting && now.After(op.At.Add(c.QueueTime)):
			end = failed(gopprof.ReasonExpired, fmt.Sprintf("it had no turn within %s", c.QueueTime))
		case oc.State == gopprof.CaptureProfiling && now.After(oc.Until.Add(c.ArriveWithin)):
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
	to.Started, to.Until = cmp.Or(to.Started, oc.Started), cmp.Or(to.Until, oc.Until)
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
	if err == nil {
		err = json.Unmarshal(value, &op)
	}
	if err != nil {
		return op, 0, fmt.Errorf("reading operation %q: %w", id, err)
	}
	return op, revision, nil
}

// change reads an operation, lets f change it, and writes that at the revision that was
// read, again from the start when somebody else wrote meanwhile. f returns false when
// nothing changes. The operation as it then is comes back.
func (k *Keeper) change(ctx context.Context, id string, f func(op *gopprof.Operation) bool) (gopprof.Operation, error) {
	for range attempts {
		op, revision, err := k.read(ctx, id)
		if err != nil {
			return op, err
		}
		if !f(&op) {
			k.note(op, revision)
			return op, nil
		}
		value, err := json.Marshal(op)
		if err != nil {
			return op, fmt.Errorf("writing operation %q: %w", id, err)
		}
		next, err := k.deps.Records.Update(ctx, id, value, revision)
		if err == nil {
			k.note(op, next)
			return op, nil
		}
		if !errors.Is(err, bus.ErrConflict) {
			return op, fmt.Errorf("writing operation %q: %w", id, err)
		}
		k.metrics.conflicts.Inc()
	}
	return gopprof.Operation{}, fmt.Errorf("writing operation %q: %d times in a row %w", id, attempts, bus.ErrConflict)
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
func (k *Keeper) note(op gopprof.Operation, revision uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
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
	if len(k.recent) > maxRecent {
		k.recent = slices.Delete(k.recent, maxRecent, len(k.recent))
	}
}
