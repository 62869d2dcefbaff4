package notify

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// orphans is the name, which no receiver can have, under which those groups are pending whose
// receiver nobody here can tell.
const orphans = ""

var (
	// errGone is what is said of receivers that are not configured.
	errGone = &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "no receiver of that name"}
	// errSingly is what is said of those that take no groups.
	errSingly = &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "a webhook without template takes single reports only"}
)

// gone says why groups of a receiver cannot be told here; nil when they can.
func (n *Notifier) gone(receiver string) error {
	switch to := n.receivers[receiver]; {
	case to == nil:
		return errGone
	case !to.grouped():
		return errSingly
	}
	return nil
}

// orphanUntil is when a group that nobody here can tell is given up; zero when there is
// nothing to give up. A replica of another configuration that knows the receiver would have
// told it, or tried to, long before.
func (n *Notifier) orphanUntil(g group) time.Time {
	d := g.decide(n.deps.Now(), n.lease())
	if d.act == actNothing || d.act == actClose {
		return time.Time{}
	}
	return later(later(d.until, g.At), g.Last).Add(n.cfg.GiveUpAfter)
}

func (n *Notifier) scheduleOrphan(key string, g group) {
	if at := n.orphanUntil(g); at.IsZero() {
		n.pending.forget(orphans, key, g.revision)
	} else {
		n.pending.set(orphans, key, at, g.revision)
	}
}

// turnOrphans gives up what is due, and returns when to come again.
func (n *Notifier) turnOrphans(ctx context.Context) (next time.Time) {
	for {
		now := n.deps.Now()
		keys, later := n.pending.at(orphans, now)
		if len(keys) == 0 {
			return later
		}
		for _, key := range keys {
			err := n.abandon(ctx, key)
			n.trouble("what nobody can be told cannot be given up", "", err)
			if err != nil {
				return now.Add(busyPause)
			}
		}
	}
}

// abandon gives up a group whose receiver is gone, if it is still that and its time has come.
func (n *Notifier) abandon(ctx context.Context, key string) error {
	unlock := n.pending.lock(key)
	defer unlock()
	g, err := n.readGroup(ctx, key)
	if err != nil || n.pending.behind(orphans, key, g.revision, n.deps.Now().Add(busyPause)) {
		return err
	}
	gaveUp := false
	g, err = n.changeKnown(ctx, key, g, func(g group) (group, bool) {
		until := n.orphanUntil(g)
		if gaveUp = n.gone(g.Receiver) != nil && !until.IsZero() && !until.After(n.deps.Now()); gaveUp {
			return g.abandoned(), true
		}
		return g, false
	})
	if err != nil {
		return err
	}
	if gaveUp {
		n.metrics.gaveUp.WithLabelValues(g.Receiver, string(gopprof.ReasonGone)).Inc()
		n.log.Error("group given up", zap.String("receiver", g.Receiver), zap.String("group", g.Labels),
			zap.String("reason", string(gopprof.ReasonGone)), zap.String("error", n.gone(g.Receiver).Error()))
	}
	n.scheduleOrphan(key, g)
	return nil
}
