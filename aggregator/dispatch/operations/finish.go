package operations

import (
	"context"
	"fmt"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Stored closes the capture of an operation whose report is stored. Doing so again changes
// nothing. After an error it must be called again.
func (k *Keeper) Stored(ctx context.Context, r gopprof.Report) error {
	return k.close(ctx, r.Capture, gopprof.OperationCapture{State: gopprof.CaptureStored, Report: r.ID})
}

// Failed closes a capture that came to nothing, with the reason that its agent named. After
// an error it must be called again.
func (k *Keeper) Failed(ctx context.Context, c gopprof.Capture) error {
	return k.close(ctx, c, nothing(c))
}

// GivenUp closes a capture that went to the dead letters, with the reason. It may still be
// stored, when somebody replays it. After an error it must be called again.
func (k *Keeper) GivenUp(ctx context.Context, c gopprof.Capture, reason gopprof.Reason, detail string) error {
	return k.close(ctx, c, failed(reason, fmt.Sprintf("the capture could not be handled and lies among the dead letters: %.400s", detail)))
}

// nothing is the end of a capture without profiles.
func nothing(c gopprof.Capture) gopprof.OperationCapture {
	if len(c.Failures) == 0 {
		return failed(gopprof.ReasonInternal, "the agent sent no profile and no reason")
	}
	return refusal(gopprof.CaptureReply{Reason: c.Failures[0].Reason, Detail: c.Failures[0].Detail})
}

// close takes a capture of an operation to its end. The operation's name comes from an
// agent: a capture that the operation does not hold, or of another node, changes nothing.
func (k *Keeper) close(ctx context.Context, c gopprof.Capture, end gopprof.OperationCapture) error {
	q := c.Trigger.Request
	if q == nil || q.Operation == "" {
		return nil
	}
	_, err := k.change(ctx, q.Operation, func(op *gopprof.Operation) (changed bool) {
		for i, oc := range op.Captures {
			if oc.Capture == c.ID && oc.Target.Cluster == c.Target.Cluster && oc.Target.Node == c.Target.Node {
				op.Captures[i], changed = advance(oc, end)
			}
		}
		return changed
	})
	if gopprof.ReasonOf(err) == gopprof.ReasonUnknown {
		return nil
	}
	if err != nil {
		return fmt.Errorf("closing capture %q: %w", c.ID, err)
	}
	return nil
}
