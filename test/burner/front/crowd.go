package front

import (
	"context"
	"sync"
	"time"
)

// A Crowd is visitors beyond the ordinary ones, who all ask for the same sort of page.
type Crowd struct {
	Visit Visit
	// Cores is how much CPU the whole process uses while the crowd is there, the ordinary
	// visitors included: each comes back at once until that is used. 0: Visits counts.
	Cores float64
	// People is how many come at the same time, with Cores.
	People int
	// Visits is how many come in all, evenly over the time Over; each is served by itself,
	// so that one that waits holds up nobody.
	Visits int
	Over   time.Duration
}

// Let lets a crowd in, which stays until leave is called. Leave returns when all have been
// served; who waits for something of the shop's must be freed by the shop first.
func (d *Door) Let(c Crowd) (leave func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var crowd sync.WaitGroup
	if c.Cores > 0 {
		p := newPace()
		crowd.Go(func() { p.run(ctx, c.Cores) })
		for i := range c.People {
			crowd.Go(func() { d.stay(p, c, i) })
		}
	} else {
		crowd.Go(func() { d.arrive(ctx, c, &crowd) })
	}
	return func() { cancel(); crowd.Wait() }
}

// stay serves one who comes back at once.
func (d *Door) stay(p *pace, c Crowd, n int) {
	for p.turn() {
		d.serve(c.Visit(n))
		n += c.People
	}
}

// arrive serves those who come evenly over time.
func (d *Door) arrive(ctx context.Context, c Crowd, crowd *sync.WaitGroup) {
	tick := time.NewTicker(step)
	defer tick.Stop()
	began := time.Now()
	for n := 0; n < c.Visits; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		due := min(1, time.Since(began).Seconds()/max(c.Over, step).Seconds())
		for ; n < int(due*float64(c.Visits)) && ctx.Err() == nil; n++ {
			r := c.Visit(n)
			crowd.Go(func() { d.serve(r) })
		}
	}
}
