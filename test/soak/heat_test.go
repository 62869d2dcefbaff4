package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// heats are the ways in which a target may be hot: what makes it so, and no more.
var heats = []struct{ heat, cool string }{
	{fmt.Sprintf("/heat?cores=%g", hotCores), "/cool"},
	{fmt.Sprintf("/grow?mb=%d", hotMebibyte), "/shrink"},
}

// live heats and cools the pods of one workload until ctx ends, and leaves them cold: as a
// rule one or two pods, now and then all of them, as in a peak of traffic.
func (f *fleet) live(ctx context.Context, workload int, random *rand.Rand, rest time.Duration) {
	pods := slices.Clone(f.targets[workload*podsOfEach : (workload+1)*podsOfEach])
	for wait(ctx, spread(random, rest)) {
		n := []int{1, 1, 1, 1, 1, 2, 2, 3, 5, 1}[random.IntN(10)]
		what := heats[0]
		if random.IntN(5) == 0 {
			what = heats[1]
		}
		random.Shuffle(len(pods), func(i, j int) { pods[i], pods[j] = pods[j], pods[i] })
		for _, x := range pods[:n] {
			f.turn(x, what.heat, true)
		}
		wait(ctx, spread(random, 12*time.Second))
		for _, x := range pods[:n] {
			f.turn(x, what.cool, false)
		}
	}
}

// turn makes a target hot or cold.
func (f *fleet) turn(x *target, path string, hot bool) {
	x.mu.Lock()
	x.hot = hot && x.burner != nil
	x.mu.Unlock()
	f.ask(x, path)
}

// ask asks something of a target. One that a fault took down is not asked; its limit is so
// tight that an answer takes a while.
func (f *fleet) ask(x *target, path string) {
	x.mu.Lock()
	b := x.burner
	x.mu.Unlock()
	if b == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := b.Post(ctx, path); err != nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.burner == b { // nobody took it down: it ended by itself
			f.scene.t.Errorf("target %s: %v", x.pod, err)
		}
	}
}

// spread draws a time of which d is the mean.
func spread(random *rand.Rand, d time.Duration) time.Duration {
	return d/2 + time.Duration(random.Int64N(int64(d)))
}

// wait lets time pass, and returns false when ctx ends.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
