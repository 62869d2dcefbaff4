package receive

import (
	"fmt"
	"sync"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// later is no failure: the capture is to come again after a while.
type later struct{ after time.Duration }

// Later is what a Handler's Resume returns when the capture has to wait for something else:
// it is given back to NATS and comes again after so long. Meanwhile no worker is held, so
// that what it waits for can be handled, and no bytes are.
func Later(after time.Duration) error { return &later{max(after, 0)} }

func (l *later) Error() string { return fmt.Sprintf("it is to come again in %s", l.after) }

// maxWaits bounds what is remembered of captures that wait; NATS hands out fewer at a time.
const maxWaits = 4096

// waits remembers how many deliveries of a capture were spent waiting, so that the pause
// after a first failure is as short as if there had been none. A capture waits before
// anything else is done with it: when one delivery was spent waiting, all before it were,
// also those that other aggregators had. The memory ends with the process, which costs a
// longer pause.
type waits struct {
	mu   sync.Mutex
	upTo map[string]int // by capture: the number of the last delivery that waited
}

func newWaits() *waits { return &waits{upTo: map[string]int{}} }

// note remembers how a delivery ended.
func (w *waits) note(d Delivery, v verdict) {
	c, _ := d.Capture()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch v.outcome {
	case waiting:
		if len(w.upTo) >= maxWaits {
			clear(w.upTo)
		}
		w.upTo[key(c)] = d.Deliveries()
	case stored, resumed, dead:
		delete(w.upTo, key(c))
	}
}

// tries is how often a delivery's message was handed over to be worked on, this time included.
func (w *waits) tries(d Delivery) int {
	c, _ := d.Capture()
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(1, d.Deliveries()-w.upTo[key(c)])
}

// key tells captures apart though two nodes give them one name.
func key(c gopprof.Capture) string { return c.Target.Cluster + "/" + c.Target.Node + "/" + c.ID }
