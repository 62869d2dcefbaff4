package notify

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
)

const (
	// mostSingly is how many groups are told one by one at a time: when more are due at once,
	// they are told in one message.
	mostSingly = 5
	// mostTogether is how many groups one message tells of.
	mostTogether = 50
	// lookAgain is the longest time between two looks at what is due: clocks are set.
	lookAgain = time.Minute
)

// Run tells what was written down until ctx ends, each receiver by itself. Whatever replica
// wrote it down, each tells it; the records keep them apart.
func (n *Notifier) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	for _, to := range n.receivers {
		if to.grouped() {
			all.Go(func() { n.attend(ctx, to.Name, func(ctx context.Context) time.Time { return n.turn(ctx, to) }) })
		}
	}
	all.Go(func() { n.attend(ctx, orphans, n.turnOrphans) })
	all.Go(func() { n.keepRoom(ctx) })
	if n.deps.Silences != nil {
		all.Go(func() { n.watch(ctx, "silences cannot be watched", n.deps.Silences, n.silences.see) })
	}
	n.watch(ctx, "records of what was told cannot be watched", n.deps.Told, n.see)
	return nil
}

// watched is a bucket that shows its keys and their changes.
type watched interface {
	Watch(ctx context.Context, show func(key string, value []byte, revision uint64), shown func()) error
}

// watch has what is in a bucket seen, and what changes there, until ctx ends.
func (n *Notifier) watch(ctx context.Context, what string, bucket watched, see func(key string, value []byte, revision uint64)) {
	for ctx.Err() == nil {
		if err := bucket.Watch(ctx, see, func() { n.trouble(what, "", nil) }); err != nil && ctx.Err() == nil {
			n.trouble(what, "", err)
		}
		pause(ctx, busyPause)
	}
}

// see notes a record that was changed, by whomever.
func (n *Notifier) see(key string, value []byte, revision uint64) {
	if !strings.HasPrefix(key, groupPrefix) || value == nil {
		return
	}
	g := groupOf(value)
	g.revision = revision
	switch {
	case g.Receiver == "" || !strings.HasPrefix(key, groupPrefix+g.Receiver+"."): // not ours
	case n.gone(g.Receiver) != nil:
		n.scheduleOrphan(key, g)
	default:
		n.schedule(g.Receiver, key, g)
	}
}

// attend takes turns at what is pending under a name, until ctx ends.
func (n *Notifier) attend(ctx context.Context, name string, turn func(context.Context) (next time.Time)) {
	wake := n.pending.woken(name)
	for ctx.Err() == nil {
		wait := lookAgain
		if next := turn(ctx); !next.IsZero() {
			wait = min(max(next.Sub(n.deps.Now()), time.Millisecond), lookAgain)
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-wake:
		}
		t.Stop()
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Turn tells every receiver once what is due, and returns when something will be due next;
// zero when nothing is waited with. Run does it again and again.
func (n *Notifier) Turn(ctx context.Context) (next time.Time) {
	earliest := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, name := range sortedKeys(n.receivers) {
		earliest(n.turn(ctx, n.receivers[name]))
	}
	earliest(n.turnOrphans(ctx))
	return next
}

// stopGrace is how long a message that is on its way may take when the process is to stop.
const stopGrace = 5 * time.Second

// outliving returns a context that ends stopGrace after ctx does.
func outliving(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(stopGrace, cancel)
		context.AfterFunc(longer, func() { t.Stop() })
	})
	return longer, func() { stop(); cancel() }
}

// turn tells a receiver what is due, message by message, and returns when to come again. When
// ctx ends, no message is begun, and one that is on its way is seen to its end.
func (n *Notifier) turn(until context.Context, to *receiver) (next time.Time) {
	ctx, done := outliving(until)
	defer done()
	for until.Err() == nil {
		now := n.deps.Now()
		keys, later := n.pending.at(to.Name, now)
		if left := to.paused(now); left > 0 && len(keys) > 0 {
			return now.Add(left)
		}
		due, ok := n.due(ctx, to.Name, keys)
		if !ok {
			return now.Add(busyPause)
		}
		if len(due) == 0 {
			if len(keys) == 0 {
				return later
			}
			continue // they were not due after all
		}
		if !n.tellGroups(ctx, to, n.nextMessage(to, due)) {
			return now.Add(busyPause)
		}
	}
	return time.Time{}
}

// due reads the groups that are due, and closes those of which there is nothing to tell.
// false means that the records cannot be read now.
func (n *Notifier) due(ctx context.Context, receiver string, keys []string) ([]claim, bool) {
	keys = keys[:min(len(keys), 2*mostTogether)]
	all, errs := make([]claim, len(keys)), make([]error, len(keys))
	each(len(keys), func(k int) { all[k], errs[k] = n.look(ctx, receiver, keys[k]) })
	const unread = "record of what is to be told cannot be read"
	for _, err := range errs {
		if err != nil {
			n.trouble(unread, receiver, err)
			return nil, false
		}
	}
	if len(keys) > 0 {
		n.trouble(unread, receiver, nil)
	}
	return slices.DeleteFunc(all, func(c claim) bool { return c.d.act != actTell }), true
}

// look reads a group that is due.
func (n *Notifier) look(ctx context.Context, receiver, key string) (claim, error) {
	g, err := n.readGroup(ctx, key)
	if err != nil {
		return claim{}, err
	}
	if n.pending.behind(receiver, key, g.revision, n.deps.Now().Add(busyPause)) {
		return claim{}, nil
	}
	d := g.decide(n.deps.Now(), n.lease())
	switch d.act {
	case actTell:
		return claim{key, g, d}, nil
	case actClose:
		if g, err = n.writeGroup(ctx, key, g.closed()); errors.Is(err, bus.ErrConflict) {
			return claim{}, nil // it stays due, and is read anew
		} else if err != nil {
			return claim{}, err
		}
	}
	n.schedule(receiver, key, g)
	return claim{}, nil
}

// each calls f for every number below n, all at the same time: what waits for NATS need not
// wait for another such.
func each(n int, f func(k int)) {
	var all sync.WaitGroup
	for k := range n {
		all.Go(func() { f(k) })
	}
	all.Wait()
}

func sortByTime(keys []string, due map[string]time.Time) {
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(due[a].Compare(due[b]), cmp.Compare(a, b)) })
}

func sortedKeys(m map[string]*receiver) []string {
	var all []string
	for name := range m {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// Test brings a marked message to a receiver, in somebody's name, and says what came of it.
func (n *Notifier) Test(ctx context.Context, receiver, id, who string) (Outcome, error) {
	out, err := n.Deliver(ctx, receiver, Message{ID: "test-" + id, Who: Clean(who, 200)})
	if err != nil {
		return out, err
	}
	if out.Reason == "" {
		n.metrics.messages.WithLabelValues(receiver, string(KindTest)).Inc()
	}
	n.log.Info("receiver tried", zap.String("receiver", receiver), zap.String("who", Clean(who, 200)), zap.String("reason", string(out.Reason)), zap.String("error", out.Detail))
	return out, nil
}
