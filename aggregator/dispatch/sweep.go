package dispatch

import (
	"context"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// sweepInterval is how often old operations and silent nodes are forgotten.
const sweepInterval = 10 * time.Minute

// Run forgets old operations and silent nodes until ctx ends. Every replica may do so.
func (d *Dispatcher) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		if err := d.sweep(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("old operations could not be forgotten", zap.Error(err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (d *Dispatcher) sweep(ctx context.Context) error {
	now := d.deps.Now()
	d.forgetNodes(now.Add(-d.cfg.ForgetAfter))
	keys, err := d.deps.Operations.Keys(ctx, "")
	if err != nil {
		return err
	}
	for _, k := range keys {
		made, ok := madeAt(k)
		if ok && !made.Before(now.Add(-d.cfg.Manual.Keep)) {
			continue
		}
		if err := d.deps.Operations.Delete(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// madeAt reads the time out of a UUIDv7, so that nothing must be read to know what is old.
func madeAt(id string) (time.Time, bool) {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return time.Time{}, false
	}
	return time.Unix(u.Time().UnixTime()), true
}
