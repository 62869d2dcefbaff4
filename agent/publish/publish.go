// Package publish brings captures to NATS, and loses none on the way.
//
// What enters is a capture with its bytes. When Publish returns nil the capture is durably
// in the spool on disk, or NATS has acknowledged it. Run sends what is in the spool, item
// by item, and deletes an item when NATS has acknowledged it: after a crash some are sent
// again, which the receiver takes as a no-op, because a capture's ID is made once.
//
// It must never lose a capture in silence: what is dropped (the oldest, at the spool's
// bound; what a crash has torn) is counted and logged. One refused item never holds the
// others.
package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gopprof/gopprof/pkg/durable"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Sender brings one capture to NATS. Nil means that NATS has it; sending it again is a
// no-op. bus.ErrFull holds all captures up, any other error its own.
//
// It may have the method of Reacher besides: then nothing is read from the spool while it
// reaches nobody, and what waits is sent as soon as it does.
type Sender interface {
	PublishCapture(ctx context.Context, c gopprof.Capture) error
}

// Reacher says why no capture at all can be sent now; nil: try. It answers at once.
type Reacher interface {
	Reached() error
}

// ErrDifferent is returned by Publish when another capture has the same ID.
var ErrDifferent = errors.New("another capture has this ID")

// Publisher spools and sends captures. Its methods may be called from any goroutine.
type Publisher struct {
	// Spooled is told of each capture when it is durably in the spool, before it can be sent.
	// It is set before the first Publish or Hold; nil tells nobody.
	Spooled func(capture string)

	cfg     Config
	sender  Sender
	reached func() error
	log     *zap.Logger
	metrics *metrics
	now     func() time.Time
	jitter  func(time.Duration) time.Duration
	write   func(path string, mode fs.FileMode, content func(io.Writer) error) error
	lock    *durable.Locked
	wake    chan struct{} // holds one element when the index has changed
	gone    chan struct{} // holds one element when an entry found the sender reaching nobody

	// files is held while an entry's file is made or goes away, before mu when both are
	// needed: so the index and the directory name the same captures.
	files sync.Mutex

	mu    sync.Mutex
	index index         // guarded by mu
	gate  gate          // guarded by mu
	moved chan struct{} // closed and replaced when an attempt to send has ended. guarded by mu
}

// New opens the spool and finds what is waiting in it. The directory is made if it is
// missing, and is locked until Close.
func New(cfg Config, sender Sender, log *zap.Logger, reg prometheus.Registerer) (*Publisher, error) {
	if cfg.Dir == "" {
		return nil, errors.New("opening spool: no directory given")
	}
	if err := durable.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening spool: %w", err)
	}
	lock, err := durable.Lock(filepath.Join(cfg.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("opening spool: %w", err)
	}
	p := &Publisher{
		cfg: cfg, sender: sender, log: log, lock: lock, now: time.Now, write: durable.Write,
		jitter: func(d time.Duration) time.Duration { return d/2 + rand.N(d+1) },
		wake:   make(chan struct{}, 1), gone: make(chan struct{}, 1), moved: make(chan struct{}), index: newIndex(),
		reached: func() error { return nil },
	}
	if r, ok := sender.(Reacher); ok {
		p.reached = r.Reached
	}
	p.metrics = newMetrics(reg, p.Pending)
	if err := p.scan(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening spool: %w", err), lock.Unlock())
	}
	return p, nil
}

// Close gives the spool's directory free. Run must have returned, and nothing may be
// published afterwards.
func (p *Publisher) Close() error { return p.lock.Unlock() }

// Pending returns how many captures wait in the spool, and their size.
func (p *Publisher) Pending() (n int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.index.entries), p.index.bytes
}

// Waits tells whether a capture is in the spool.
func (p *Publisher) Waits(capture string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.index.entries[capture] != nil
}

// Has tells whether a capture is in the spool, or was sent lately by this process.
func (p *Publisher) Has(capture string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, sent := p.index.sent.get(capture)
	return sent || p.index.entries[capture] != nil
}

