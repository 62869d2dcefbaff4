package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// aggregatorAsker is the bus as the pipeline needs it.
type aggregatorAsker interface {
	Ask(ctx context.Context, firing gopprof.Firing) (gopprof.Decision, error)
}

// asking asks the aggregator whether a firing may become a capture. When nobody answers,
// the node decides under a small budget of its own: the moment will not come back.
type asking struct {
	paused     func() bool // nil: never
	aggregator aggregatorAsker
	perHour    int // captures without an answer
	newID      func() string
	remember   func(recent []time.Time) // writes them down, so that a restart is no new hour
	log        *zap.Logger

	mu     sync.Mutex // guards what follows
	recent []time.Time
	own    []string // the captures that the node allowed last, at most perHour
}

// Ask returns the aggregator's decision, or the node's own.
func (a *asking) Ask(ctx context.Context, firing gopprof.Firing) gopprof.Decision {
	if a.paused != nil && a.paused() {
		return gopprof.Decision{Reason: gopprof.ReasonPaused}
	}
	decision, err := a.aggregator.Ask(ctx, firing)
	if err == nil && decision.Reason != gopprof.ReasonNoAnswer { // the aggregator that could not reach its own budget says so
		return decision
	}
	if ctx.Err() != nil {
		return gopprof.Decision{Reason: gopprof.ReasonCancelled}
	}
	if errors.Is(err, bus.ErrInvalid) { // nobody was asked, and nobody would take the capture
		a.log.Warn("aggregator could not be asked", zap.String("capture", firing.Capture), zap.Error(err))
		return gopprof.Decision{Reason: gopprof.ReasonBadInput}
	}
	own := a.decide(firing)
	a.log.Warn("aggregator did not answer, node decided", zap.String("capture", firing.Capture), zap.Bool("go", own.Go), zap.Error(err))
	return own
}

func (a *asking) decide(firing gopprof.Firing) gopprof.Decision {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.recent = lastHour(a.recent, firing.At)
	if len(a.recent) >= a.perHour {
		return gopprof.Decision{Reason: gopprof.ReasonBudget}
	}
	a.recent = append(a.recent, firing.At)
	a.own = append(a.own, firing.Capture)
	a.own = a.own[max(0, len(a.own)-a.perHour):]
	a.remember(a.recent)
	return gopprof.Decision{Go: true, Incident: a.newID()}
}

// CameToNothing gives the place of a capture back that the node had allowed, as the aggregator
// does with its own.
func (a *asking) CameToNothing(capture string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.own, capture)
	if i < 0 {
		return
	}
	a.own = slices.Delete(a.own, i, i+1)
	if n := len(a.recent); n > 0 {
		a.recent = a.recent[:n-1]
		a.remember(a.recent)
	}
}

// lastHour returns the moments of the last hour. One of the future, which a clock that was
// set back leaves, counts as this moment: for an hour from now and not for longer.
func lastHour(moments []time.Time, now time.Time) []time.Time {
	var kept []time.Time
	for _, t := range moments {
		if t.After(now) {
			t = now
		}
		if now.Sub(t) < time.Hour {
			kept = append(kept, t)
		}
	}
	return kept
}
