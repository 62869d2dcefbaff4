package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/take"
	"github.com/gopprof/gopprof/pkg/durable"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

// hand holds the firings that have not ended and the captures that were begun and are not in
// the spool yet, each in a file of its own: when the agent is killed, the next one says what
// became of them. A firing is written down once, under the ID of its capture and without an
// incident, and anew with it when the capture begins; what somebody asked for is written once,
// then. It is removed once, when its end is in the spool or was told, or could be told nobody by
// the agent that it happened to; what an earlier agent left stays until it was told. What
// cannot be written down, or not in time, costs nobody the capture.
type hand struct {
	memory   *memory
	dir      string
	handedOn func(capture string) // told of each one that ended, however it did; set before the first note

	mu      sync.Mutex
	held    map[string]bool // IDs that may have a file. guarded by mu
	earlier map[string]bool // those that an earlier agent left. guarded by mu
}

const (
	handSuffix = ".json"
	handMost   = 1024      // that are written down: of 250 pods every rule may have fired
	handBytes  = 256 << 10 // of one; its evidence is the most of it
)

func newHand(m *memory) *hand {
	h := &hand{memory: m, dir: filepath.Join(m.dir, handDir), handedOn: func(string) {}, held: map[string]bool{}, earlier: map[string]bool{}}
	err := durable.MkdirAll(h.dir, 0o700)
	if err == nil {
		_, err = durable.RemoveTemps(h.dir)
	}
	h.wrote(err)
	return h
}

func (h *hand) path(capture string) string { return filepath.Join(h.dir, capture+handSuffix) }

func (h *hand) wrote(err error) {
	h.memory.mu.Lock()
	defer h.memory.mu.Unlock()
	h.memory.wrote(handDir, err)
}

// note writes down that a rule fired, or that a capture was begun. When what was written of
// the firing cannot be written anew it stays: that it came to nothing can be told of it.
func (h *hand) note(o gopprof.Order) {
	before, err := h.hold(o.Capture)
	if err == nil {
		if err = h.memory.write(h.path(o.Capture), o); err != nil && !before {
			h.remove(o.Capture)
		}
	}
	h.wrote(err)
	log := h.memory.log.With(append(fieldsOf(o.Target), zap.String("capture", o.Capture))...)
	switch firing := isFiring(o); {
	case firing && err != nil:
		log.Warn("firing not in hand", zap.String("rule", o.Trigger.Evidence.Rule), // and its end is told by nobody if the agent is killed before it
			zap.String("reason", string(gopprof.ReasonSpoolFailed)), zap.Error(err))
	case firing:
		log.Info("firing in hand", zap.String("rule", o.Trigger.Evidence.Rule))
	case err == nil:
		log.Info("capture in hand")
	}
}

// isFiring tells whether nobody has granted it yet, as far as is known.
func isFiring(o gopprof.Order) bool {
	return o.Incident == "" && o.Trigger.Kind == gopprof.TriggerRule && o.Trigger.Evidence != nil
}

// hold takes a place for a file, and tells whether it had one before.
func (h *hand) hold(capture string) (before bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[capture] {
		return true, nil
	}
	if len(h.held) >= handMost {
		return false, fmt.Errorf("%d are in hand already", len(h.held))
	}
	h.held[capture] = true
	return false, nil
}

// strike removes what note wrote: what became of it is safe, or was told.
func (h *hand) strike(capture string) {
	h.handedOn(capture)
	h.remove(capture)
}

func (h *hand) remove(capture string) {
	h.mu.Lock()
	held := h.held[capture]
	delete(h.held, capture)
	delete(h.earlier, capture)
	h.mu.Unlock()
	if !held {
		return
	}
	if err := durable.Remove(h.path(capture)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.memory.log.Error("capture in hand not struck out, the next start says that the agent ended with it", zap.String("capture", capture), zap.Error(err))
	}
}

// left returns what an earlier agent had in hand when it ended, oldest first. What cannot be
// read is told, and left out.
func (h *hand) left() (orders []gopprof.Order) {
	files, err := h.files()
	if err != nil {
		h.lost(handDir, err)
	}
	for _, d := range files {
		o, err := h.read(d)
		if err == nil {
			_, err = h.hold(o.Capture)
		}
		if err != nil {
			h.lost(d.Name(), err)
			continue
		}
		h.mu.Lock()
		h.earlier[o.Capture] = true
		h.mu.Unlock()
		orders = append(orders, o)
	}
	return orders
}

// isEarlier tells whether an earlier agent left it, and nobody was told yet.
func (h *hand) isEarlier(capture string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.earlier[capture]
}

