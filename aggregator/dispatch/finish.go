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
		err = errors.Join(err, d.closeCapture(ctx, q.Operation, c, gopprof.OperationCapture{State: gopprof.CaptureStored, Report: r.ID}))
	}
	if err != nil {
		return fmt.Errorf("closing capture %q: %w", c.ID, err)
	}
	return nil
}

// Failed closes what waited for a capture that came to nothing, as Stored does, with the
// reason that the agent named. After an error it must be called again.
func (d *Dispatcher) Failed(ctx context.Context, c gopprof.Capture) error {
	err := d.release(ctx, c.ID)
	if q := c.Trigger.Request; q != nil && q.Operation != "" {
		err = errors.Join(err, d.closeCapture(ctx, q.Operation, c, nothing(c)))
	}
	if err != nil {
		return fmt.Errorf("closing capture %q: %w", c.ID, err)
	}
	return nil
}

// GivenUp closes what waited for a capture that went to the dead letters, with the reason.
// It may still be stored, when somebody replays it. After an error it must be called again.
func (d *Dispatcher) GivenUp(ctx context.Context, c gopprof.Capture, reason gopprof.Reason, detail string) error {
	err := d.release(ctx, c.ID)
	if q := c.Trigger.Request; q != nil && q.Operation != "" {
		end := failed(reason, fmt.Sprintf("the capture could not be handled and lies among the dead letters: %.400s", detail))
		err = errors.Join(err, d.closeCapture(ctx, q.Operation, c, end))
	}
	if err != nil {
		return fmt.Errorf("closing capture %q: %w", c.ID, err)
	}
	return nil
}

// nothing is the end of a capture without profiles.
func nothing(c gopprof.Capture) gopprof.OperationCapture {
	if len(c.Failures) == 0 {
		return failed(gopprof.ReasonInternal, "the agent sent no profile and no reason")
	}
	return refusal(gopprof.CaptureReply{Reason: c.Failures[0].Reason, Detail: c.Failures[0].Detail})
}

// closeCapture takes a capture of an operation to its end. The operation's name comes from
// an agent: a capture that the operation does not hold, or of another node, changes
// nothing.
func (d *Dispatcher) closeCapture(ctx context.Context, operation string, c gopprof.Capture, end gopprof.OperationCapture) error {
	op, _, err := d.readOperation(ctx, operation)
	if gopprof.ReasonOf(err) == gopprof.ReasonUnknown {
		return nil
	}
	if err != nil {
		return err
	}
	for _, oc := range op.Captures {
		if oc.Capture == c.ID && oc.Target.Cluster == c.Target.Cluster && oc.Target.Node == c.Target.Node {
			end.Until = oc.Until
			_, err = d.advanceOperation(ctx, operation, oc.Capture, end)
		}
	}
	return err
}
