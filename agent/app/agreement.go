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
	wait       time.Duration                      // how long after firing an answer is waited for
	every      time.Duration                      // between two questions of one firing
	local      func(t gopprof.Target) judge.Local // of this very container: what was started in its place says nothing of what it did
	now        func() time.Time
	log        *zap.Logger

	asking chan struct{} // holds one element while InfluxDB is asked, whatever fires together; guards the next four
	asked  time.Time     // when the newest answer came
	from   time.Time
	err    error
	narrow time.Time // an answer for the last minutes was too large: no other is asked for until then

	mu      sync.Mutex // guards answers
	answers map[gopprof.SeriesKey][]gopprof.Window

	past past // what the answers together say of the last minutes
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

// compare asks for what the comparison needs and, in the same question, for what the
// capture's history lacks of the minutes before.
func (w *secondWitness) compare(ctx context.Context, f judge.Fired) gopprof.Agreement {
	start, _ := f.Evidence.Hot()
	needed := start.Add(-2 * w.resolution)
	series, err := w.windowsSince(ctx, needed, w.now().Add(-gopprof.HistoryLength))
	if err != nil {
		return gopprof.Agreement{Result: gopprof.AgreementUnavailable, Reason: w.reasonOf(err), Detail: err.Error()}
	}
	return judge.Agree(f.Evidence, begunSince(needed, series[f.Target.Series()]), w.local(f.Target))
}

// begunSince leaves out the windows that began before a moment. Where that leaves none, the
// newest stays if it tells of absurd points: a writer whose clock is ahead has written none
// of these minutes, and that is no absence.
func begunSince(from time.Time, windows []gopprof.Window) []gopprof.Window {
	first := 0
	for first < len(windows) && windows[first].Start.Before(from) {
		first++
	}
	if first > 0 && first == len(windows) && windows[first-1].AbsurdPoints > 0 {
		first--
	}
	return windows[first:]
}

// windows returns the node's series since from.
func (w *secondWitness) windows(ctx context.Context, from time.Time) (map[gopprof.SeriesKey][]gopprof.Window, error) {
	return w.windowsSince(ctx, from, from)
}

// windowsSince returns the node's series since needed, or since wished, which is earlier.
// Firings that come together share one answer, and one failure.
func (w *secondWitness) windowsSince(ctx context.Context, needed, wished time.Time) (map[gopprof.SeriesKey][]gopprof.Window, error) {
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
		case !w.from.After(needed):
			return w.Answers(), nil
		}
	}
	answers, from, err := w.ask(ctx, needed, wished)
	if ctx.Err() != nil {
		return answers, err // it ended with its asker, which says nothing to the others
	}
	w.asked, w.from, w.err = w.now(), from, err
	if err != nil {
		return nil, err
	}
	w.past.add(answers, from, w.asked, w.resolution)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = answers
	return answers, nil
}

// failedLately is how long after a failure nothing is asked for that is not needed.
const failedLately = time.Minute

// narrowFor is how long no answer for the last minutes is asked for after one that was too large:
// a node that has so many containers keeps them, what a broken server said is over by then.
const narrowFor = 6 * time.Hour

// ask asks since needed, and since wished where that is not known yet. The wish must never
// cost what is needed. The caller holds asking.
func (w *secondWitness) ask(ctx context.Context, needed, wished time.Time) (answers map[gopprof.SeriesKey][]gopprof.Window, from time.Time, err error) {
	from = needed
	failed := w.err != nil && w.now().Sub(w.asked).Abs() < failedLately
	if wished.Before(needed) && !failed && !w.now().Before(w.narrow) && w.past.lacks(wished, needed, w.resolution) {
		from = wished
	}
	answers, err = w.source.Windows(ctx, w.node, from, w.now())
	if from.Equal(needed) || !heapster.TooLarge(err) {
		return answers, from, err
	}
	w.narrow = w.now().Add(narrowFor)
	w.log.Warn("series of the last minutes not asked for: raise heapster.max_rows and heapster.max_answer_bytes", zap.Duration("for", narrowFor), zap.Error(err))
	answers, err = w.source.Windows(ctx, w.node, needed, w.now())
	return answers, needed, err
}

// Answers returns the newest windows of each container of the node, oldest first.
func (w *secondWitness) Answers() map[gopprof.SeriesKey][]gopprof.Window {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.answers
}

func (w *secondWitness) reasonOf(err error) gopprof.Reason { return heapster.ReasonOf(err) }
