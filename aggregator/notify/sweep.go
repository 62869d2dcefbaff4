package notify

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// sweepInterval is how often old records are forgotten.
const sweepInterval = time.Hour

// Run forgets records of reports that left the stream long ago, until ctx ends. Every
// replica may do so.
func (n *Notifier) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		if err := n.sweep(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("old records could not be forgotten", zap.Error(err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *Notifier) sweep(ctx context.Context) error {
	keys, err := n.deps.Told.Keys(ctx, "")
	if err != nil {
		return err
	}
	for _, k := range keys {
		if !n.old(k) {
			continue
		}
		if err := n.deps.Told.Delete(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// old reads the age of a record out of its key: the report's ID says when it was made.
func (n *Notifier) old(k string) bool {
	id, _, _ := strings.Cut(k, ".")
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return true
	}
	return time.Unix(u.Time().UnixTime()).Before(n.deps.Now().Add(-n.cfg.Keep))
}
