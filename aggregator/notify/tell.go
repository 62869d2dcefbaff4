package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// busyPause is how long to stay away from a record that another replica changes, and from a
// receiver that is being posted to as often as it may be.
const busyPause = time.Second

// tell brings one report to one receiver, if that is still to be done.
func (n *Notifier) tell(ctx context.Context, to *receiver, r gopprof.Report) error {
	if err := to.enter(ctx); err != nil {
		return &RetryError{to.Name, busyPause, err}
	}
	defer to.leave()
	k := key(r.ID, to.Name)
	rec, err := n.read(ctx, k)
	if err != nil {
		return fmt.Errorf("reading what receiver %q was told: %w", to.Name, err)
	}
	switch act, left := rec.next(n.deps.Now(), n.lease()); act {
	case done:
		n.metrics.repeats.WithLabelValues(to.Name).Inc()
		return nil
	case wait:
		return &RetryError{to.Name, left, errNotYet}
	case sendDup:
		n.metrics.duplicates.WithLabelValues(to.Name).Inc()
	}
	if left := to.paused(n.deps.Now()); left > 0 {
		return &RetryError{to.Name, left, errNotYet}
	}
	rec, err = n.write(ctx, k, rec.begun(n.deps.Now()))
	if errors.Is(err, bus.ErrConflict) {
		return &RetryError{to.Name, busyPause, errNotYet}
	}
	if err != nil {
		return fmt.Errorf("recording what receiver %q is told: %w", to.Name, err)
	}
	return n.attempt(ctx, to, r, rec)
}

var (
	errNotYet = errors.New("not yet")
	errBusy   = errors.New("as many posts as it may have are under way")
)

// An attempt is to write down that it begins, to post, and to write down how it ended.
const (
	claimTime = 10 * time.Second
	saveTime  = 10 * time.Second
)

// lease is how long an attempt may take before its process is thought dead.
func (n *Notifier) lease() time.Duration { return claimTime + n.cfg.Timeout + saveTime }

// Deliver makes one attempt to bring a message to a receiver, without any record of it. What
// it returns holds no secret.
func (n *Notifier) Deliver(ctx context.Context, name string, m Message) (Outcome, error) {
	to := n.receivers[name]
	if to == nil {
		return Outcome{}, errGone
	}
	return n.post(ctx, to, Letter{Message: m}), nil
}

// attempt posts and records what became of it.
func (n *Notifier) attempt(ctx context.Context, to *receiver, r gopprof.Report, rec record) error {
	start := n.deps.Now()
	out := n.post(ctx, to, Letter{Message: One(ItemOf(r), r.MadeAt), Report: &r})
	if ctx.Err() != nil && out.Reason != "" {
		// Cut off by ourselves: whether it arrived is unknown, and the record says so.
		return &RetryError{to.Name, n.lease(), context.Cause(ctx)}
	}
	now := n.deps.Now()
	n.metrics.seconds.WithLabelValues(to.Name).Observe(now.Sub(start).Seconds())
	rec = n.ended(to, rec, out, now)
	// The post cannot be taken back: it is recorded even if the caller is stopping.
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	if _, err := n.write(save, key(r.ID, to.Name), rec); err != nil {
		return fmt.Errorf("recording what receiver %q was told: %w", to.Name, err)
	}
	return n.concluded(to, r, rec)
}

// ended returns the record of an attempt that ended.
func (n *Notifier) ended(to *receiver, rec record, out Outcome, now time.Time) record {
	rec.At, rec.Reason, rec.Detail = now, out.Reason, out.Detail
	switch {
	case out.Reason == "":
		rec.State = stateTold
	case out.Retry && now.Sub(rec.First) < n.cfg.GiveUpAfter:
		rec.State = stateWaiting
		rec.Next = now.Add(max(out.After, n.backoff(rec.Attempts)))
		if out.After > 0 {
			to.pause(now.Add(out.After))
		}
	default:
		rec.State = stateGaveUp
	}
	return rec
}

// backoff is the pause after so many failures: doubled each time, bounded, and spread over
// its last quarter.
func (n *Notifier) backoff(attempts int) time.Duration {
	d := n.cfg.RetryFirst << min(attempts-1, 20)
	if d > n.cfg.RetryMost || d <= 0 {
		d = n.cfg.RetryMost
	}
	return d - time.Duration(n.deps.Rand()*float64(d)/4)
}

// concluded counts and logs what became of an attempt, and says whether to come again.
func (n *Notifier) concluded(to *receiver, r gopprof.Report, rec record) error {
	log := n.log.With(zap.String("receiver", to.Name), zap.String("capture", r.ID), zap.Int("attempts", rec.Attempts),
		zap.String("namespace", r.Capture.Target.Namespace), zap.String("pod", r.Capture.Target.Pod))
	failure := []zap.Field{zap.String("reason", string(rec.Reason)), zap.String("error", rec.Detail)}
	switch rec.State {
	case stateTold:
		n.metrics.told.WithLabelValues(to.Name).Inc()
		log.Info("report told")
		return nil
	case stateWaiting:
		n.metrics.failed.WithLabelValues(to.Name, string(rec.Reason)).Inc()
		log.Warn("report not told yet", failure...)
		return &RetryError{to.Name, rec.Next.Sub(rec.At), &gopprof.Error{Reason: rec.Reason, Detail: rec.Detail}}
	}
	n.metrics.gaveUp.WithLabelValues(to.Name, string(rec.Reason)).Inc()
	log.Error("report given up", failure...)
	return nil
}
