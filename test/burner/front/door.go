// Package front is the door of the burner's shop: visitors come in, and each asks the shop
// for one page, as net/http would hand it over.
//
// How many visitors come, and what they ask for, enters; calls of the shop's handler leave.
// It must never decide what a page costs: that is the shop's code, as in any service.
package front

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// clerks handle the ordinary visitors, so that one that waits does not hold up all others.
const clerks = 4

// step is how often a clerk looks whether somebody waits; well below the 100 ms period of
// the kernel's CPU quota, so that a load below the quota is not throttled.
const step = 10 * time.Millisecond

// MaxRate bounds what may be asked for.
const MaxRate = 200_000

// Visit makes the n-th visitor's request.
type Visit func(n int) *http.Request

// Load is how many ordinary visitors come.
type Load struct {
	// Rate is their number per second.
	Rate float64
	// Cores is, in place of a rate, how much CPU the whole process uses with them: as many
	// come as that takes.
	Cores float64
}

// Door lets visitors in.
type Door struct {
	shop     http.Handler
	ordinary Visit
	served   atomic.Uint64

	mu     sync.Mutex // guards the fields below
	load   Load
	close  context.CancelFunc
	inside sync.WaitGroup
}

// NewDoor returns a door that nobody comes through yet. Ordinary visitors ask what
// ordinary says.
func NewDoor(shop http.Handler, ordinary Visit) *Door {
	return &Door{shop: shop, ordinary: ordinary}
}

// Open lets in so many ordinary visitors from now on; none at a load of nothing.
func (d *Door) Open(l Load) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.close != nil {
		d.close()
		d.inside.Wait()
		d.close = nil
	}
	l.Rate = min(max(l.Rate, 0), MaxRate)
	if d.load = l; l == (Load{}) {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.close = cancel
	var p *pace
	if l.Cores > 0 {
		p, l.Rate = newPace(), MaxRate
		d.inside.Go(func() { p.run(ctx, l.Cores) })
	}
	for i := range clerks {
		d.inside.Go(func() { d.greet(ctx, p, l.Rate/clerks, i) })
	}
}

// Load is how many ordinary visitors come.
func (d *Door) Load() Load {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.load
}

// greet serves visitors as they come, with a pace no more than that allows. Who had to wait
// for more than a second has left.
func (d *Door) greet(ctx context.Context, p *pace, rate float64, n int) {
	tick := time.NewTicker(step)
	defer tick.Stop()
	began, served := time.Now(), 0.0
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		due := rate * time.Since(began).Seconds()
		if due-served > max(rate, 1) {
			began, served, due = time.Now(), 0, 0
		}
		for ; served+1 <= due && p.allows() && ctx.Err() == nil; served++ {
			d.serve(d.ordinary(n))
			n += clerks
		}
	}
}

// serve answers one visitor.
func (d *Door) serve(r *http.Request) {
	d.shop.ServeHTTP(&answer{}, r)
	d.served.Add(1)
}

// Served is how many visitors were answered so far.
func (d *Door) Served() uint64 { return d.served.Load() }

// answer is what the visitor gets: nobody reads it.
type answer struct{ header http.Header }

func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

func (a *answer) Write(p []byte) (int, error) { return len(p), nil }
func (a *answer) WriteHeader(int)             {}
