package operations

import (
	"context"
	"sync"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Cancel stops what of an operation has not ended, and returns the operation as it then
// is. What waits ends at once; whose profile is being taken ends when its agent says so,
// which it is asked now, and again by the driver if it does not answer.
func (k *Keeper) Cancel(ctx context.Context, id string) (gopprof.Operation, error) {
	op, err := k.change(ctx, id, func(op *gopprof.Operation) bool {
		if op.Ended() || !op.Cancelled.IsZero() {
			return false
		}
		op.Cancelled = k.deps.Now().UTC()
		for i, oc := range op.Captures {
			if oc.State == gopprof.CaptureWaiting {
				op.Captures[i], _ = advance(oc, cancelled())
			}
		}
		return true
	})
	if err != nil {
		return op, err
	}
	var stopping sync.WaitGroup
	for _, oc := range op.Captures {
		if oc.State == gopprof.CaptureProfiling {
			stopping.Go(func() { k.stop(ctx, op, oc) })
		}
	}
	stopping.Wait()
	return k.Operation(ctx, id)
}

func cancelled() gopprof.OperationCapture {
	return failed(gopprof.ReasonCancelled, "cancelled by request")
}

// stop asks an agent to end a capture and writes down that it did. Of a capture that its
// agent does not stop it is asked what became of it: its end may be on its way.
func (k *Keeper) stop(ctx context.Context, op gopprof.Operation, oc gopprof.OperationCapture) {
	if !k.cancelCapture(ctx, oc) {
		k.askAfter(ctx, op, oc)
		return
	}
	end := cancelled()
	if p := k.paused.Load(); p.Paused {
		end = failed(gopprof.ReasonPaused, pausedBecause(*p))
	}
	if _, err := k.advanceCapture(ctx, op.ID, oc.Capture, end); err != nil {
		k.log.Warn("cancelled capture not written", zap.String("operation", op.ID), zap.String("capture", oc.Capture), zap.Error(err))
	}
}

func (k *Keeper) cancelCapture(ctx context.Context, oc gopprof.OperationCapture) bool {
	// Whoever asked may hang up meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.cfg.AgentTimeout)
	defer cancel()
	reply, err := k.deps.Agents.RequestCancel(ctx, oc.Target.Cluster, oc.Target.Node, gopprof.CancelRequest{Capture: oc.Capture})
	if err != nil {
		k.log.Warn("capture could not be cancelled", zap.String("capture", oc.Capture), zap.String("node", oc.Target.Node), zap.Error(err))
		return false
	}
	return reply.Accepted
}
