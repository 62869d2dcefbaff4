package app

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/explain"
	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	// maxEarlier is how many captures of before a hot one is compared with, and earlierWithin
	// how old they may be.
	maxEarlier    = 2
	earlierWithin = 7 * 24 * time.Hour
	// earlierPage is how many reports are listed at a time to find them, the newest first, and
	// earlierPages how often: beyond what is in memory, each of them is read from the store.
	earlierPage  = 20
	earlierPages = 3
	// findWithin bounds the looking for all of them: a report is never held up by it.
	findWithin = 5 * time.Second
	// quietPart is the part of a rule's threshold below which a pod is quiet.
	quietPart = 0.5
)

// The stages as comparing needs them.
type (
	awaited interface {
		Ready(ctx context.Context, capture gopprof.Capture) time.Duration
		Of(ctx context.Context, capture gopprof.Capture) (*gopprof.Fleet, []gopprof.Sibling)
	}
	archive interface {
		Committed(ctx context.Context, capture gopprof.Capture) (gopprof.Report, bool, error)
		List(ctx context.Context, q store.Query) (store.Page, error)
		Read(ctx context.Context, key string) ([]byte, error)
	}
)

// comparing finds what the capture of a rule is compared with.
type comparing struct {
	siblings awaited
	store    archive
	log      *zap.Logger
}

// Ready implements comparer.
func (c comparing) Ready(ctx context.Context, capture gopprof.Capture) time.Duration {
	return c.siblings.Ready(ctx, capture)
}

// Around implements comparer. What cannot be read is not compared with.
func (c comparing) Around(ctx context.Context, capture gopprof.Capture) explain.Around {
	if capture.Trigger.Kind != gopprof.TriggerRule {
		return explain.Around{}
	}
	var around explain.Around
	around.Fleet, around.Siblings = c.siblings.Of(ctx, capture)
	finding, cancel := context.WithTimeout(ctx, findWithin)
	defer cancel()
	for _, s := range around.Siblings {
		if r, ok := c.sibling(finding, capture, s); ok {
			around.Others = append(around.Others, c.other(ctx, r, false))
		}
	}
	for _, r := range c.earlier(finding, capture) {
		around.Others = append(around.Others, c.other(ctx, r, true))
	}
	return around
}

// sibling returns the report of a stored sibling, if that was quiet to its end. It is looked
// for at the one place where the capture that was asked for belongs.
func (c comparing) sibling(ctx context.Context, hot gopprof.Capture, s gopprof.Sibling) (gopprof.Report, bool) {
	if s.State != gopprof.SiblingStored {
		return gopprof.Report{}, false
	}
	r, found, err := c.store.Committed(ctx, gopprof.Capture{ID: s.Capture, Target: s.Target})
	if err != nil {
		c.log.Warn("sibling's report not read, its capture is not compared with", zap.String("capture", s.Capture), zap.Error(err))
	}
	return r, err == nil && found && alike(r.Capture, hot) && stayedQuiet(r.Capture, hot)
}

// earlier returns the newest quiet captures of before, of the same workload and build.
func (c comparing) earlier(ctx context.Context, hot gopprof.Capture) (out []gopprof.Report) {
	t := hot.Target
	q := store.Query{
		Cluster: t.Cluster, Namespace: t.Namespace, Workload: t.Workload.String(),
		From: hot.Start.Add(-earlierWithin), To: hot.Start, Limit: earlierPage,
	}
	for range earlierPages {
		page, err := c.store.List(ctx, q)
		if err != nil {
			c.log.Warn("earlier reports not listed, they are not compared with", zap.String("capture", hot.ID), zap.Error(err))
			return out
		}
		for _, listed := range page.Reports { // newest first
			if r, ok := c.quiet(ctx, listed.Capture, hot); ok {
				out = append(out, r)
			}
			if len(out) == maxEarlier {
				return out
			}
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	return out
}

// quiet returns the report of a listed capture of before, if that was of a quiet pod. Lists do
// not tell what the witnesses saw.
func (c comparing) quiet(ctx context.Context, listed, hot gopprof.Capture) (gopprof.Report, bool) {
	if listed.Incident == hot.Incident || !alike(listed, hot) || !mayBeQuiet(listed) {
		return gopprof.Report{}, false
	}
	r, found, err := c.store.Committed(ctx, listed)
	return r, err == nil && found && wasQuiet(r.Capture, hot)
}

// mayBeQuiet tells whether a capture was made for other than heat.
func mayBeQuiet(c gopprof.Capture) bool {
	return c.Trigger.Kind == gopprof.TriggerSibling || c.Trigger.Kind == gopprof.TriggerManual
}

// alike tells whether two captures are of the same code and hold a kind in common.
func alike(a, b gopprof.Capture) bool {
	return a.Target.Workload == b.Target.Workload && a.Target.Container == b.Target.Container && a.Target.SameBuild(b.Target) &&
		slices.ContainsFunc(a.Profiles, func(p gopprof.Profile) bool { _, both := b.Profile(p.Kind); return both })
}

// wasQuiet tells whether an earlier capture was of a quiet pod: one that was chosen for that,
// or one made by hand whose use is known to have been low.
func wasQuiet(c, hot gopprof.Capture) bool {
	switch c.Trigger.Kind {
	case gopprof.TriggerSibling:
		return stayedQuiet(c, hot)
	case gopprof.TriggerManual:
		level, known := levelDuring(c, hot)
		return known && level < quietPart
	}
	return false
}

// stayedQuiet tells whether a pod that was quiet when it was chosen did not become hot while
// it was profiled, as far as anybody saw.
func stayedQuiet(c, hot gopprof.Capture) bool {
	level, known := levelDuring(c, hot)
	return !known || level < 1
}

// levelDuring returns a capture's mean use while it was made, of what made the other one hot,
// in parts of the threshold that was passed there; false when nobody saw it.
func levelDuring(c, hot gopprof.Capture) (level float64, known bool) {
	e := hot.Trigger.Evidence
	if e == nil || e.Threshold <= 0 {
		return 0, false
	}
	sum, n := 0.0, 0.0
	for _, p := range c.History.Local {
		if ratio, ok := p.Ratio(e.Resource); ok && p.End.After(c.Start) && p.Start.Before(c.End) {
			sum, n = sum+ratio, n+1
		}
	}
	return sum / max(n, 1) / e.Threshold, n > 0
}

// other lends a report's profiles, each read when it is asked for.
func (c comparing) other(ctx context.Context, r gopprof.Report, earlier bool) explain.Other {
	return explain.Other{Report: r, Earlier: earlier, Read: func(kind gopprof.Kind) ([]byte, error) {
		f, ok := r.File(kind)
		if !ok {
			return nil, missing(r, kind)
		}
		return c.store.Read(ctx, f.Profile)
	}}
}
