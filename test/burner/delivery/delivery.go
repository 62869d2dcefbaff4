// Package delivery reserves the driver's time. It looks at the clock until a slot is free.
package delivery

import (
	"net/http"
	"sync/atomic"
	"time"
)

// HotFunction is the name under which looking stands in a CPU profile.
const HotFunction = "github.com/gopprof/gopprof/test/burner/delivery.(*Plan).awaitSlot"

// patience is how long somebody waits for a slot.
const patience = 4 * time.Millisecond

// Plan knows which slots are free: none is.
type Plan struct{ free atomic.Int64 }

// ServeHTTP answers POST /delivery with a slot, or that there is none.
func (p *Plan) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if !p.awaitSlot(time.Now().Add(patience)) {
		http.Error(w, "no slot today", http.StatusConflict)
	}
}

func (p *Plan) awaitSlot(deadline time.Time) bool {
	for time.Now().Before(deadline) {
		if p.free.Load() > 0 {
			p.free.Add(-1)
			return true
		}
	}
	return false
}
