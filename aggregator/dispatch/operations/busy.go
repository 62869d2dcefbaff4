package operations

import (
	"slices"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// lateNews is how long after its end news of an operation may still arrive.
const lateNews = 10 * time.Minute

// background does something about a capture or an operation unless that is being done.
func (k *Keeper) background(id string, f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy[id] {
		return
	}
	k.busy[id] = true
	k.working.Go(func() {
		defer k.wake()
		defer k.idle(id)
		f()
	})
}

func (k *Keeper) idle(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.busy, id)
}

func (k *Keeper) isBusy(id string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.busy[id]
}

// waits tells whether a capture still waits, as far as is known here.
func (k *Keeper) waits(s start) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, oc := range k.live[s.operation.ID].op.Captures {
		if oc.Capture == s.capture.Capture {
			return oc.State == gopprof.CaptureWaiting
		}
	}
	return false
}

func (k *Keeper) trialOf(capture string) trial {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tried[capture]
}

func (k *Keeper) setTrial(capture string, t trial) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried[capture] = t
}

// prune forgets what was remembered of captures and operations that have ended.
func (k *Keeper) prune(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	going := map[string]bool{}
	for id, r := range k.live {
		going[id] = true
		for _, oc := range r.op.Captures {
			if !oc.Ended() {
				going[oc.Capture] = true
			}
		}
	}
	for id := range k.tried {
		if !going[id] && !k.busy[id] {
			delete(k.tried, id)
		}
	}
	for id, r := range k.past {
		if now.Sub(r.at) > lateNews {
			delete(k.past, id)
		}
	}
	k.pruneForgotten(now)
}

// pruneForgotten drops ended operations that the bucket has forgotten because of their age;
// k.mu is held.
func (k *Keeper) pruneForgotten(now time.Time) {
	for id, s := range k.sizes {
		if s.ended && now.Sub(s.at) > bus.OperationsKept {
			delete(k.sizes, id)
		}
	}
	k.recent = slices.DeleteFunc(k.recent, func(op gopprof.Operation) bool {
		return now.Sub(op.At) > bus.OperationsKept && op.Ended()
	})
}
