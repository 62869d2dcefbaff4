// Package cause says why a container is hot.
//
// Enters: the condensed profiles of a capture and of quiet pods beside it, their
// differences, and what the cgroups used. Leaves: a verdict, each cause with the figures it
// was judged by. It is pure. The rules stand in one table (table.go) and know nothing of
// any program but what Go programs have in common.
//
// Must never happen: a cause that its figures do not show; certainty where the profile, the
// witnesses or the comparison are weak.
package cause

import (
	"cmp"
	"slices"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// Facts is what a verdict is made of.
type Facts struct {
	Capture gopprof.Capture
	Fleet   *gopprof.Fleet // nil: not known
	Here    map[gopprof.Kind]*profile.Shape
	// Others are the quiet captures that each kind was compared with, and Differences what
	// came of that; a kind that was compared with nobody is in neither.
	Others      map[gopprof.Kind][]Other
	Differences map[gopprof.Kind]gopprof.Difference
	// Doubted tells that the capture is not to be trusted: the witnesses contradict each other,
	// or another process was profiled. Nothing is sure then. FewLooks tells that the profiler
	// saw too little for shares to mean much: what is judged by them is not sure.
	Doubted, FewLooks bool
}

// Other is one quiet capture.
type Other struct {
	Capture gopprof.Capture
	Shape   *profile.Shape
}

// Judge goes through the table.
func Judge(f Facts) gopprof.Verdict {
	v := gopprof.Verdict{Version: gopprof.VerdictVersion, Scope: scope(f.Fleet), Causes: []gopprof.Cause{}}
	j := newJudged(f)
	for _, r := range table {
		c, holds := r.rule(j)
		if !holds {
			continue
		}
		c.Kind = r.kind
		if f.Doubted || f.FewLooks && r.byShares {
			c.Confidence = gopprof.ConfidenceUnsure
		}
		if c.Proof == nil {
			c.Proof = []gopprof.Proof{}
		}
		v.Causes = append(v.Causes, c)
	}
	slices.SortStableFunc(v.Causes, func(a, b gopprof.Cause) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Share, a.Share))
	})
	return v
}

// rank puts what is unsure after what is not.
func rank(c gopprof.Cause) int {
	if c.Confidence == gopprof.ConfidenceUnsure {
		return 1
	}
	return 0
}

// scope tells whether the pod is alone with it.
func scope(f *gopprof.Fleet) gopprof.Scope {
	switch {
	case f == nil || f.Pods < 2:
		return gopprof.ScopeUnknown
	case f.Hot >= f.Pods:
		return gopprof.ScopeWorkload
	case f.Quiet > 0:
		return gopprof.ScopePod
	}
	return gopprof.ScopeUnknown
}
