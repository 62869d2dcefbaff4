package publish

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/durable"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Hold takes over a capture that is not in its final form yet, so that it survives a crash
// meanwhile, and nobody need keep its bytes. Amend, or Publish under the same ID, brings it
// into that form. If that does not happen until a moment, or the process ends before, it is
// sent as it is. An error loses nothing: the caller has the capture still, and Publish tries
// again.
func (p *Publisher) Hold(c gopprof.Capture, until time.Time) error { return p.spool(c, until) }

// Amend brings a held capture into its final form: change gets it as it lies in the spool,
// its bytes included. A form that cannot be written is sent at once; where that fails as
// well, or the moment until which it was held is over, the capture goes out as it was held,
// which is no error: it is not lost. A *gopprof.Error says that it is: spool_full or
// spool_torn.
func (p *Publisher) Amend(ctx context.Context, id string, change func(c *gopprof.Capture)) error {
	c, err := p.amend(id, change)
	if gopprof.ReasonOf(err) != gopprof.ReasonSpoolFailed {
		return err
	}
	if err = p.sendUnspooled(ctx, c, err); err != nil {
		p.log.Warn("capture goes out as it was held", zap.String("capture", id), zap.Error(err))
	}
	p.release(id, err == nil)
	return nil
}

// amend writes the final form. The capture comes back with spool_failed.
func (p *Publisher) amend(id string, change func(c *gopprof.Capture)) (gopprof.Capture, error) {
	p.files.Lock()
	defer p.files.Unlock()
	p.mu.Lock()
	_, waits := p.index.entries[id]
	_, sent := p.index.sent.get(id)
	held := p.index.replaceable(id)
	p.mu.Unlock()
	switch {
	case held:
	case waits || sent:
		p.log.Warn("capture goes out as it was held", zap.String("capture", id), zap.Error(errors.New("its time was over")))
		return gopprof.Capture{}, nil
	default:
		return gopprof.Capture{}, &gopprof.Error{Reason: gopprof.ReasonSpoolFull, Detail: "dropped while it was held"}
	}
	c, _, err := p.load(id)
	if err != nil {
		return c, &gopprof.Error{Reason: gopprof.ReasonSpoolTorn, Err: err}
	}
	change(&c)
	size, _, err := sizeOf(c)
	if err == nil {
		err = p.put(c)
	}
	if err != nil {
		return c, &gopprof.Error{Reason: gopprof.ReasonSpoolFailed, Err: err}
	}
	p.add(id, size, time.Time{})
	return c, nil
}

// release ends the holding of a capture: it was sent in its final form, or is to be sent as
// it is.
func (p *Publisher) release(id string, sent bool) {
	p.files.Lock()
	defer p.files.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.index.replaceable(id) {
		return
	}
	if !sent {
		e := p.index.entries[id]
		e.held, e.next = false, time.Time{}
		p.signal()
		return
	}
	p.index.remove(id)
	if err := durable.Remove(p.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.log.Error("held form not removed, the next start sends it again", zap.String("capture", id), zap.Error(err))
	}
}
