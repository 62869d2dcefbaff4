// Package pricing is the part of the burner that burns CPU: it prices imaginary shopping
// baskets, as many as it takes to use the cores that were asked for.
//
// A number of cores enters, heat leaves. It allocates next to nothing, so that its CPU
// profile is its own code.
package pricing

import (
	"context"
	"math"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
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

// priceBaskets uses share (0–1) of a core until ctx ends. It goes by the CPU time of its
// thread, so that it uses as much on a busy machine; only what it falls behind by more
// than a second stays lost, as under a quota.
func priceBaskets(ctx context.Context, share float64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began, worked := time.Now(), threadCPU()
	for basket := 1; ctx.Err() == nil; {
		due := worked + time.Duration(share*float64(time.Since(began)+slice))
		if due-threadCPU() > time.Second {
			began, worked = time.Now(), threadCPU()
			continue
		}
		for threadCPU() < due {
			basket += 1 + int(computeDiscounts(basket))%2
		}
		if share < 1 {
			time.Sleep(slice)
		}
	}
}

// threadCPU is the CPU time that this thread has used.
func threadCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic("reading the thread's CPU clock: " + err.Error()) // the kernel always has it
	}
	return time.Duration(t.Nano())
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
