package group

import (
	"math"
	"slices"

	"github.com/gopprof/gopprof/pkg/chance"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// compareShares tells of every function whose share of a pod is not what is typical, and
// returns how many pods were compared: those that have anything to share. Of two pods,
// each is held against the other.
func compareShares(kind gopprof.Kind, pods []pod, functions int, tell func(p pod, function int, share, typical float64)) int {
	pods = slices.DeleteFunc(slices.Clone(pods), func(p pod) bool { return p.total == 0 })
	if len(pods) < 2 {
		return len(pods)
	}
	c := newComparison(kind, pods, functions)
	for f, ratios := range byFunction(pods, functions) {
		if !slices.ContainsFunc(ratios, func(r podShare) bool { return r.ratio >= effect }) {
			continue
		}
		if len(pods) == 2 {
			c.pair(f, dense(ratios, 2), tell)
			continue
		}
		c.function(f, ratios, tell)
	}
	return len(pods)
}

// podShare is the share that a function has of the pod of that number.
type podShare struct {
	pod   int
	ratio float64
}

func byFunction(pods []pod, functions int) [][]podShare {
	out := make([][]podShare, functions)
	for i, p := range pods {
		for _, s := range p.shares {
			out[s.function] = append(out[s.function], podShare{i, s.ratio})
		}
	}
	return out
}

// dense returns the share of each of n pods, 0 of those that do not have the function.
func dense(ratios []podShare, n int) []float64 {
	out := make([]float64, n)
	for _, r := range ratios {
		out[r.pod] = r.ratio
	}
	return out
}

// comparison is that of shares among pods.
type comparison struct {
	pods   []pod
	judged []bool  // the pod has looks enough
	z      float64 // standard errors that chance does not reach in any of the comparisons
	median float64 // variance of the median of shares, over p(1-p)
}

func newComparison(kind gopprof.Kind, pods []pod, functions int) comparison {
	c := comparison{pods: pods, z: chance.Beyond(functions * len(pods))}
	roots := 0.0
	for _, p := range pods {
		c.judged = append(c.judged, !few(kind, p))
		roots += math.Sqrt(p.looks)
	}
	c.median = math.Pi / 2 * float64(len(pods)) / (roots * roots)
	return c
}

// few tells that a CPU profile's looks are too few to judge a share. The other kinds need
// no such floor: of few things, differs finds no difference but a gross one.
func few(kind gopprof.Kind, p pod) bool { return kind == gopprof.KindCPU && p.looks < fewLooks }

// function compares the shares that the pods have of one function.
func (c comparison) function(f int, ratios []podShare, tell func(pod, int, float64, float64)) {
	if 2*len(ratios) < len(c.pods) { // most pods have nothing of it: neither median nor spread
		for _, r := range ratios {
			if c.differs(r.pod, r.ratio, 0, 0) {
				tell(c.pods[r.pod], f, r.ratio, 0)
			}
		}
		return
	}
	all := dense(ratios, len(c.pods))
	typical, spread := medianAndSpread(all)
	for i, ratio := range all {
		if c.differs(i, ratio, typical, spread) {
			tell(c.pods[i], f, ratio, typical)
		}
	}
}

// differs tells whether a share s of pod i is another than the median m of N pods. It is
// when all of this holds:
//
//   - |s - m| >= effect;
//   - |s - m| > spreads × 1.4826 × MAD, where MAD is the median of the pods' distances
//     from m, and 1.4826 × MAD estimates their standard deviation (Rousseeuw and Croux,
//     Alternatives to the Median Absolute Deviation, JASA 88, 1993): pods that differ among
//     each other anyway have no outlier;
//   - |s - m| > z × sqrt(p(1-p) × (1/n_i + π/2 × N / (Σ_j √n_j)²)), which is more than
//     chance gives to a share that was estimated from n looks.
//
// A share p estimated from n independent looks has the variance p(1-p)/n. The median of
// samples with densities f_j has the variance N / (2 Σ_j f_j(m))² (Cramér, Mathematical
// Methods of Statistics, 1946, 28.5, where all f_j are one), and the density of a normal
// with that variance is √(n_j / (2π p(1-p))) at its middle; with n looks of each pod it is
// the familiar π/2 × p(1-p)/(N n). That s is itself one of the N makes the sum of both
// variances too large, if anything. p is the middle of s and m. z is that of a two-sided
// test of the normal distribution at chance.FalseRate over the number of comparisons, functions
// times pods (Bonferroni; Dunn, Multiple Comparisons among Means, JASA 56, 1961).
//
// What n counts is independent for the cpu kind only, and even there nearly. Bytes, waits
// and goroutines come in lumps: for the other kinds the third condition is the least that
// chance does, proves nothing, and the first two decide.
func (c comparison) differs(i int, s, m, spread float64) bool {
	by := math.Abs(s - m)
	return c.judged[i] && by >= effect && by > spreads*spread && by > c.chance(s, m, 1/c.pods[i].looks+c.median)
}

// chance is the largest difference of two shares that chance is granted, where variance is
// that of their difference over p(1-p).
func (c comparison) chance(s, m, variance float64) float64 {
	p := (s + m) / 2
	return c.z * math.Sqrt(p*(1-p)*variance)
}

// pair compares the shares that two pods have of one function, as differs does; there is
// no spread of two.
func (c comparison) pair(f int, s []float64, tell func(pod, int, float64, float64)) {
	by, variance := math.Abs(s[0]-s[1]), 1/c.pods[0].looks+1/c.pods[1].looks
	if c.judged[0] && c.judged[1] && by >= effect && by > c.chance(s[0], s[1], variance) {
		tell(c.pods[0], f, s[0], s[1])
		tell(c.pods[1], f, s[1], s[0])
	}
}
