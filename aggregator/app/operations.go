package app

import (
	"context"
	"errors"
	"time"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/aggregator/dispatch/operations"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// byHand is what serve knows of captures by hand and of the nodes.
type byHand struct {
	*operations.Keeper
	dispatch *dispatch.Dispatcher
}

// Nodes implements serve.Captures.
func (b byHand) Nodes() []gopprof.NodeState { return b.dispatch.Nodes() }

// StaleAfter implements serve.Captures.
func (b byHand) StaleAfter() time.Duration { return b.dispatch.StaleAfter() }

// ends tells both who wait for the end of a capture: the budget and the operations.
type ends struct {
	dispatch *dispatch.Dispatcher
	manual   *operations.Keeper
}

// Stored implements closer.
func (e ends) Stored(ctx context.Context, report gopprof.Report) error {
	return errors.Join(e.dispatch.Ended(ctx, report.Capture.ID), e.manual.Stored(ctx, report))
}

// Failed implements closer.
func (e ends) Failed(ctx context.Context, capture gopprof.Capture) error {
	return errors.Join(e.dispatch.Ended(ctx, capture.ID), e.manual.Failed(ctx, capture))
}

// GivenUp implements closer.
func (e ends) GivenUp(ctx context.Context, capture gopprof.Capture, reason gopprof.Reason, detail string) error {
	return errors.Join(e.dispatch.Ended(ctx, capture.ID), e.manual.GivenUp(ctx, capture, reason, detail))
}
