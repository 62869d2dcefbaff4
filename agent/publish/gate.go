package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
)

// lookEvery is how often a sender that reached nobody is asked whether it does by now.
const lookEvery = 200 * time.Millisecond

// gate is what holds all captures up alike, so that none of them is read from the disk in
// vain: a stream that is full. One capture is sent now and then, to see whether there is room.
type gate struct {
	refusals int       // how often in a row there was no room; 0: the gate is open
	until    time.Time // no capture is sent before, while it is shut
	looking  bool      // one capture is being sent, to see
}

func (g *gate) shut() bool { return g.refusals > 0 }

// closed says why the entry cannot be sent now; nil: send it.
func (p *Publisher) closed(e entry) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gate.shut() && !e.looks {
		return fmt.Errorf("not tried: %w", bus.ErrFull)
	}
	return nil
}

// refused shuts the gate: there was no room for the entry. The next look is another's, because
// for this one there may never be room.
func (p *Publisher) refused(e entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.index.holds(e) {
		p.index.entries[e.id].roomless++
	}
	p.gate.refusals++
	p.gate.until = p.now().Add(p.backOff(p.gate.refusals))
}

// passed opens the gate: there was room for one, and what waits is tried at once.
func (p *Publisher) passed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gate.shut() {
		p.gate.refusals = 0
		p.again()
	}
}

// looked ends the look that an entry was. p.mu is held.
func (p *Publisher) looked(e entry) {
	if e.looks {
		p.gate.looking = false
		p.signal()
	}
}

// again makes due what was refused before. p.mu is held.
func (p *Publisher) again() {
	now := p.now()
	for _, e := range p.index.entries {
		if e.attempts > 0 && e.next.After(now) {
			e.next = now
		}
	}
	p.signal()
}

// unreached has watch look for the sender's way back. It is called when the entry that could
// not be sent has got its time to wait, so that this time ends with the way back.
func (p *Publisher) unreached() {
	select {
	case p.gone <- struct{}{}:
	default:
	}
}

// watch has what waits sent as soon as the sender reaches NATS again, until ctx ends.
func (p *Publisher) watch(ctx context.Context) {
	for {
		select {
		case <-p.gone:
		case <-ctx.Done():
			return
		}
		if !p.awaitWay(ctx) {
			return
		}
		p.mu.Lock()
		p.again()
		p.mu.Unlock()
	}
}

// awaitWay returns false when ctx ended.
func (p *Publisher) awaitWay(ctx context.Context) bool {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for p.reached() != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
