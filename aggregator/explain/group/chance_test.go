package group

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gopprof/gopprof/pkg/chance"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// service is a program whose stacks are seen with these weights.
type service struct {
	stacks  [][]string
	weights []float64
}

// newService has some heavy and many light functions, four deep.
func newService() service {
	var s service
	for i := range 60 {
		s.stacks = append(s.stacks, []string{fmt.Sprintf("main.leaf%d", i), fmt.Sprintf("main.mid%d", i%17), fmt.Sprintf("main.top%d", i%5), "main.main"})
		s.weights = append(s.weights, 1/float64(1+i))
	}
	return s
}

// draw returns how often each stack is seen in so many looks.
func (s service) draw(r *rand.Rand, looks int) []int64 {
	var up []float64 // sums of the weights
	sum := 0.0
	for _, w := range s.weights {
		sum += w
		up = append(up, sum)
	}
	counts := make([]int64, len(s.stacks))
	for range looks {
		i, _ := slices.BinarySearch(up, r.Float64()*sum)
		counts[i]++
	}
	return counts
}

// profile is a file of what was drawn, each look worth that much.
func (s service) profile(kind gopprof.Kind, counts []int64, worth int64) []byte {
	var out []profiletest.Stack
	for i, n := range counts {
		if n > 0 {
			out = append(out, on(n*worth, s.stacks[i]...))
		}
	}
	return fileOf(kind, out...)
}

// pod is what weigh makes of the file.
func (s service) pod(member int, numbers *names, counts []int64) pod {
	cum := map[string]int64{}
	p := pod{member: member, seconds: 30}
	for i, n := range counts {
		p.total += n
		for _, f := range s.stacks[i] {
			cum[f] += n
		}
	}
	p.looks = float64(p.total)
	for f, n := range cum {
		if at, _ := numbers.number(f); float64(n) >= leastShare*p.looks {
			p.shares = append(p.shares, share{at, float64(n) / p.looks})
		}
	}
	return p
}

// groupOf draws the pods of a group, all the same.
func (s service) groupOf(r *rand.Rand, pods, looks int) ([]pod, *names) {
	var numbers names
	var out []pod
	for i := range pods {
		n := looks + int(r.NormFloat64()*math.Sqrt(float64(looks)))
		out = append(out, s.pod(i, &numbers, s.draw(r, n)))
	}
	return out, &numbers
}

// TestChanceNamesNobody draws many groups of pods that are all the same.
func TestChanceNamesNobody(t *testing.T) {
	const groups = 150
	for _, kind := range []gopprof.Kind{gopprof.KindCPU, gopprof.KindHeap} {
		for _, size := range []struct{ pods, looks int }{{2, 300}, {3, 40}, {3, 120}, {4, 1000}, {5, 101}, {10, 300}} {
			s, named := newService(), 0
			for seed := range uint64(groups) {
				pods, numbers := s.groupOf(rand.New(rand.NewPCG(seed, 7)), size.pods, size.looks)
				if found := judge(kind, pods, numbers.list); len(found.pods) > 0 {
					named++
				}
			}
			if float64(named) > 2*chance.FalseRate*groups {
				t.Errorf("%s, %d pods of %d looks: somebody was named in %d of %d groups", kind, size.pods, size.looks, named, groups)
			}
		}
	}
}

// TestChanceHidesNobody: a true difference of a tenth is seen among 1500 looks.
func TestChanceHidesNobody(t *testing.T) {
	const groups = 10
	s, bad := newService(), newService()
	bad.weights[3] += 0.13 * 4.68 // of the sum of all
	seen := 0
	for seed := range uint64(groups) {
		r := rand.New(rand.NewPCG(seed, 8))
		var data [][]byte
		for _, s := range []service{s, s, bad, s, s, s} {
			data = append(data, s.profile(gopprof.KindCPU, s.draw(r, 1500), 10_000_000))
		}
		o := merge(t, gopprof.KindCPU, files(data...)).Kind.Outliers
		if len(o) == 1 && o[0].Pod == "web-2" && o[0].Functions[0].Function == "main.leaf3" {
			seen++
		}
	}
	if seen < groups*9/10 {
		t.Errorf("seen in %d of %d groups", seen, groups)
	}
}

// TestMedianOfUnequalPods holds the variance that differs grants the median against the one
// that medians of drawn shares have.
func TestMedianOfUnequalPods(t *testing.T) {
	const p, rounds = 0.3, 10_000
	looks := []float64{100, 200, 400, 800, 1600, 3200, 100, 200, 400}
	var pods []pod
	for _, n := range looks {
		pods = append(pods, pod{looks: n})
	}
	want := newComparison(gopprof.KindCPU, pods, 1).median
	r := rand.New(rand.NewPCG(3, 4))
	sum := 0.0
	for range rounds {
		var shares []float64
		for _, n := range looks {
			shares = append(shares, p+r.NormFloat64()*math.Sqrt(p*(1-p)/n))
		}
		sum += math.Pow(median(shares)-p, 2)
	}
	if got := sum / rounds / (p * (1 - p)); got > want*1.15 || got < want*0.8 {
		t.Errorf("variance %v, granted %v", got, want)
	}
}

func TestBeyondChance(t *testing.T) {
	for comparisons, want := range map[int]float64{0: 2.5758, 1: 2.5758, 1000: 4.4172, 1_000_000: 5.7307} {
		if got := chance.Beyond(comparisons); math.Abs(got-want) > 0.001 {
			t.Errorf("%d comparisons: %v, want %v", comparisons, got, want)
		}
	}
}

func TestMedianAndSpread(t *testing.T) {
	for _, test := range []struct {
		values         []float64
		middle, spread float64
	}{
		{nil, 0, 0},
		{[]float64{4}, 4, 0},
		{[]float64{9, 1, 2}, 2, 1},
		{[]float64{1, 100, 3, 2}, 2.5, 1},
		{[]float64{1, 1, math.Inf(1)}, 1, 0},
	} {
		middle, spread := medianAndSpread(test.values)
		if middle != test.middle || math.Abs(spread-toSigma*test.spread) > 1e-12 {
			t.Errorf("%v: %v and %v", test.values, middle, spread)
		}
	}
}
