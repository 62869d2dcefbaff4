package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Operation returns an operation as it is now. An unknown one is a *gopprof.Error with
// reason unknown.
func (d *Dispatcher) Operation(ctx context.Context, id string) (gopprof.Operation, error) {
	op, _, err := d.readOperation(ctx, id)
	if err != nil {
		return gopprof.Operation{}, err
	}
	return expire(op, d.deps.Now(), d.cfg.Manual), nil
}

// expire calls captures failed that never arrived. It is computed at each look and never
// stored: a capture that arrives late after all is stored, not failed.
func expire(op gopprof.Operation, now time.Time, c ManualConfig) gopprof.Operation {
	captures := make([]gopprof.OperationCapture, len(op.Captures))
	for i, oc := range op.Captures {
		if !finished(oc) && now.After(arrivesBy(op, oc, c)) {
			oc.State, oc.Reason = gopprof.CaptureFailed, gopprof.ReasonNoAnswer
			oc.Detail = "the capture did not arrive in time; the agent's log says what became of it"
		}
		captures[i] = oc
	}
	op.Captures = captures
	return op
}

// arrivesBy is when a capture that has not arrived is called failed.
func arrivesBy(op gopprof.Operation, oc gopprof.OperationCapture, c ManualConfig) time.Time {
	if oc.Until.IsZero() {
		return op.At.Add(c.StartWithin + c.ArriveWithin)
	}
	return oc.Until.Add(c.ArriveWithin)
}

func finished(oc gopprof.OperationCapture) bool {
	return oc.State == gopprof.CaptureStored || oc.State == gopprof.CaptureFailed
}

// advance takes a capture to a later state. What is stored stays stored; what failed may
// still turn out to be stored, because an agent's answer can be lost on its way.
func advance(oc, to gopprof.OperationCapture) (gopprof.OperationCapture, bool) {
	if oc.State == gopprof.CaptureStored || (oc.State == gopprof.CaptureFailed && to.State != gopprof.CaptureStored) {
		return oc, false
	}
	to.Capture, to.Target = oc.Capture, oc.Target
	return to, true
}

func (d *Dispatcher) readOperation(ctx context.Context, id string) (gopprof.Operation, uint64, error) {
	var op gopprof.Operation
	unknown := &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "no operation of that ID, or one that ended long ago"}
	if gopprof.CheckID(id) != nil {
		return op, 0, unknown
	}
	value, revision, err := d.deps.Operations.Get(ctx, id)
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

// advanceOperation takes one capture of an operation to a later state, at the revision
// that was read, and returns the operation as it then is.
func (d *Dispatcher) advanceOperation(ctx context.Context, id, capture string, to gopprof.OperationCapture) (gopprof.Operation, error) {
	for range attempts {
		op, revision, err := d.readOperation(ctx, id)
		if err != nil {
			return op, err
		}
		if !advanceCapture(op, capture, to) {
			return op, nil
		}
		value, err := json.Marshal(op)
		if err != nil {
			return op, fmt.Errorf("writing operation %q: %w", id, err)
		}
		if _, err = d.deps.Operations.Update(ctx, id, value, revision); err == nil {
			return op, nil
		}
		if !errors.Is(err, bus.ErrConflict) {
			return op, fmt.Errorf("writing operation %q: %w", id, err)
		}
		d.metrics.conflicts.Inc()
	}
	return gopprof.Operation{}, fmt.Errorf("writing operation %q: %d times in a row %w", id, attempts, bus.ErrConflict)
}

func advanceCapture(op gopprof.Operation, capture string, to gopprof.OperationCapture) bool {
	for i, oc := range op.Captures {
		if oc.Capture == capture {
			next, changed := advance(oc, to)
			op.Captures[i] = next
			return changed
		}
	}
	return false
}
