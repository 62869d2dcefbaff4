package notify

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	// mostUnhandled bounds how many reports of a receiver are remembered for one trouble.
	mostUnhandled = 1000
	// unhandledFor is longer than the longest pause between two tries at a report. One that was
	// not seen for so long is another replica's by now.
	unhandledFor = 15 * time.Minute
)

// unhandled are the reports that could not be handled at their last try, though no receiver
// is to blame: the record was not read or not written. It tells when such a trouble begins and
// ends; in between, each report fails again and again, and perhaps all of them.
type unhandled struct {
	mu  sync.Mutex // guards all
	all map[gopprof.Reason]map[string]time.Time
}

// note notes what became of a try; no reason is a report that was handled.
func (u *unhandled) note(report string, reason gopprof.Reason, now time.Time) (began bool, ended []gopprof.Reason) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for other, reports := range u.all {
		maps.DeleteFunc(reports, func(id string, at time.Time) bool { return id == report || now.Sub(at) > unhandledFor })
		if len(reports) == 0 && other != reason {
			delete(u.all, other)
			ended = append(ended, other)
		}
	}
	if reason == "" {
		return false, ended
	}
	if u.all[reason] == nil {
		u.all[reason] = map[string]time.Time{}
		began = true
	}
	if len(u.all[reason]) < mostUnhandled {
		u.all[reason][report] = now
	}
	return began, ended
}

// tried counts a try at a report that failed for no receiver's fault, and logs when that
// begins and ends.
func (n *Notifier) tried(ctx context.Context, to *receiver, r gopprof.Report, err error) {
	if ctx.Err() != nil || errors.Is(err, errBusy) {
		return // it was not tried
	}
	var reason gopprof.Reason
	if _, later := errors.AsType[*RetryError](err); err != nil && !later {
		reason = reasonOf(err)
		n.metrics.failed.WithLabelValues(to.Name, string(reason)).Inc()
	}
	began, ended := to.unhandled.note(r.ID, reason, n.deps.Now())
	if began {
		n.log.Error("reports cannot be handled, they are tried again", zap.String("receiver", to.Name),
			zap.String("reason", string(reason)), zap.String("capture", r.ID), zap.Error(err))
	}
	for _, reason := range ended {
		n.log.Info("reports do not fail for that reason any more", zap.String("receiver", to.Name), zap.String("reason", string(reason)))
	}
}

// reasonOf names what kept a record from being read or written.
func reasonOf(err error) gopprof.Reason {
	switch {
	case errors.Is(err, errContended):
		return gopprof.ReasonContended
	case errors.Is(err, bus.ErrTooLarge):
		return gopprof.ReasonTooLarge
	case errors.Is(err, bus.ErrAway):
		return gopprof.ReasonNoAnswer
	case errors.Is(err, bus.ErrFull), errors.Is(err, bus.ErrRefused):
		return gopprof.ReasonStoreFailed
	}
	return gopprof.ReasonInternal
}