// files lists the directory, which may hold anything and any number of it.
func (h *hand) files() ([]fs.DirEntry, error) {
	dir, err := os.Open(h.dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	files, err := dir.ReadDir(2 * handMost)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	slices.SortFunc(files, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return files, err
}

// lost tells of a file that is none of ours, or is damaged, and removes it if it can be.
func (h *hand) lost(name string, err error) {
	path := filepath.Join(h.dir, name)
	h.memory.lost.WithLabelValues(handDir).Inc()
	h.memory.log.Error("capture in hand lost, starting without", zap.String("file", path),
		zap.String("reason", string(gopprof.ReasonSpoolTorn)), zap.NamedError("removing", os.Remove(path)), zap.Error(err))
}

func (h *hand) read(d fs.DirEntry) (o gopprof.Order, err error) {
	capture, ok := strings.CutSuffix(d.Name(), handSuffix)
	if !ok || !d.Type().IsRegular() {
		return o, errors.New("not the file of a firing or capture")
	}
	f, err := os.Open(filepath.Join(h.dir, d.Name()))
	if err != nil {
		return o, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, handBytes+1))
	if err != nil {
		return o, err
	}
	return decodeOrder(data, capture)
}

// decodeOrder reads what note wrote. What it returns can be told: with the incident that a
// firing has not got yet, it makes a message that the aggregator takes.
func decodeOrder(data []byte, capture string) (o gopprof.Order, err error) {
	if len(data) > handBytes {
		return o, fmt.Errorf("more than %d bytes", handBytes)
	}
	only := json.NewDecoder(bytes.NewReader(data))
	only.DisallowUnknownFields()
	if err := only.Decode(&o); err != nil {
		return o, err
	}
	switch {
	case o.Capture != capture:
		return o, fmt.Errorf("it holds capture %.64q", o.Capture)
	case len(o.Kinds) == 0:
		return o, errors.New("no kind of profile")
	case (o.Trigger.Kind == gopprof.TriggerRule) != (o.Trigger.Evidence != nil):
		return o, fmt.Errorf("trigger of kind %.32q, and its evidence does not belong to it", o.Trigger.Kind)
	}
	nothing := o.Nothing(errDied(o), o.Trigger.At)
	if isFiring(o) {
		nothing.Incident = capture // nobody is told of this one
	}
	_, err = wire.EncodeCapture(nothing)
	return o, err
}

// errDied is why what an earlier agent had in hand came to nothing.
func errDied(o gopprof.Order) error {
	did := "while it took the capture that was begun at "
	if isFiring(o) {
		did = "before it took a capture of what fired at "
	}
	return &gopprof.Error{Reason: gopprof.ReasonAgentDied, Detail: "the agent ended " + did + o.Trigger.At.UTC().Format(time.RFC3339)}
}

// look finds what an earlier agent had in hand and not in the spool. It looks before anything
// is sent: what was sent is in the spool no more.
func (a *App) look() {
	for _, o := range a.hand.left() {
		if a.publish.Waits(o.Capture) {
			a.hand.strike(o.Capture)
			continue
		}
		a.died = append(a.died, o)
	}
}

// settle says what became of what an earlier agent had in hand: nothing.
func (a *App) settle() {
	for _, o := range a.died {
		if o.Trigger.Kind == gopprof.TriggerRule {
			a.pipeline.died(o, errDied(o))
			continue
		}
		a.accept.CameToNothing(o, errDied(o))
	}
	a.died = nil
}

// handTaker is take, whose captures are in hand from when they begin.
type handTaker struct {
	fullTaker
	*hand
}

// newHandTaker has take told when captures are safe: as long as they are not, they are in memory.
func newHandTaker(t *take.Taker, h *hand) handTaker {
	h.handedOn = t.HandedOn
	return handTaker{t, h}
}

// Take implements taker. It is the pipeline's, which strikes out what it has done with, also
// when it panics.
func (t handTaker) Take(ctx context.Context, o gopprof.Order) (gopprof.Capture, error) {
	t.note(o)
	return t.fullTaker.Take(ctx, o)
}

// Start implements accept.Taker. Whoever asked is answered however slow the disk is, and the
// capture ends no sooner than it is written down.
func (t handTaker) Start(ctx context.Context, o gopprof.Order) (func() (gopprof.Capture, error), error) {
	wait, err := t.fullTaker.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	noted := make(chan struct{})
	go func() {
		defer close(noted)
		t.note(o)
	}()
	return func() (gopprof.Capture, error) {
		defer func() { <-noted }()
		return wait()
	}, nil
}

// handPublisher is publish, with which captures go out of hand. The spool strikes out what
// it has before it can be sent; here it is what was sent without it, or is lost. The end of
// what an earlier agent left is not lost: the next one tells it, if this one could not.
type handPublisher struct {
	publisher
	*hand
}

// Publish implements publisher.
func (p handPublisher) Publish(ctx context.Context, c gopprof.Capture) error {
	err := errors.New("panicked")
	defer func() {
		if err == nil || !p.isEarlier(c.ID) {
			p.strike(c.ID)
		}
	}()
	err = p.publisher.Publish(ctx, c)
	return err
}
