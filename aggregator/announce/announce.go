// Package announce publishes reports to everybody who listens. A committed report enters;
// it leaves once on its subject in NATS, from where our own notify and every other
// consumer take it. Announcing a report again is a no-op: the same report is never
// published twice.
package announce

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Publisher publishes a report unless it is published already; nil says that it is.
type Publisher interface {
	PublishReport(ctx context.Context, r gopprof.Report) error
}

// Announcer announces reports.
type Announcer struct {
	to      Publisher
	log     *zap.Logger
	metrics *metrics
}

// New returns an Announcer to a publisher, which is the bus.
func New(to Publisher, log *zap.Logger, reg prometheus.Registerer) *Announcer {
	return &Announcer{to: to, log: log, metrics: newMetrics(reg)}
}

// Announce publishes a committed report and returns when NATS has it. The publisher's
// error is kept in the chain: the caller decides whether it lasts.
func (a *Announcer) Announce(ctx context.Context, r gopprof.Report) error {
	if err := a.to.PublishReport(ctx, r); err != nil {
		a.metrics.failures.Inc()
		return fmt.Errorf("announcing report %q: %w", r.ID, err)
	}
	a.metrics.announced.Inc()
	t := r.Capture.Target
	a.log.Info("report announced", zap.String("node", t.Node), zap.String("namespace", t.Namespace),
		zap.String("pod", t.Pod), zap.String("container", t.Container), zap.String("capture", r.ID))
	return nil
}
