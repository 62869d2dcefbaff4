package publish

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/gopprof/gopprof/pkg/durable"
	"go.uber.org/zap"
)

// Run sends what is in the spool and what comes into it, until ctx ends. It returns when
// no send is running any more; what was not acknowledged stays in the spool.
func (p *Publisher) Run(ctx context.Context) error {
	var sends sync.WaitGroup
	defer sends.Wait()
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
		p.mu.Lock()
		e, wait := p.index.due(p.now())
		if e != nil {
			e.sending = true
			claimed := *e
			p.mu.Unlock()
			return claimed, true
		}
		p.mu.Unlock()
		if !p.await(ctx, wait) {
			return entry{}, false
		}
	}
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

// send makes one attempt with one entry.
func (p *Publisher) send(ctx context.Context, e entry) {
	c, sum, err := p.load(e.id)
	if errors.Is(err, errTorn) || errors.Is(err, fs.ErrNotExist) {
		p.aside(e.id, err)
		p.forget(e, nil)
		return
	}
	if err == nil {
		try, cancel := context.WithTimeout(ctx, p.cfg.SendTimeout)
		defer cancel()
		err = p.sender.PublishCapture(try, c)
	}
	if err != nil {
		p.failed(ctx, e, err)
		return
	}
	p.acknowledged(e, sum)
}

func (p *Publisher) acknowledged(e entry, sum digest) {
	p.metrics.sent.Inc()
	p.metrics.wait.Observe(p.now().Sub(e.spooled).Seconds())
	if err := durable.Remove(p.path(e.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.log.Error("published capture not removed, the next start sends it again", zap.String("capture", e.id), zap.Error(err))
	}
	p.forget(e, &sum)
	p.log.Info("capture published", zap.String("capture", e.id), zap.Int("attempts", e.attempts+1))
}

// forget takes an entry out of the index.
func (p *Publisher) forget(e entry, sent *digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.index.remove(e.id)
	if sent != nil {
		p.index.sent.put(e.id, *sent)
	}
}

// failed puts an entry back, to be tried later.
func (p *Publisher) failed(ctx context.Context, e entry, err error) {
	stopped := ctx.Err() != nil
	p.mu.Lock()
	if now := p.index.entries[e.id]; now != nil {
		now.sending = false
		if !stopped {
			now.attempts++
			now.next = p.now().Add(p.backOff(now.attempts))
		}
	}
	p.mu.Unlock()
	if stopped {
		return
	}
	p.metrics.attempts.Inc()
	if e.attempts == 0 { // what repeats unchanged is not logged again
		p.log.Warn("capture not published, it will be sent again", zap.String("capture", e.id), zap.Error(err))
	}
	p.trim()
}

// backOff is the wait after so many failed attempts.
func (p *Publisher) backOff(attempts int) time.Duration {
	wait := p.cfg.RetryMin
	for i := 1; i < attempts && wait < p.cfg.RetryMax; i++ {
		wait *= 2
	}
	return p.jitter(min(wait, p.cfg.RetryMax))
}
