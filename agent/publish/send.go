package publish

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/durable"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"go.uber.org/zap"
)

// Run sends what is in the spool and what comes into it, until ctx ends. It returns when
// no send is running any more; what was not acknowledged stays in the spool.
func (p *Publisher) Run(ctx context.Context) error {
	var sends sync.WaitGroup
	defer sends.Wait()
	sends.Go(func() { p.watch(ctx) })
	free := make(chan struct{}, p.cfg.Senders)
	for ctx.Err() == nil {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		e, ok := p.claim(ctx)
		if !ok {
			return nil
		}
		sends.Go(func() {
			p.send(ctx, e)
			<-free
		})
	}
	return nil
}

// claim waits for an entry that is due and marks it as being sent.
func (p *Publisher) claim(ctx context.Context) (entry, bool) {
	for {
		e, wait := p.next()
		if e != nil {
			return *e, true
		}
		if !p.await(ctx, wait) {
			return entry{}, false
		}
	}
}

// next returns a copy of an entry that is due, or how long to wait for one. Nothing is due
// while one capture is sent to see whether there is room.
func (p *Publisher) next() (claimed *entry, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gate.looking {
		return nil, time.Hour // its end wakes claim
	}
	now := p.now()
	e, wait := p.index.due(now)
	if e == nil {
		return nil, wait
	}
	e.sending = true
	c := *e
	c.looks = p.gate.shut() && !now.Before(p.gate.until)
	p.gate.looking = c.looks
	return &c, 0
}

// await returns false when ctx ended.
func (p *Publisher) await(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.wake:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *Publisher) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// send makes one attempt with one entry. Where none can be sent, it is not read from the disk.
func (p *Publisher) send(ctx context.Context, e entry) {
	if err := p.reached(); err != nil {
		p.failed(e, err)
		p.unreached()
		return
	}
	if err := p.closed(e); err != nil {
		p.failed(e, err)
		return
	}
	c, sum, err := p.load(e.id)
	if errors.Is(err, errTorn) || errors.Is(err, fs.ErrNotExist) {
		p.aside(e, gopprof.ReasonSpoolTorn, err)
		return
	}
	if err == nil {
		try, cancel := context.WithTimeout(ctx, p.patience(e.size))
		defer cancel()
		err = p.sender.PublishCapture(try, c)
	}
	switch {
	case err == nil:
		p.acknowledged(e, sum)
		p.passed()
	case ctx.Err() != nil:
		p.putBack(e, func(*entry) {})
	case neverSent(err) != "":
		p.aside(e, neverSent(err), err)
	default:
		if errors.Is(err, bus.ErrFull) {
			p.refused(e)
		}
		p.failed(e, err)
	}
}

// patienceBytes is how much of a capture is sent within SendTimeout, at the least.
const patienceBytes = 4 << 20

// patience bounds one attempt: of a large capture, whose chunks go one after the other, it would
// else never be the last one where each takes its time.
func (p *Publisher) patience(size int64) time.Duration {
	return p.cfg.SendTimeout * time.Duration(1+size/patienceBytes)
}

// neverSent names what no further attempt can mend; otherwise it is empty.
func neverSent(err error) gopprof.Reason {
	switch {
	case errors.Is(err, bus.ErrTooLarge):
		return gopprof.ReasonTooLarge
	case errors.Is(err, bus.ErrInvalid):
		return gopprof.ReasonBadInput
	}
	return ""
}

func (p *Publisher) acknowledged(e entry, sum digest) {
	p.metrics.sent.Inc()
	p.metrics.wait.Observe(max(0, p.now().Sub(e.spooled).Seconds()))
	p.log.Info("capture published", zap.String("capture", e.id), zap.Int("attempts", e.attempts+1))
	p.files.Lock()
	defer p.files.Unlock()
	defer p.forget(e, &sum)
	if !p.holds(e) {
		return
	}
	if err := durable.Remove(p.path(e.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.log.Error("published capture not removed, the next start sends it again", zap.String("capture", e.id), zap.Error(err))
	}
}

// holds tells whether the entry is still the one under its ID. p.files is held, so that
// it stays true.
func (p *Publisher) holds(e entry) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.index.holds(e)
}

// forget takes an entry whose file is gone out of the index. p.files is held.
func (p *Publisher) forget(e entry, sent *digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.tellMoved()
	p.looked(e)
	if sent != nil {
		p.index.sent.put(e.id, *sent)
	}
	if p.index.holds(e) {
		p.index.remove(e.id)
	}
}

// failed lets an entry wait before the next attempt; for want of room all wait alike.
func (p *Publisher) failed(e entry, err error) {
	p.metrics.attempts.Inc()
	if e.attempts == 0 { // what repeats unchanged is not logged again
		p.log.Warn("capture not published, it will be sent again", zap.String("capture", e.id), zap.Error(err))
	}
	p.putBack(e, func(now *entry) {
		now.attempts++
		now.next = p.now().Add(p.backOff(now.attempts))
		if p.gate.shut() && errors.Is(err, bus.ErrFull) {
			now.next = p.gate.until
		}
	})
	p.files.Lock()
	defer p.files.Unlock()
	p.trim() // what was being sent could not be dropped
}

// putBack ends an attempt to send an entry that stays in the spool.
func (p *Publisher) putBack(e entry, change func(*entry)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.tellMoved()
	p.looked(e)
	if !p.index.holds(e) {
		return
	}
	now := p.index.entries[e.id]
	now.sending = false
	change(now)
	p.signal() // claim did not wait for this one while it was being sent
}

// backOff is the wait after so many failed attempts.
func (p *Publisher) backOff(attempts int) time.Duration {
	wait := p.cfg.RetryMin
	for i := 1; i < attempts && wait < p.cfg.RetryMax; i++ {
		wait *= 2
	}
	return p.jitter(min(wait, p.cfg.RetryMax))
}
