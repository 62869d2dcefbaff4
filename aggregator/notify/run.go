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
	"github.com/gopprof/gopprof/pkg/gopprof"
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
			all.Go(func() { n.attend(ctx, to) })
		}
	}
	if n.deps.Silences != nil {
		all.Go(func() { n.watchSilences(ctx, func() {}) })
	}
	for ctx.Err() == nil {
		if err := n.deps.Told.Watch(ctx, n.see, func() {}); err != nil && ctx.Err() == nil {
			n.log.Warn("records of what was told cannot be watched", zap.Error(err))
		}
		pause(ctx, busyPause)
	}
	return nil
}

// see notes a record that was changed, by whomever.
func (n *Notifier) see(key string, value []byte, _ uint64) {
	if !strings.HasPrefix(key, groupPrefix) || value == nil {
		return
	}
	if g := groupOf(value); n.receivers[g.Receiver] != nil && strings.HasPrefix(key, groupPrefix+g.Receiver+".") {
		n.schedule(g.Receiver, key, g)
	}
}

// attend tells one receiver until ctx ends.
func (n *Notifier) attend(ctx context.Context, to *receiver) {
	wake := n.pending.woken(to.Name)
	for ctx.Err() == nil {
		wait := lookAgain
		if next := n.turn(ctx, to); !next.IsZero() {
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
	for _, name := range sortedKeys(n.receivers) {
		if at := n.turn(ctx, n.receivers[name]); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// claim is a group that this replica is about to tell of.
type claim struct {
	key string
	g   group
	d   decision
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
		if !n.tellGroups(ctx, to, due) {
			return now.Add(busyPause)
		}
	}
	return time.Time{}
}

// due reads the groups that are due, and closes those of which there is nothing to tell.
// false means that the records cannot be read now.
func (n *Notifier) due(ctx context.Context, receiver string, keys []string) ([]claim, bool) {
	var all []claim
	for _, key := range keys[:min(len(keys), 2*mostTogether)] {
		g, err := n.readGroup(ctx, key)
		if err != nil {
			n.log.Warn("record of what is to be told cannot be read", zap.Error(err))
			return nil, false
		}
		d := g.decide(n.deps.Now(), n.lease())
		if d.act == actClose {
			if g, err = n.writeGroup(ctx, key, g.closed()); err != nil && !errors.Is(err, bus.ErrConflict) {
				return nil, false
			}
		}
		if d.act == actTell {
			all = append(all, claim{key, g, d})
		} else if !errors.Is(err, bus.ErrConflict) {
			n.schedule(receiver, key, g)
		}
	}
	return all, true
}

// together tells how many of the groups that are due go into the next message: each gets
// one of its own, unless there are many, or the receiver failed lately. Then it is told all
// at once and not flooded.
func together(due []claim) int {
	troubled := slices.ContainsFunc(due, func(c claim) bool { return c.g.Attempts > 0 })
	if len(due) > mostSingly || troubled && len(due) > 1 {
		return min(len(due), mostTogether)
	}
	return 1
}

// tellGroups sends the next message; false when its record could not be written.
func (n *Notifier) tellGroups(ctx context.Context, to *receiver, due []claim) bool {
	claimed, ok := n.claim(ctx, due[:together(due)])
	if len(claimed) == 0 {
		return ok
	}
	start := n.deps.Now()
	out := n.post(ctx, to, Letter{Message: messageOf(claimed)})
	if ctx.Err() != nil && out.Reason != "" {
		return true // cut off by ourselves: whether it arrived is unknown, and the records say so
	}
	now := n.deps.Now()
	n.metrics.seconds.WithLabelValues(to.Name).Observe(now.Sub(start).Seconds())
	next := now
	if out.Retry { // one failure holds back all: whoever is away is not asked again for each group
		next = now.Add(max(out.After, n.backoff(attempts(claimed))))
		to.pause(now.Add(min(next.Sub(now), maxRetryAfter)))
	}
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for _, c := range claimed {
		ok = n.conclude(save, to, c, ended{out, now, next}) && ok
	}
	n.count(to, claimed, out)
	return ok
}

// ended is how an attempt ended, and when it is made again if it is.
type ended struct {
	out       Outcome
	now, next time.Time
}

// attempts is how often the message was tried that was tried most.
func attempts(claimed []claim) int {
	most := 1
	for _, c := range claimed {
		most = max(most, c.g.Attempts)
	}
	return most
}

// claim writes down that the groups are being told of. One that another replica was faster
// with is left to it.
func (n *Notifier) claim(ctx context.Context, due []claim) (claimed []claim, ok bool) {
	for _, c := range due {
		unlock := n.pending.lock(c.key)
		g, err := n.writeGroup(ctx, c.key, c.g.begun(c.d, digestOf(c.key), n.deps.Now()))
		unlock()
		switch {
		case errors.Is(err, bus.ErrConflict):
			n.pending.set(c.g.Receiver, c.key, n.deps.Now()) // read anew
		case err != nil:
			n.log.Warn("what is told cannot be recorded", zap.String("receiver", c.g.Receiver), zap.Error(err))
			return claimed, false
		default:
			n.schedule(c.g.Receiver, c.key, g)
			claimed = append(claimed, claim{c.key, g, c.d})
		}
	}
	return claimed, true
}

// messageOf is the message about one group, or about several.
func messageOf(claimed []claim) Message {
	m := Message{ID: claimed[0].g.Sending.ID}
	ids := ""
	for _, c := range claimed {
		m.Parts = append(m.Parts, c.g.part())
		ids += c.g.Sending.ID + " "
	}
	if len(claimed) > 1 {
		m.ID = "digest-" + digestOf(ids)
	}
	return m
}

// conclude writes down what became of an attempt. The post cannot be taken back: reports
// that came meanwhile are kept, whatever became of it.
func (n *Notifier) conclude(ctx context.Context, to *receiver, c claim, e ended) bool {
	unlock := n.pending.lock(c.key)
	defer unlock()
	g, err := n.change(ctx, c.key, func(g group) (group, bool) {
		if g.Sending == nil || g.Sending.ID != c.g.Sending.ID || g.State != stateSending || !g.At.Equal(c.g.At) {
			return g, false // somebody else was told to go on with it
		}
		switch {
		case e.out.Reason == "":
			return g.done(e.now), true
		case e.out.Retry && e.now.Sub(g.FirstTry) < n.cfg.GiveUpAfter:
			return g.failed(e.out, e.next, e.now), true
		}
		return g.gaveUp(), true
	})
	if err != nil {
		n.log.Warn("what was told cannot be recorded; it is told again", zap.String("receiver", to.Name), zap.Error(err))
		return false
	}
	n.schedule(to.Name, c.key, g)
	return true
}

// count counts and logs what became of a message.
func (n *Notifier) count(to *receiver, claimed []claim, out Outcome) {
	first := claimed[0]
	log := n.log.With(zap.String("receiver", to.Name), zap.Int("groups", len(claimed)), zap.String("group", first.g.Labels),
		zap.String("why", first.d.why), zap.Int("pods", len(first.g.Sending.Batch.Pods)), zap.Int("attempts", first.g.Attempts))
	for _, c := range claimed {
		if c.d.same {
			n.metrics.duplicates.WithLabelValues(to.Name).Inc()
		}
	}
	failure := []zap.Field{zap.String("reason", string(out.Reason)), zap.String("error", out.Detail)}
	switch {
	case out.Reason == "":
		kind := string(first.g.Sending.Kind)
		if len(claimed) > 1 {
			kind = "digest"
		}
		n.metrics.told.WithLabelValues(to.Name).Inc()
		n.metrics.messages.WithLabelValues(to.Name, kind).Inc()
		log.Info("group told", zap.String("kind", kind), zap.String("detail", out.Detail))
	case out.Retry && n.deps.Now().Sub(first.g.FirstTry) < n.cfg.GiveUpAfter:
		n.metrics.failed.WithLabelValues(to.Name, string(out.Reason)).Inc()
		log.Warn("group not told yet", failure...)
	default:
		n.metrics.gaveUp.WithLabelValues(to.Name, string(out.Reason)).Inc()
		log.Error("group given up", failure...)
	}
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

// errGone is what is said of receivers that are not configured.
var errGone = &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "no receiver of that name"}
