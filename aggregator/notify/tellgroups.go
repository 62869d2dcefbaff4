package notify

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// claim is a group that this replica is about to tell of.
type claim struct {
	key string
	g   group
	d   decision
}

// left are the recipients that its message goes to; empty is all.
func (c claim) left() []string {
	if c.g.Sending == nil || !c.d.same && c.g.Fresh.Reports > 0 {
		return nil
	}
	return c.g.Sending.Left
}

// begun is the group with the attempt that is about to be made.
func (c claim) begun(now time.Time) group { return c.g.begun(c.d, digestOf(c.key), now) }

// nextMessage returns those of the groups that are due that the next message tells of: all go
// to the same recipients, and the receiver's template has room for them.
func (n *Notifier) nextMessage(to *receiver, due []claim) []claim {
	var all []claim
	for _, c := range due {
		if slices.Equal(c.left(), due[0].left()) {
			all = append(all, c)
		}
	}
	all = all[:together(all)]
	for len(all) > 1 && !n.fits(to, all) {
		all = all[:len(all)/2]
	}
	return all
}

// fits tells whether the receiver's template can write a message of groups. To people it is
// told in our words else; a program takes no others.
func (n *Notifier) fits(to *receiver, all []claim) bool {
	if to.Channel != ChannelWebhook {
		return true
	}
	begun := make([]claim, len(all))
	for k, c := range all {
		begun[k] = claim{c.key, c.begun(n.deps.Now()), c.d}
	}
	_, err := to.write(messageOf(begun))
	if err != nil {
		n.metrics.template.WithLabelValues(to.Name).Inc()
	}
	return err == nil
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

// tellGroups sends a message; false when its record could not be written.
func (n *Notifier) tellGroups(ctx context.Context, to *receiver, due []claim) bool {
	claimed, ok := n.claim(ctx, due)
	if len(claimed) == 0 {
		return ok
	}
	start := n.deps.Now()
	out := n.post(ctx, to, Letter{Message: messageOf(claimed), Left: claimed[0].g.Sending.Left})
	if ctx.Err() != nil && out.Reason != "" {
		return true // cut off by ourselves: whether it arrived is unknown, and the records say so
	}
	now := n.deps.Now()
	n.metrics.seconds.WithLabelValues(to.Name).Observe(now.Sub(start).Seconds())
	e := ended{out: out, now: now, next: now}
	if out.Retry || len(out.Left) > 0 {
		e.next = now.Add(max(out.After, n.backoff(attempts(claimed))))
	}
	if out.Retry && len(out.Left) == 0 { // one failure holds back all: whoever is away is not asked again for each group
		to.pause(now.Add(min(e.next.Sub(now), maxRetryAfter)))
	}
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	fates := make([]fate, len(claimed))
	each(len(claimed), func(k int) { fates[k] = n.conclude(save, to, claimed[k], e) })
	n.count(to, claimed, fates, out)
	return ok && !slices.Contains(fates, fateUnrecorded)
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
// with is left to it; and so is one whose record took so long to write that another replica
// might think this one dead before it is told.
func (n *Notifier) claim(ctx context.Context, due []claim) (claimed []claim, ok bool) {
	all, errs := make([]claim, len(due)), make([]error, len(due))
	each(len(due), func(k int) { all[k], errs[k] = n.claimOne(ctx, due[k]) })
	const unclaimed = "what is told cannot be recorded"
	ok = true
	for k, c := range all {
		switch {
		case errors.Is(errs[k], bus.ErrConflict):
			n.pending.set(due[k].g.Receiver, due[k].key, n.deps.Now(), 0) // read anew
		case errs[k] != nil:
			ok = false
			n.trouble(unclaimed, due[k].g.Receiver, errs[k])
		default:
			n.schedule(c.g.Receiver, c.key, c.g)
			if late := n.deps.Now().Sub(c.g.At); late > claimTime {
				n.log.Warn("what is told took too long to record: it is told later", zap.String("receiver", c.g.Receiver), zap.Duration("took", late))
				continue
			}
			claimed = append(claimed, c)
		}
	}
	if ok {
		n.trouble(unclaimed, due[0].g.Receiver, nil)
	}
	return claimed, ok
}

func (n *Notifier) claimOne(ctx context.Context, c claim) (claim, error) {
	unlock := n.pending.lock(c.key)
	defer unlock()
	g, err := n.writeGroup(ctx, c.key, c.begun(n.deps.Now()))
	return claim{c.key, g, c.d}, err
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

// fate is what became of a group that was told of.
type fate int

const (
	fateUnrecorded fate = iota
	fateTold
	fateAgain // failed, to be tried again
	fateGaveUp
	fateElse // another replica took it over
)

// becomes is the group after an attempt.
func (n *Notifier) becomes(g group, e ended) (group, fate) {
	switch {
	case e.out.Reason == "" && (len(e.out.Left) == 0 || !g.Rest):
		return g.done(e.now), fateTold
	case (e.out.Reason == "" || e.out.Retry) && e.now.Sub(g.FirstTry) < n.cfg.GiveUpAfter:
		return g.failed(e.out, e.next, e.now), fateAgain
	}
	return g.gaveUp(!e.out.Retry, e.now), fateGaveUp
}

// conclude writes down what became of an attempt. The post cannot be taken back: reports
// that came meanwhile are kept, whatever became of it.
func (n *Notifier) conclude(ctx context.Context, to *receiver, c claim, e ended) fate {
	unlock := n.pending.lock(c.key)
	defer unlock()
	became := fateElse
	err := n.keepRest(ctx, to, c, e)
	if err == nil {
		c.g, err = n.changeKnown(ctx, c.key, c.g, func(g group) (group, bool) {
			if became = fateElse; g.Sending == nil || g.Sending.ID != c.g.Sending.ID || g.State != stateSending || !g.At.Equal(c.g.At) {
				return g, false // somebody else was told to go on with it
			}
			g, became = n.becomes(g, e)
			return g, true
		})
	}
	if err != nil {
		n.log.Warn("what was told cannot be recorded; it is told again", zap.String("receiver", to.Name), zap.Error(err))
		return fateUnrecorded
	}
	n.schedule(to.Name, c.key, c.g)
	return became
}

// keepRest writes down, apart from the group, who is still to get a message that others got:
// further reports of the group go to all.
func (n *Notifier) keepRest(ctx context.Context, to *receiver, c claim, e ended) error {
	if e.out.Reason != "" || len(e.out.Left) == 0 || c.g.Rest {
		return nil
	}
	key := groupKey(to.Name, "rest", c.key+c.g.Sending.ID)
	g, err := n.writeGroup(ctx, key, c.g.rest(e.out, e.next, e.now))
	if errors.Is(err, bus.ErrConflict) {
		return nil // written down by an attempt whose end was not
	}
	if err == nil {
		n.schedule(to.Name, key, g)
	}
	return err
}

// count counts and logs what became of a message.
func (n *Notifier) count(to *receiver, claimed []claim, fates []fate, out Outcome) {
	of := func(c claim) *zap.Logger {
		return n.log.With(zap.String("receiver", to.Name), zap.Int("groups", len(claimed)), zap.String("group", c.g.Labels),
			zap.String("why", c.d.why), zap.Int("pods", len(c.g.Sending.Batch.Pods)), zap.Int("attempts", c.g.Attempts))
	}
	reason := string(cmp.Or(out.Reason, gopprof.ReasonStatus)) // told, but not all recipients
	failure := []zap.Field{zap.String("reason", reason), zap.String("error", out.Detail)}
	for k, c := range claimed {
		if c.d.same {
			n.metrics.duplicates.WithLabelValues(to.Name).Inc()
		}
		if fates[k] == fateGaveUp {
			n.metrics.gaveUp.WithLabelValues(to.Name, reason).Inc()
			of(c).Error("group given up", failure...)
		}
	}
	switch k := slices.Index(fates, fateAgain); {
	case out.Reason == "":
		kind := string(claimed[0].g.Sending.Kind)
		if len(claimed) > 1 {
			kind = "digest"
		}
		n.metrics.told.WithLabelValues(to.Name).Inc()
		n.metrics.messages.WithLabelValues(to.Name, kind).Inc()
		of(claimed[0]).Info("group told", zap.String("kind", kind), zap.String("detail", out.Detail))
	case k >= 0:
		n.metrics.failed.WithLabelValues(to.Name, reason).Inc()
		of(claimed[k]).Warn("group not told yet", failure...)
	}
	for _, refused := range out.Refused {
		n.metrics.recipients.WithLabelValues(to.Name).Inc()
		n.log.Error("recipient given up", zap.String("receiver", to.Name), zap.String("error", refused))
	}
}
