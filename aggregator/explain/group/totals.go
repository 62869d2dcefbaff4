package group

import (
	"math"
	"slices"

	"github.com/gopprof/gopprof/pkg/chance"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// timesTypical is how many times the median a total must be, or a part of it, to differ.
const timesTypical = 2.0

// totals compares what the pods use in all.
type totals struct {
	kind   gopprof.Kind
	pods   []pod // whose rate is known
	rates  []float64
	median float64
	looks  float64 // for a unit of the total, over the pods
}

// rate is a pod's total, per second for cpu; NaN when it is not known how many those were.
func rate(kind gopprof.Kind, p pod) float64 {
	switch {
	case kind != gopprof.KindCPU:
		return float64(p.total)
	case p.seconds > 0:
		return float64(p.total) / p.seconds
	}
	return math.NaN()
}

func totalsOf(kind gopprof.Kind, pods []pod) totals {
	t := totals{kind: kind}
	looks, all := 0.0, 0.0
	for _, p := range pods {
		if r := rate(kind, p); !math.IsNaN(r) && !math.IsInf(r, 0) {
			t.pods, t.rates = append(t.pods, p), append(t.rates, r)
			looks += p.looks
			all += float64(p.total)
		}
	}
	t.median = median(slices.Clone(t.rates))
	if all > 0 {
		t.looks = looks / all
	}
	return t
}

// compare tells of the pods whose total is timesTypical the median or more, or as small a
// part of it; which is also beyond the spread of the pods, in their ratios to the median,
// so that pods whose load differs anyway have no outlier; and beyond what chance does to a
// number of looks: the root of a Poisson number, of it plus 3/8, has a variance of 1/4
// (Anscombe, The Transformation of Poisson, Binomial and Negative-binomial Data, Biometrika
// 35, 1948), and that of the median over N pods one of π/2 × 1/4N.
func (t totals) compare(tell func(pod)) {
	n := len(t.pods)
	if n < leastPods {
		return
	}
	distances := make([]float64, n)
	for i, r := range t.rates {
		distances[i] = distance(r, t.median)
	}
	spread := spreads * toSigma * median(slices.Clone(distances))
	most := chance.Beyond(n) / 2 * math.Sqrt(1+math.Pi/2/float64(n))
	for i, p := range t.pods {
		by := math.Abs(math.Sqrt(p.looks+3.0/8) - math.Sqrt(t.expected(p)+3.0/8))
		if distances[i] >= math.Log(timesTypical) && distances[i] > spread && by > most {
			tell(p)
		}
	}
}

// expected is how many looks a pod would have at the median rate.
func (t totals) expected(p pod) float64 {
	if t.kind == gopprof.KindCPU {
		return t.median * p.seconds * t.looks
	}
	return t.median * t.looks
}

// distance is that of a rate from the median in its logarithm: half and twice are as far.
func distance(rate, median float64) float64 {
	if rate == median {
		return 0 // both may be
	}
	return math.Abs(math.Log(rate / median))
}
