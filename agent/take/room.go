package take

import (
	"fmt"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// hands are the captures that were taken and are in memory until they are handed on: as many as
// a slow disk, to which they go, keeps waiting.
type hands struct {
	of   map[string]int64 // bytes, by capture
	sum  int64
	less chan struct{} // closed and replaced when there are less
}

// hand notes what the capture took, before another one gets its place.
func (j *job) hand() {
	t := j.t
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hands.sum += j.bytes - t.hands.of[j.order.Capture]
	t.hands.of[j.order.Capture] = j.bytes
}

// HandedOn tells that a capture that was taken is in memory no more. Told again, or of another
// one, it does nothing.
func (t *Taker) HandedOn(capture string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	bytes, ok := t.hands.of[capture]
	if !ok {
		return
	}
	delete(t.hands.of, capture)
	t.hands.sum -= bytes
	close(t.hands.less)
	t.hands.less = make(chan struct{})
}

// awaitRoom waits until what was taken and not handed on is no more than one capture may be.
func (j *job) awaitRoom(deadline <-chan time.Time) error {
	for {
		bytes, less := j.t.inHands()
		if bytes <= j.t.cfg.MaxCaptureBytes {
			return nil
		}
		select {
		case <-less:
		case <-deadline:
			return &Error{Reason: gopprof.ReasonSpoolFailed, Detail: fmt.Sprintf("the disk is slow: %d bytes of captures waited for it until the deadline", bytes)}
		case <-j.ctx.Done():
			return cancelled()
		}
	}
}

func (t *Taker) inHands() (bytes int64, less <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hands.sum, t.hands.less
}
