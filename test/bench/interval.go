package main

import (
	"fmt"
	"slices"
)

// interval is a median, and between which of the values the true one lies with a confidence
// of at least 95 %, whatever they are distributed like. So few values that none are so
// certain have all of them as their interval.
type interval struct{ least, median, most float64 }

func (i interval) String() string {
	return fmt.Sprintf("%.3f (%.3f–%.3f)", i.median, i.least, i.most)
}

func intervalOf(values []float64) interval {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	out := outside(n)
	return interval{s[out], (s[(n-1)/2] + s[n/2]) / 2, s[n-1-out]}
}

// outside is how many values may be left out at either end: of n that are each above the true
// median with probability ½, so many or fewer are on one side in 2.5 % of cases at most.
func outside(n int) (out int) {
	chance := 1.0 // of exactly out of n, which begins with 2^-n
	for range n {
		chance /= 2
	}
	for below := chance; below <= 0.025; below += chance {
		out++
		chance *= float64(n-out+1) / float64(out)
	}
	return max(0, out-1)
}
