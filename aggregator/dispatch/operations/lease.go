package operations

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
)

const (
	leaseKey = "driver"
	// leaseTime is how long a lease holds that is not renewed.
	leaseTime = 15 * time.Second
	// leaseRenew is how often its holder renews it.
	leaseRenew = leaseTime / 3
	// leaseLook is how long looking at it may take.
	leaseLook = 3 * time.Second
)

// lease makes one replica the driver. Clocks are not compared: a lease is over when its
// record has not changed for leaseTime by the clock of whoever looks. Two drivers at once,
// for a moment, ask agents twice under the same IDs, which starts nothing twice.
type lease struct {
	holder   string // this replica
	revision uint64 // of the record as last seen
	changed  time.Time
	looked   time.Time
}

// hold returns whether this replica drives, taking or renewing the lease where it is due.
// Called by Run only.
func (l *lease) hold(ctx context.Context, k *Keeper) bool {
	now := k.deps.Now()
	if elapsed := now.Sub(l.looked); elapsed >= 0 && elapsed < leaseRenew && !l.looked.IsZero() {
		return k.leads.Load()
	}
	within, cancel := context.WithTimeout(ctx, leaseLook)
	defer cancel()
	held, err := l.look(within, k)
	now = k.deps.Now()
	if err != nil {
		held = k.leads.Load() && now.Sub(l.changed) < leaseTime // nobody else can have taken it yet
		k.waver()
		if !errors.Is(err, context.Canceled) {
			k.log.Debug("lease of the operations' driver not read", zap.Error(err))
		}
	} else {
		l.looked = now
	}
	if was := k.leads.Swap(held); was != held {
		k.waver() // with us, the agents' NATS may have been away
		k.log.Info("driver of operations changed", zap.Bool("here", held))
	}
	return held
}

func (l *lease) look(ctx context.Context, k *Keeper) (bool, error) {
	asked := k.deps.Now()
	value, revision, err := k.deps.Control.Get(ctx, leaseKey)
	now := k.deps.Now()
	switch {
	case errors.Is(err, bus.ErrNoKey):
		revision, err = k.deps.Control.Create(ctx, leaseKey, []byte(l.holder))
		return l.took(revision, asked, err)
	case err != nil:
		return false, err
	}
	if revision != l.revision {
		l.revision, l.changed = revision, now
	}
	free := len(value) == 0 || k.deps.Alone || now.Sub(l.changed) >= leaseTime
	if string(value) != l.holder && !free {
		return false, nil
	}
	asked = now
	revision, err = k.deps.Control.Update(ctx, leaseKey, []byte(l.holder), revision)
	return l.took(revision, asked, err)
}

func (l *lease) took(revision uint64, now time.Time, err error) (bool, error) {
	if errors.Is(err, bus.ErrConflict) { // another was faster
		return false, nil
	}
	if err == nil {
		l.revision, l.changed = revision, now
	}
	return err == nil, err
}

// release lets another replica drive at once.
func (l *lease) release(ctx context.Context, k *Keeper) {
	if !k.leads.Swap(false) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := k.deps.Control.Update(ctx, leaseKey, nil, l.revision); err != nil {
		k.log.Debug("lease of the operations' driver not given back", zap.Error(err))
	}
}
