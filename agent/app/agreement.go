package app

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/agent/observe/heapster"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// seriesSource is observe/heapster as the pipeline needs it.
type seriesSource interface {
	Windows(ctx context.Context, node string, from, to time.Time) (map[gopprof.SeriesKey][]gopprof.Window, error)
}

// secondWitness asks the series what they saw, and keeps the newest answer of each target
// for the status port.
type secondWitness struct {
	source     seriesSource // nil: no series are configured
	node       string
	resolution time.Duration
	wait       time.Duration // how long after firing an answer is waited for
	every      time.Duration // between two questions of one firing
	local      func(key string) judge.Local
	now        func() time.Time
	log        *zap.Logger

	asking chan struct{} // holds one element while InfluxDB is asked, whatever fires together; guards the next three
	asked  time.Time     // when the newest answer came
	from   time.Time
	err    error

	mu      sync.Mutex // guards answers
	answers map[gopprof.SeriesKey][]gopprof.Window
}

// Agree waits until an interval of the series inside the hot span can be compared, for at
// most wait after now; one question may take every, also when wait is shorter.
func (w *secondWitness) Agree(ctx context.Context, f judge.Fired) gopprof.Agreement {
	if w.source == nil || f.Evidence.Policy != gopprof.PolicyConfirm {
		return gopprof.Agreement{Result: gopprof.AgreementUnavailable, Reason: gopprof.ReasonSeriesOff}
	}
	deadline := w.now().Add(w.wait)
	ctx, cancel := context.WithTimeout(ctx, max(w.wait, w.every))
	defer cancel()
	for {
		answer := w.compare(ctx, f)
		if answer.Result != gopprof.AgreementUnavailable || !w.now().Add(w.every).Before(deadline) {
			return answer
		}
		select {
		case <-time.After(w.every):
		case <-ctx.Done():
			return answer
		}
	}
}

func (w *secondWitness) compare(ctx context.Context, f judge.Fired) gopprof.Agreement {
	start, _ := f.Evidence.Hot()
	series, err := w.windows(ctx, start.Add(-2*w.resolution))
	if err != nil {
		return gopprof.Agreement{Result: gopprof.AgreementUnavailable, Reason: w.reasonOf(err), Detail: err.Error()}
	}
	return judge.Agree(f.Evidence, series[f.Target.Series()], w.local(f.Target.Key()))
}

// windows returns the node's series since from. Firings that come together share one
// answer, and one failure.
func (w *secondWitness) windows(ctx context.Context, from time.Time) (map[gopprof.SeriesKey][]gopprof.Window, error) {
	select {
	case w.asking <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-w.asking }()
	if w.now().Sub(w.asked).Abs() < w.every/2 {
		switch {
		case w.err != nil:
			return nil, w.err
		case !w.from.After(from):
			return w.Answers(), nil
		}
	}
	answers, err := w.source.Windows(ctx, w.node, from, w.now())
	if ctx.Err() != nil {
		return answers, err // it ended with its asker, which says nothing to the others
	}
	w.asked, w.from, w.err = w.now(), from, err
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = answers
	return answers, nil
}

// Answers returns the newest windows of each container of the node, oldest first.
func (w *secondWitness) Answers() map[gopprof.SeriesKey][]gopprof.Window {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.answers
}

func (w *secondWitness) reasonOf(err error) gopprof.Reason { return heapster.ReasonOf(err) }
