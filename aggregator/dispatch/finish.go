package dispatch

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Cancel asks the agents to stop what of an operation has not ended, and returns the
// operation as it then is. A capture whose agent does not stop it keeps its state.
func (d *Dispatcher) Cancel(ctx context.Context, id string) (gopprof.Operation, error) {
	op, err := d.Operation(ctx, id)
	if err != nil {
		return op, err
	}
	for _, oc := range op.Captures {
		if finished(oc) {
			continue
		}
		if !d.stop(ctx, oc) {
			continue
		}
		cancelled := failed(gopprof.ReasonCancelled, "cancelled by request")
		if op, err = d.advanceOperation(ctx, id, oc.Capture, cancelled); err != nil {
			return op, err
		}
		if err := d.release(ctx, oc.Capture); err != nil {
			return op, err
		}
	}
	return expire(op, d.deps.Now(), d.cfg.Manual), nil
}

func (d *Dispatcher) stop(ctx context.Context, oc gopprof.OperationCapture) bool {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Manual.AgentTimeout)
	defer cancel()
	reply, err := d.deps.Agents.RequestCancel(ctx, oc.Target.Cluster, oc.Target.Node, gopprof.CancelRequest{Capture: oc.Capture})
	if err != nil {
		d.log.Warn("capture could not be cancelled", zap.String("capture", oc.Capture), zap.String("node", oc.Target.Node), zap.Error(err))
		return false
	}
	return reply.Accepted
}

// Stored closes what waited for a report's capture: its place in the budget and, when it
// was asked for by hand, its state in the operation. Doing so again changes nothing. After
// an error it must be called again.
func (d *Dispatcher) Stored(ctx context.Context, r gopprof.Report) error {
	c := r.Capture
	err := d.release(ctx, c.ID)
	if q := c.Trigger.Request; q != nil && q.Operation != "" {
		err = errors.Join(err, d.closeCapture(ctx, q.Operation, r))
	}
	if err != nil {
		return fmt.Errorf("closing capture %q: %w", c.ID, err)
	}
	return nil
}

// closeCapture marks a capture of an operation as stored. The operation's name comes from
// an agent: a capture that the operation does not hold, or of another node, changes
// nothing.
func (d *Dispatcher) closeCapture(ctx context.Context, operation string, r gopprof.Report) error {
	op, _, err := d.readOperation(ctx, operation)
	if gopprof.ReasonOf(err) == gopprof.ReasonUnknown {
		return nil
	}
	if err != nil {
		return err
	}
	for _, oc := range op.Captures {
		t := r.Capture.Target
		if oc.Capture == r.Capture.ID && oc.Target.Cluster == t.Cluster && oc.Target.Node == t.Node {
			stored := gopprof.OperationCapture{State: gopprof.CaptureStored, Until: oc.Until, Report: r.ID}
			_, err = d.advanceOperation(ctx, operation, oc.Capture, stored)
		}
	}
	return err
}