// Publish takes a capture over: when it returns nil, the capture survives a crash of this
// process and of the machine. If the disk is full or fails, or the capture is larger than
// the whole spool may be, it is sent at once instead; the error when that fails as well is
// a *gopprof.Error. The same capture again is a
// no-op; another one under the same ID is ErrDifferent.
func (p *Publisher) Publish(ctx context.Context, c gopprof.Capture) error {
	err := p.spool(c, time.Time{})
	switch gopprof.ReasonOf(err) {
	case gopprof.ReasonSpoolFailed, gopprof.ReasonTooLarge:
		err = p.sendUnspooled(ctx, c, err)
	}
	if err != nil {
		reason := gopprof.ReasonOf(err)
		p.metrics.refused.WithLabelValues(string(reason)).Inc()
		p.log.Error("capture lost", zap.String("capture", c.ID), zap.String("reason", string(reason)), zap.Error(err))
	}
	return err
}

func (p *Publisher) spool(c gopprof.Capture, heldUntil time.Time) error {
	if err := checkCapture(c); err != nil {
		return &gopprof.Error{Reason: gopprof.ReasonBytesWrong, Err: err}
	}
	size, sum, err := sizeOf(c)
	if err != nil {
		return &gopprof.Error{Reason: gopprof.ReasonBadInput, Err: err}
	}
	if size > p.cfg.MaxBytes {
		return &gopprof.Error{Reason: gopprof.ReasonTooLarge, Detail: fmt.Sprintf("capture of %d bytes, spool of %d", size, p.cfg.MaxBytes)}
	}
	p.files.Lock()
	defer p.files.Unlock()
	if known, err := p.knows(c.ID, sum); known || err != nil {
		return err
	}
	if err := p.put(c); err != nil {
		return &gopprof.Error{Reason: gopprof.ReasonSpoolFailed, Err: err}
	}
	p.metrics.spooled.Inc()
	p.log.Info("capture spooled", zap.String("capture", c.ID), zap.Int64("bytes", size))
	if p.Spooled != nil {
		p.Spooled(c.ID)
	}
	p.add(c.ID, size, heldUntil)
	return nil
}

// put writes an entry's file.
func (p *Publisher) put(c gopprof.Capture) error {
	return p.write(p.path(c.ID), 0o600, func(w io.Writer) error {
		_, err := encode(w, c)
		return err
	})
}

// knows tells whether this very capture is spooled or was sent before.
func (p *Publisher) knows(id string, sum digest) (bool, error) {
	p.mu.Lock()
	_, waiting := p.index.entries[id]
	replaceable := p.index.replaceable(id)
	before, sent := p.index.sent.get(id)
	p.mu.Unlock()
	if replaceable {
		return false, nil
	}
	if waiting {
		_, was, err := p.load(id)
		if err != nil {
			return false, nil // torn or gone: written anew
		}
		before, sent = was, true
	}
	if sent && !bytes.Equal(before[:], sum[:]) {
		return true, &gopprof.Error{Reason: gopprof.ReasonBytesWrong, Detail: "capture " + id, Err: ErrDifferent}
	}
	return sent, nil
}

func (p *Publisher) sendUnspooled(ctx context.Context, c gopprof.Capture, spoolErr error) error {
	p.log.Warn("capture not spooled, sending it at once", zap.String("capture", c.ID), zap.Error(spoolErr))
	size, sum, err := sizeOf(c)
	if err != nil {
		return fmt.Errorf("%w; sending it at once: %w", spoolErr, err)
	}
	ctx, cancel := context.WithTimeout(ctx, p.patience(size))
	defer cancel()
	if err := p.sender.PublishCapture(ctx, c); err != nil {
		return fmt.Errorf("%w; sending it at once: %w", spoolErr, err)
	}
	p.metrics.sent.Inc()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.index.sent.put(c.ID, sum)
	return nil
}

func (p *Publisher) path(id string) string { return filepath.Join(p.cfg.Dir, id+suffix) }

func (p *Publisher) load(id string) (gopprof.Capture, digest, error) {
	data, err := os.ReadFile(p.path(id))
	if err != nil {
		return gopprof.Capture{}, digest{}, fmt.Errorf("reading spool entry: %w", err)
	}
	c, sum, err := decode(data)
	if err == nil && c.ID != id {
		err = fmt.Errorf("%w: it holds capture %s", errTorn, c.ID)
	}
	if err != nil {
		return gopprof.Capture{}, digest{}, fmt.Errorf("reading spool entry %s: %w", id, err)
	}
	return c, sum, nil
}
