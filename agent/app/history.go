package app

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/accept"
	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

// historian adds to each capture what both witnesses saw of its target before: it stands
// around take and around publish, whoever asked for the capture. The local readings are
// looked up as the capture ends, since the container may be replaced while the series are
// waited for, and its readings with it; the series at the last moment, since they come late.
// A history that cannot be had, or sent, costs nobody the capture.
type historian struct {
	local interface {
		Past(t gopprof.Target, start, end time.Time) observe.Past
	}
	series *past
	guard  *guard
	log    *zap.Logger
}

// seriesAge is how old the newest answer of the series may be, before the capture, to be
// told with it: nobody asks the series for captures by hand.
const seriesAge = 2 * time.Minute

// withLocal adds what the local witness saw.
func (h *historian) withLocal(c gopprof.Capture) gopprof.Capture {
	return h.with(c, func(history *gopprof.History) {
		seen := h.local.Past(c.Target, c.End.Add(-gopprof.HistoryLength), c.End)
		history.Local = named(seen, c.Trigger.Evidence)
	})
}

// withSeries adds what the series say.
func (h *historian) withSeries(c gopprof.Capture) gopprof.Capture {
	if len(c.Profiles) == 0 { // it came to nothing
		return c
	}
	since := c.End
	if c.Trigger.Evidence != nil { // the series were asked as the rule fired
		since = c.Trigger.At
	}
	return h.with(c, func(history *gopprof.History) {
		history.Series, history.SeriesBy = h.series.told(c.Target, c.End.Add(-gopprof.HistoryLength), c.End, since.Add(-seriesAge))
	})
}

// with returns the capture with its history completed, or as it was.
func (h *historian) with(c gopprof.Capture, complete func(*gopprof.History)) gopprof.Capture {
	h.guard.do(guardedHistory, func() {
		history := c.History
		complete(&history)
		if err := wire.CheckHistory(history); err != nil {
			h.log.Error("history left out", append(fieldsOf(c.Target), zap.String("capture", c.ID), zap.Error(err))...)
			return
		}
		c.History = history
	}, fieldsOf(c.Target))
	return c
}

// named leaves out what stands in for a limit where no evidence says by name that it does:
// a point's limit is one.
func named(seen observe.Past, evidence *gopprof.Evidence) []gopprof.Point {
	var judged gopprof.Window
	if evidence != nil {
		judged = evidence.Newest()
	}
	for i := range seen.Points {
		p := &seen.Points[i]
		if seen.CPUBasis != gopprof.BasisLimit && judged.CPU.Basis != seen.CPUBasis {
			p.CPULimitCores = 0
		}
		if seen.MemoryBasis != gopprof.BasisLimit && judged.Memory.Basis != seen.MemoryBasis {
			p.MemoryLimitBytes = 0
		}
	}
	return seen.Points
}

// fullTaker is take as the pipeline and accept need it together.
type fullTaker interface {
	taker
	accept.Taker
}

// historyTaker is take, whose captures tell what was seen before they ended.
type historyTaker struct {
	fullTaker
	*historian
}

// Take implements taker.
func (t historyTaker) Take(ctx context.Context, o gopprof.Order) (gopprof.Capture, error) {
	return t.told(t.fullTaker.Take(ctx, o))
}

// Start implements accept.Taker.
func (t historyTaker) Start(ctx context.Context, o gopprof.Order) (func() (gopprof.Capture, error), error) {
	wait, err := t.fullTaker.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	return sync.OnceValues(func() (gopprof.Capture, error) { return t.told(wait()) }), nil
}

func (t historyTaker) told(c gopprof.Capture, err error) (gopprof.Capture, error) {
	if err != nil {
		return c, err
	}
	return t.withLocal(c), nil
}

// historyPublisher is publish, to which captures go with what the series say.
type historyPublisher struct {
	publisher
	*historian
}

// Publish implements publisher.
func (p historyPublisher) Publish(ctx context.Context, c gopprof.Capture) error {
	return p.publisher.Publish(ctx, p.withSeries(c))
}

// Hold implements publisher.
func (p historyPublisher) Hold(c gopprof.Capture, until time.Time) error {
	return p.publisher.Hold(p.withSeries(c), until)
}

// Amend implements publisher.
func (p historyPublisher) Amend(ctx context.Context, id string, change func(c *gopprof.Capture)) error {
	return p.publisher.Amend(ctx, id, func(c *gopprof.Capture) {
		change(c)
		*c = p.withSeries(*c)
	})
}
