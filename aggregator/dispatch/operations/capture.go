package operations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// writeWithin is how long it may take to write down what was asked for.
const writeWithin = 10 * time.Second

// Capture writes down what is asked for and returns the operation at once; Run carries it
// out. An error is a *gopprof.Error when the request was refused (bad_input, unknown,
// paused, budget when the queue is full, or why the one target may not be profiled): then
// there is no operation. The same request under the same key gets the same operation.
func (k *Keeper) Capture(ctx context.Context, m gopprof.Manual) (gopprof.Operation, error) {
	op, _, err := k.CaptureOnce(ctx, m)
	return op, err
}

// CaptureOnce is Capture that also tells whether the operation was asked for before, under
// the same key, so that nothing is done.
func (k *Keeper) CaptureOnce(ctx context.Context, m gopprof.Manual) (op gopprof.Operation, before bool, err error) {
	op, before, err = k.capture(ctx, m)
	k.metrics.requested(err)
	switch {
	case err != nil:
		return gopprof.Operation{}, false, err
	case before:
		return k.shown(op), true, nil
	}
	k.log.Info("captures requested",
		zap.String("operation", op.ID), zap.String("who", op.Who), zap.String("namespace", op.Asked.Namespace),
		zap.String("meant", meant(op.Asked)), zap.Int("captures", len(op.Captures)))
	k.wake()
	return k.shown(op), false, nil
}

// capture also tells whether the operation was there before.
func (k *Keeper) capture(ctx context.Context, m gopprof.Manual) (op gopprof.Operation, before bool, err error) {
	if m, err = k.cfg.complete(m); err != nil {
		return op, false, err
	}
	if done, err := k.askedBefore(ctx, m); err != nil || done.ID != "" {
		return done, true, err
	}
	if p := k.paused.Load(); p.Paused {
		return op, false, &gopprof.Error{Reason: gopprof.ReasonPaused, Detail: pausedBecause(*p)}
	}
	g, err := k.resolve(m)
	if err != nil {
		return op, false, err
	}
	op, written, err := k.withinAlerts(k.planned(m, g))
	if err != nil {
		return op, false, err
	}
	defer written()
	if err := checkRecord(op); err != nil {
		return op, false, err
	}
	free, err := k.reserve(op) // first, so that a full queue leaves no key
	if err != nil {
		return op, false, err
	}
	defer free()
	if op.ID, err = k.claim(ctx, m); err != nil {
		return op, false, err
	}
	return k.create(ctx, op)
}

// planned is the operation of a request, before it has its ID and anybody is asked.
func (k *Keeper) planned(m gopprof.Manual, g group) gopprof.Operation {
	op := gopprof.Operation{Who: m.Who, At: k.deps.Now().UTC(), Asked: m, Incident: k.deps.NewID(), Matched: len(g.targets) + len(g.refused)}
	op.Asked.Who = ""
	chosen := g.targets
	if m.Wave {
		chosen = k.cfg.wave(chosen, k.replicas())
		op.Asked.AtOnce = max(1, len(chosen))
	}
	if m.MaxPods > 0 && len(chosen) > m.MaxPods {
		chosen = chosen[:m.MaxPods]
	}
	for _, t := range chosen {
		op.Captures = append(op.Captures, gopprof.OperationCapture{Capture: k.deps.NewID(), Target: t, State: gopprof.CaptureWaiting})
	}
	if m.MaxPods > 0 || m.Wave {
		return op
	}
	for _, r := range g.refused[:min(len(g.refused), k.cfg.MaxPods)] {
		oc := gopprof.OperationCapture{Capture: k.deps.NewID(), Target: r.Target}
		op.Captures = append(op.Captures, ended(oc, unprofiled(r)))
	}
	return op
}

// ended is a capture that came to nothing.
func ended(oc gopprof.OperationCapture, err error) gopprof.OperationCapture {
	e, ok := errors.AsType[*gopprof.Error](err)
	if !ok {
		e = &gopprof.Error{Reason: gopprof.ReasonInternal, Detail: err.Error()}
	}
	f := failed(e.Reason, e.Detail)
	f.Capture, f.Target = oc.Capture, oc.Target
	return f
}

func failed(r gopprof.Reason, detail string) gopprof.OperationCapture {
	return gopprof.OperationCapture{State: gopprof.CaptureFailed, Reason: r, Detail: detail}
}

// create writes the operation down, unless the same request was faster: it is there then.
func (k *Keeper) create(ctx context.Context, op gopprof.Operation) (created gopprof.Operation, before bool, err error) {
	// Whoever asked may hang up: what is written down is then found by its key, or cancelled.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin)
	defer cancel()
	value, err := encode(op, maxNewBytes)
	if err != nil {
		return op, false, fmt.Errorf("writing operation %q: %w", op.ID, err)
	}
	revision, err := k.deps.Records.Create(ctx, op.ID, value)
	if errors.Is(err, bus.ErrConflict) { // the same request under the same key was faster
		op, _, err = k.read(ctx, op.ID)
		return op, true, err
	}
	if err != nil {
		return op, false, away(fmt.Errorf("writing operation %q: %w", op.ID, err))
	}
	k.note(op, revision, len(value))
	return op, false, nil
}

// reserve takes places in the queue until the operation is written down.
func (k *Keeper) reserve(op gopprof.Operation) (free func(), err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	waiting, more := k.unfinished()+k.reserved, unfinishedOf(op)
	if waiting+more > k.cfg.QueueMax {
		return nil, &gopprof.Error{Reason: gopprof.ReasonBudget,
			Detail: fmt.Sprintf("%d captures wait or run already, at most %d may: ask again later", waiting, k.cfg.QueueMax)}
	}
	k.reserved += more
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.reserved -= more
	}, nil
}

// unfinished counts the captures that wait or run; k.mu is held.
func (k *Keeper) unfinished() int {
	n := 0
	for _, r := range k.live {
		n += unfinishedOf(r.op)
	}
	return n
}

func unfinishedOf(op gopprof.Operation) int {
	n := 0
	for _, oc := range op.Captures {
		if !oc.Ended() {
			n++
		}
	}
	return n
}

// RetryAfter is how long a caller should wait before it asks again when the queue was full.
func (k *Keeper) RetryAfter() time.Duration { return k.cfg.CPUDuration }
