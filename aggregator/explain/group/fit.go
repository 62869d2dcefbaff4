package group

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// fitting returns the pods whose profiles can be added and compared, in their order: those
// that count the same things as most do, and whose sum fits 64 bits. The others are left
// out. Neither question is put to the first pod that came: it might be the odd one.
func (g *group) fitting(pods []pod) []pod {
	common := commonTypes(pods)
	var same []pod
	for _, p := range pods {
		if differ := p.types.Differ(common); differ != "" {
			g.leave(p.member, gopprof.ReasonInvalidProfile, differ)
			continue
		}
		same = append(same, p)
	}
	return g.summable(same)
}

// commonTypes returns what most of the pods count, of two as frequent the first by name.
func commonTypes(pods []pod) []string {
	count := map[string]int{}
	var best pod
	bestKey := ""
	for _, p := range pods {
		count[strings.Join(p.types, "\x00")]++
	}
	for _, p := range pods {
		key := strings.Join(p.types, "\x00")
		if n := cmp.Or(count[key]-count[bestKey], strings.Compare(bestKey, key)); bestKey == "" || n > 0 {
			best, bestKey = p, key
		}
	}
	return best.types
}

// summable returns the pods whose values together fit 64 bits, the smallest first, so that
// a pod of absurd values leaves out nobody but itself.
func (g *group) summable(pods []pod) []pod {
	bySize := slices.SortedStableFunc(slices.Values(pods), func(a, b pod) int { return cmp.Compare(a.largest, b.largest) })
	out := map[int]bool{}
	sum := int64(0)
	for _, p := range bySize {
		if p.largest >= math.MaxInt64-sum {
			out[p.member] = true
			g.leave(p.member, gopprof.ReasonInvalidProfile, "the sum of its values and the other pods' does not fit 64 bits")
			continue
		}
		sum += p.largest
	}
	return slices.DeleteFunc(pods, func(p pod) bool { return out[p.member] })
}
