package group

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/pkg/figures"
)

// note says what cannot be said of the group, and why; "" when nothing is missing.
func (g *group) note(pods []pod, found findings) string {
	unseen := g.which(pods, func(p pod) bool { return p.total > 0 && few(g.kind, p) })
	timeless := g.which(pods, func(p pod) bool { return math.IsNaN(rate(g.kind, p)) })
	says := []string{g.uncompared(pods, found)}
	if unseen != "" {
		says = append(says, fmt.Sprintf("shares are not judged of pods at which the profiler looked fewer than %d times: %s", fewLooks, unseen))
	}
	if timeless != "" {
		says = append(says, "totals are not compared of pods whose profile took nobody knows how long: "+timeless)
	}
	if found.beyond > 0 {
		says = append(says, fmt.Sprintf("%d pods differ, and the %d most different are listed", found.beyond+len(found.pods), len(found.pods)))
	}
	return strings.Join(slices.DeleteFunc(says, func(s string) bool { return s == "" }), "; ")
}

// namedPods is how many pods a note names.
const namedPods = 5

// which names some of the pods that are meant, "" when there are none.
func (g *group) which(pods []pod, meant func(pod) bool) string {
	var names []string
	more := 0
	for _, p := range pods {
		switch {
		case !meant(p):
		case len(names) < namedPods:
			names = append(names, printed(g.members[p.member].Pod))
		default:
			more++
		}
	}
	if more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names, ", "), more)
	}
	return strings.Join(names, ", ")
}

// uncompared says why nobody can be the outlier: three can outvote one, two cannot.
func (g *group) uncompared(pods []pod, found findings) string {
	switch {
	case len(pods) == 0:
		return "no profile could be read"
	case len(pods) == 1:
		return "one pod has nobody to be compared with"
	case found.pair():
		return "of two pods neither is the outlier: " + g.apart(found)
	case found.weighed < leastPods:
		return fmt.Sprintf("too few profiles hold anything to compare shares: %d of %d", found.weighed, len(pods))
	}
	return ""
}

// apart says where two pods differ most, as the one says that has more of it.
func (g *group) apart(found findings) string {
	var most difference
	var two []pod // the one that has more of it first
	for _, f := range found.pods {
		switch {
		case len(f.functions) == 0:
		case f.functions[0].more() && f.functions[0].by() > most.by():
			most, two = f.functions[0], append([]pod{f.pod}, two...)
		default:
			two = append(two, f.pod)
		}
	}
	if len(two) < 2 {
		return "their shares differ no more than chance would have it, or by little"
	}
	pods := [2]string{printed(g.members[two[0].member].Pod), printed(g.members[two[1].member].Pod)}
	return fmt.Sprintf("they differ most where %s %s, %s %s", pods[0], wordsOf(g.kind).in(most), pods[1], figures.Percent(most.typical))
}
