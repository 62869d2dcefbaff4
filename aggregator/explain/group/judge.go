package group

import (
	"cmp"
	"math"
	"slices"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// When a pod's share of a function is another than the pods' median. All of them must
// hold; see differs.
const (
	effect   = 0.05 // of the pod's total: less matters to nobody
	spreads  = 4.0  // standard deviations of the pods, estimated from the MAD
	fewLooks = 100  // of a CPU profiler: with less, no share is judged
)

// leastPods is how many pods can outvote one.
const leastPods = 3

// maxOutliers is how many pods are named, the most different first.
const maxOutliers = 20

// finding is a pod that differs from the others.
type finding struct {
	pod         pod
	differences []difference // of functions' shares, as they were found
	byTotal     bool         // its total differs
	rate        float64      // its total, per second for cpu
	typicalRate float64
	functions   []difference // those that are told, the most telling first
}

// difference is a function in which a pod has another share than is typical.
type difference struct {
	function string
	share    float64 // of the pod
	typical  float64 // median of the pods
}

func (d difference) by() float64 { return math.Abs(d.share - d.typical) }

// more tells that the pod has more of the function than the others.
func (d difference) more() bool { return d.share > d.typical }

// findings is what the comparison of a group's pods gave.
type findings struct {
	pods    []finding // the most different first
	beyond  int       // pods that differ too, and are not in the list
	weighed int       // pods whose shares were compared
	rated   int       // pods whose totals were compared
}

// pair tells that two pods were compared with each other: each is in the list, and neither
// is the outlier.
func (f findings) pair() bool { return f.weighed == 2 }

// judge compares the pods: by each function's share of a pod's total with the median of
// that share over the pods, and by each pod's total with the median of the totals. The
// median does not move with one bad pod, so that the others do not look bad beside it.
func judge(kind gopprof.Kind, pods []pod, names []string) findings {
	byPod := map[int]*finding{}
	of := func(p pod) *finding {
		f := byPod[p.member]
		if f == nil {
			f = &finding{pod: p}
			byPod[p.member] = f
		}
		return f
	}
	out := findings{}
	out.weighed = compareShares(kind, pods, len(names), func(p pod, function int, share, typical float64) {
		f := of(p)
		f.differences = append(f.differences, difference{names[function], share, typical})
	})
	totals := totalsOf(kind, pods)
	out.rated = len(totals.pods)
	totals.compare(func(p pod) { of(p).byTotal = true })
	for _, f := range byPod {
		f.rate, f.typicalRate = rate(kind, f.pod), totals.median
		out.pods = append(out.pods, *f)
	}
	slices.SortFunc(out.pods, func(a, b finding) int {
		return cmp.Or(cmp.Compare(b.distance(), a.distance()), cmp.Compare(a.pod.member, b.pod.member))
	})
	if n := len(out.pods); n > maxOutliers {
		out.beyond = n - maxOutliers
		out.pods = out.pods[:maxOutliers]
	}
	return out
}

// distance is how different a pod is, 0 to 1: its largest difference in a share, or the
// difference of the totals over their sum.
func (f finding) distance() float64 {
	most := 0.0
	for _, d := range f.differences {
		most = max(most, d.by())
	}
	if f.byTotal {
		most = max(most, math.Abs(f.rate-f.typicalRate)/(f.rate+f.typicalRate))
	}
	return most
}
