package front

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// counter is a shop that counts its visitors.
type counter struct{ served atomic.Int64 }

func (c *counter) ServeHTTP(http.ResponseWriter, *http.Request) { c.served.Add(1) }

func anybody(int) *http.Request { return &http.Request{} }

func TestAsManyComeAsWereAskedFor(t *testing.T) {
	for _, rate := range []float64{0, 10, 400, 5000} {
		synctest.Test(t, func(t *testing.T) {
			var shop counter
			d := NewDoor(&shop, anybody)
			d.Open(Load{Rate: rate})
			time.Sleep(10*time.Second + time.Millisecond)
			d.Open(Load{})
			if got := float64(shop.served.Load()); got < 10*rate-clerks*(rate/100+1) || got > 10*rate {
				t.Errorf("%g in 10 s at %g per second", got, rate)
			}
		})
	}
}

// Whoever had to wait for long has left: a shop that was held up is not asked for all of it
// afterwards.
func TestWhoWaitedForLongHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shop counter
		opened := time.Now()
		d := NewDoor(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Until(opened.Add(20 * time.Second)))
			shop.ServeHTTP(w, r)
		}), anybody)
		d.Open(Load{Rate: 4}) // one each
		time.Sleep(30 * time.Second)
		d.Open(Load{})
		if got := shop.served.Load(); got < 4*9 || got > 4*13 {
			t.Errorf("%d served", got)
		}
	})
}

func TestCrowdComesEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shop counter
		leave := NewDoor(&shop, anybody).Let(Crowd{Visit: anybody, Visits: 1000, Over: 10 * time.Second})
		for _, want := range []int64{500, 1000, 1000} {
			time.Sleep(5*time.Second + time.Millisecond)
			synctest.Wait()
			if got := shop.served.Load(); got < want-2 || got > want+2 {
				t.Errorf("%d have come, want %d", got, want)
			}
		}
		leave()
	})
}

// One who waits holds up nobody, and leaves when freed.
func TestOneWhoWaitsHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var came atomic.Int64
		free := make(chan struct{})
		d := NewDoor(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came.Add(1); <-free }), anybody)
		leave := d.Let(Crowd{Visit: anybody, Visits: 10, Over: time.Second})
		time.Sleep(2 * time.Second)
		if got := came.Load(); got != 10 {
			t.Errorf("%d came", got)
		}
		close(free)
		leave()
	})
}

func TestPace(t *testing.T) {
	p := newPace()
	var turns atomic.Int64
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for p.turn() {
				turns.Add(1)
				<-time.After(time.Millisecond)
			}
		})
	}
	before := turns.Load()
	for range 20 { // rests and works in turn, and nobody is forgotten
		p.set(going)
		for now := turns.Load(); turns.Load() < now+4; {
			<-time.After(time.Millisecond)
		}
		p.set(resting)
	}
	if turns.Load() < before+80 {
		t.Errorf("%d turns", turns.Load())
	}
	p.set(over)
	workers.Wait()
	if p.allows() || p.turn() {
		t.Error("work goes on after the end")
	}
}

func TestPaceKeepsToTheCPUThatWasAskedFor(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := newPace()
	var workers sync.WaitGroup
	workers.Go(func() { p.run(ctx, 0.3) })
	workers.Go(func() {
		for n := 0; p.turn(); n++ {
			_ = make([]byte, n%1000)
		}
	})
	began, before := time.Now(), processCPU()
	for {
		<-time.After(100 * time.Millisecond)
		used, passed := (processCPU() - before).Seconds(), time.Since(began)
		if share := used / passed.Seconds(); passed > time.Second && share > 0.2 && share < 0.4 {
			break
		}
		if passed > 30*time.Second { // a busy machine gives less
			t.Fatalf("used %.1f s in %s", used, passed)
		}
	}
	cancel()
	workers.Wait()
}
