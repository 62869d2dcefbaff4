package app

import (
	"context"
	"errors"
	"time"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/aggregator/dispatch/operations"
	"github.com/gopprof/gopprof/aggregator/dispatch/siblings"
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

// decisions answers firing agents. Who is captured beside a hot pod is written down before
// its agent gets its go.
type decisions struct {
	dispatch *dispatch.Dispatcher
	siblings *siblings.Keeper
}

// Decide is for bus.Answer.
func (d decisions) Decide(ctx context.Context, f gopprof.Firing) gopprof.Decision {
	ctx, cancel := context.WithTimeout(ctx, dispatch.DecideWithin)
	defer cancel()
	decision := d.dispatch.Decide(ctx, f)
	d.siblings.Asked(ctx, f, decision)
	return decision
}

// ends tells all who wait for the end of a capture: the budget, the operations, and the hot
// captures whose sibling it is.
type ends struct {
	dispatch *dispatch.Dispatcher
	manual   *operations.Keeper
	siblings *siblings.Keeper
}

// Stored implements closer.
func (e ends) Stored(ctx context.Context, report gopprof.Report) error {
	return errors.Join(e.dispatch.Ended(ctx, report.Capture.ID), e.manual.Stored(ctx, report), e.siblings.Stored(ctx, report))
}

// Failed implements closer.
func (e ends) Failed(ctx context.Context, capture gopprof.Capture) error {
	return errors.Join(e.dispatch.Ended(ctx, capture.ID), e.manual.Failed(ctx, capture), e.siblings.Failed(ctx, capture))
}

// GivenUp implements closer.
func (e ends) GivenUp(ctx context.Context, capture gopprof.Capture, reason gopprof.Reason, detail string) error {
	return errors.Join(e.dispatch.Ended(ctx, capture.ID), e.manual.GivenUp(ctx, capture, reason, detail), e.siblings.GivenUp(ctx, capture, reason, detail))
}
