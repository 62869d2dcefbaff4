// Package pricing is the part of the burner that burns CPU: it prices imaginary shopping
// baskets, as many as it takes to use the cores that were asked for.
//
// A number of cores enters, heat leaves. It allocates next to nothing, so that its CPU
// profile is its own code.
package pricing

import (
	"context"
	"math"
	"sync"
	"time"
)

// HotFunction is the name under which the function that burns stands in a CPU profile.
const HotFunction = "github.com/gopprof/gopprof/test/burner/pricing.discountFor"

// slice is how long a worker works and rests in turn; well below the 100 ms period of
// the kernel's CPU quota, so that a load below the quota is not throttled.
const slice = 10 * time.Millisecond

// MaxCores bounds what may be asked for.
const MaxCores = 64

// Engine prices baskets.
type Engine struct {
	mu      sync.Mutex // guards the fields below
	cores   float64
	stop    context.CancelFunc
	workers sync.WaitGroup
}

// Use makes the engine use that many cores from now on; 0 stops it. It returns when the
// former workers have ended.
func (e *Engine) Use(cores float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stop != nil {
		e.stop()
		e.workers.Wait()
	}
	ctx, stop := context.WithCancel(context.Background())
	e.stop, e.cores = stop, min(max(cores, 0), MaxCores)
	for rest := e.cores; rest > 1e-9; rest-- {
		e.workers.Go(func() { priceBaskets(ctx, min(rest, 1)) })
	}
}

// Cores returns what was asked for last.
func (e *Engine) Cores() float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cores
}

// priceBaskets works for share (0–1) of the time until ctx ends. What a late wake-up took
// from one slice is made up for in the next.
func priceBaskets(ctx context.Context, share float64) {
	worked, began := time.Duration(0), time.Now()
	for basket := 1; ctx.Err() == nil; {
		start := time.Now()
		due := time.Duration(share * float64(start.Sub(began)+slice))
		for worked+time.Since(start) < due {
			basket += 1 + int(computeDiscounts(basket))%2
		}
		worked += time.Since(start)
		if behind := time.Duration(share*float64(time.Since(began))) - worked; behind > time.Second {
			began, worked = time.Now(), 0 // throttled: lost time stays lost
		}
		if share < 1 {
			time.Sleep(slice - min(slice, time.Since(start)))
		}
	}
}

// computeDiscounts prices one basket.
//
//go:noinline
func computeDiscounts(basket int) float64 {
	total := 0.0
	for item := range 20 {
		total += discountFor(basket, item)
	}
	return total
}

// discountFor is the function that burns.
//
//go:noinline
func discountFor(basket, item int) float64 {
	price := float64(basket%97 + item)
	for range 500 {
		price += math.Sqrt(price*1.0001+float64(item)) / (price + 1)
	}
	return price
}
