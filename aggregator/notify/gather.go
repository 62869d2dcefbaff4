package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// mostConflicts is how often a record is read anew that others change at the same time.
const mostConflicts = 20

var errContended = errors.New("others change the record all the time")

// gather writes a report down in its group's record, from where it is told. A report that
// stands there already is passed over.
func (n *Notifier) gather(ctx context.Context, to *receiver, route *node, r gopprof.Report) error {
	labels := route.group(labelsOf(r))
	key, item := groupKey(to.Name, route.name, labels), ItemOf(r)
	unlock := n.pending.lock(key)
	defer unlock()
	known, timing := false, route.timing
	timing.Renew = to.renews()
	g, err := n.change(ctx, key, func(g group) (group, bool) {
		g.Receiver, g.Labels = to.Name, labels
		g, added := g.add(item, timing, n.deps.Now())
		known = !added
		return g, added
	})
	if err != nil {
		return fmt.Errorf("writing down what receiver %q is to be told: %w", to.Name, err)
	}
	n.schedule(to.Name, key, g)
	if known {
		n.metrics.repeats.WithLabelValues(to.Name).Inc()
	} else {
		n.metrics.gathered.WithLabelValues(to.Name).Inc()
	}
	return nil
}

// change replaces a group's record by what f makes of it, unless f says that nothing has
// changed. Others may change it at the same time: f is asked again then.
func (n *Notifier) change(ctx context.Context, key string, f func(g group) (group, bool)) (group, error) {
	g, err := n.readGroup(ctx, key)
	if err != nil {
		return g, err
	}
	return n.changeKnown(ctx, key, g, f)
}

// changeKnown is change for a record that was read, or written, a moment ago.
func (n *Notifier) changeKnown(ctx context.Context, key string, g group, f func(g group) (group, bool)) (group, error) {
	for range mostConflicts {
		next, changed := f(g)
		if !changed {
			return g, nil
		}
		next, err := n.writeGroup(ctx, key, next)
		if !errors.Is(err, bus.ErrConflict) {
			return next, err
		}
		if g, err = n.readGroup(ctx, key); err != nil {
			return g, err
		}
	}
	return group{}, errContended
}

func (n *Notifier) readGroup(ctx context.Context, key string) (group, error) {
	value, revision, err := n.deps.Told.Get(ctx, key)
	if errors.Is(err, bus.ErrNoKey) {
		return group{}, nil
	}
	if err != nil {
		return group{}, err
	}
	g := groupOf(value)
	g.revision = revision
	return g, nil
}

func (n *Notifier) writeGroup(ctx context.Context, key string, g group) (group, error) {
	g, value, err := g.encode()
	if err == nil {
		g.revision, err = n.put(ctx, key, value, g.revision)
	}
	return g, err
}

// schedule notes when a group is to be looked at next.
func (n *Notifier) schedule(receiver, key string, g group) {
	d := g.decide(n.deps.Now(), n.lease())
	switch d.act {
	case actNothing:
		n.pending.forget(receiver, key, g.revision)
	case actWait:
		n.pending.set(receiver, key, d.until, g.revision)
	default:
		n.pending.set(receiver, key, n.deps.Now(), g.revision)
	}
}

// pending is when each group is to be looked at: a key and a time for each, whatever there
// is to be told of it.
type pending struct {
	mu   sync.Mutex // guards all
	due  map[string]map[string]time.Time
	wake map[string]chan struct{}
	seen map[string]uint64        // the newest revision of each record that said when
	held map[string]chan struct{} // records that this process changes; closed when that is done
	last map[string]time.Time     // by the clock on the wall, when each receiver's were looked at
}

func newPending() *pending {
	return &pending{due: map[string]map[string]time.Time{}, wake: map[string]chan struct{}{}, seen: map[string]uint64{}, held: map[string]chan struct{}{}, last: map[string]time.Time{}}
}

// lock keeps other goroutines of this process from changing a record, so that it is not its
// own conflict.
func (p *pending) lock(key string) (unlock func()) {
	mine := make(chan struct{})
	for {
		p.mu.Lock()
		other := p.held[key]
		if other == nil {
			p.held[key] = mine
			p.mu.Unlock()
			break
		}
		p.mu.Unlock()
		<-other
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.held, key)
		close(mine)
	}
}

// woken returns what is signalled when a receiver's groups change.
func (p *pending) woken(receiver string) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wakeOf(receiver)
}

func (p *pending) wakeOf(receiver string) chan struct{} {
	if p.wake[receiver] == nil {
		p.wake[receiver] = make(chan struct{}, 1)
	}
	return p.wake[receiver]
}

// stale tells whether a newer revision of the record has said when: what was read before it
// must not take its place. 0 is none, and never stale. p.mu is held.
func (p *pending) stale(key string, revision uint64) bool {
	if revision != 0 && revision < p.seen[key] {
		return true
	}
	p.seen[key] = max(p.seen[key], revision)
	return false
}

// behind tells whether a record was read where the newest change that is known had not come yet
// (a bucket may be read from any of its replicas), and then has it looked at again. What is read
// by then is believed, whatever it says: the bucket may have lost the change.
func (p *pending) behind(receiver, key string, revision uint64, again time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if revision >= p.seen[key] {
		return false
	}
	delete(p.seen, key)
	p.due[receiver][key] = later(p.due[receiver][key], again)
	return true
}

func (p *pending) set(receiver, key string, due time.Time, revision uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stale(key, revision) {
		return
	}
	if p.due[receiver] == nil {
		p.due[receiver] = map[string]time.Time{}
	}
	p.due[receiver][key] = due
	select {
	case p.wakeOf(receiver) <- struct{}{}:
	default:
	}
}

func (p *pending) forget(receiver, key string, revision uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stale(key, revision) {
		return
	}
	delete(p.seen, key)
	delete(p.due[receiver], key)
}

// at returns the keys that are due by now, those due longest first, and when the next one
// is; zero when there is none.
func (p *pending) at(receiver string, now time.Time) (keys []string, next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	due := p.due[receiver]
	p.mistrust(receiver, now)
	for key, at := range due {
		switch {
		case !at.After(now):
			keys = append(keys, key)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	sortByTime(keys, due)
	return keys, next
}

// mistrust has all of a receiver's groups looked at when the clock was set back: when each is to
// be looked at was reckoned by what it showed before. p.mu is held.
func (p *pending) mistrust(receiver string, now time.Time) {
	wall := now.Round(0)
	if p.last[receiver].Sub(wall) > lookAgain {
		for key := range p.due[receiver] {
			p.due[receiver][key] = now
		}
	}
	p.last[receiver] = wall
}
