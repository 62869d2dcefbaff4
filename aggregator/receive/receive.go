// Package receive takes captures from NATS and sees each one through: deliveries enter,
// captures with their bytes go to a handler (explain, draw, store, announce), and every
// delivery ends in exactly one of three ways: acknowledged when all is done, given back
// (after a failure with a pause that grows, or to wait for something else), or dead-lettered
// with a reason.
//
// A capture is never acknowledged before its report is committed and announced, never
// lost, and never holds another one up: what cannot be understood, has lost its bytes, or
// kills its worker again and again goes to the dead letters, where a person can look at it.
// A capture that was being handled when its worker died is handled alone from then on, so
// that none is blamed for another's deed.
package receive

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Handler makes a report of a capture. All methods may be called again for the same
// capture, by several aggregators, even at the same time: they must be idempotent. An
// error marked by Poison is final; any other is tried again later.
type Handler interface {
	// Resume finishes a capture whose report is committed already (by announcing it again)
	// and returns whether it was. It comes before the bytes are fetched, since they may
	// have been removed after the report was committed. It returns Later when the report
	// cannot be made yet.
	Resume(ctx context.Context, c gopprof.Capture) (bool, error)
	// Handle makes, commits and announces the report. The profiles have their bytes.
	Handle(ctx context.Context, c gopprof.Capture) error
	// GiveUp closes what waited for a capture that goes to the dead letters. The profiles
	// have no bytes.
	GiveUp(ctx context.Context, c gopprof.Capture, reason gopprof.Reason, detail string) error
}

// Source hands over deliveries to so many workers at once until ctx ends, and waits for
// them then. The context of a delivery outlives ctx.
type Source interface {
	Captures(ctx context.Context, workers int, handle func(context.Context, Delivery)) error
}

// Receiver receives captures.
type Receiver struct {
	cfg     Config
	handler Handler
	places  *semaphore.Weighted // one for each worker; who is to be alone takes them all
	log     *zap.Logger
	metrics *metrics
	waits   *waits
	untold  *untold

	uncounted atomic.Bool // there was no room to count the last start
}

// New returns a Receiver; Run makes it work.
func New(cfg Config, h Handler, log *zap.Logger, reg prometheus.Registerer) *Receiver {
	return &Receiver{cfg: cfg, handler: h, places: semaphore.NewWeighted(int64(max(cfg.Workers, 1))), log: log, metrics: newMetrics(reg), waits: newWaits(), untold: newUntold()}
}

// Run receives captures until ctx ends. Then captures that are being worked on have
// DrainTimeout to end, and are given back otherwise; Run returns after the last one.
func (r *Receiver) Run(ctx context.Context, from Source) error {
	drained, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(r.cfg.DrainTimeout)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-drained.Done():
		}
	})
	defer stop()
	return from.Captures(ctx, r.cfg.Workers, func(ctx context.Context, d Delivery) {
		work, done := joined(ctx, drained)
		defer done()
		r.receive(ctx, work, d)
	})
}

// joined returns a context that ends with a or b.
func joined(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(a)
	stop := context.AfterFunc(b, cancel)
	return ctx, func() { stop(); cancel() }
}
