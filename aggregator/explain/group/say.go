package group

import (
	"math"
	"strings"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/figures"
)

// parts returns each pod's part of the sum, in the order of the members.
func (g *group) parts(pods []pod) []api.MergedPod {
	sum := 0.0
	for _, p := range pods {
		if p.merged {
			sum += float64(p.total)
		}
	}
	out := []api.MergedPod{}
	for _, p := range pods {
		if !p.merged {
			continue
		}
		m := g.members[p.member]
		part := api.MergedPod{Pod: m.Pod, Report: m.Report, Total: known(rate(g.kind, p))}
		if sum > 0 {
			part.Share = float64(p.total) / sum
		}
		out = append(out, part)
	}
	return out
}

// known is 0 for a number that is not: JSON has no other.
func known(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

// outliers returns the pods that differ. Of two whose shares were compared with each other
// neither is one, but for its total.
func (g *group) outliers(found findings) []api.Outlier {
	out := []api.Outlier{}
	for _, f := range found.pods {
		if found.pair() {
			f.functions = nil
		}
		if !f.byTotal && found.pair() {
			continue
		}
		m := g.members[f.pod.member]
		o := api.Outlier{Pod: m.Pod, Report: m.Report, Total: known(f.rate), Typical: known(f.typicalRate), Summary: g.summary(f)}
		for _, d := range f.functions {
			o.Functions = append(o.Functions, api.OutlyingFunction{Function: d.function, Share: d.share, Typical: d.typical})
		}
		out = append(out, o)
	}
	return out
}

// summary writes the line of an outlier: what it does differently, then how much it does.
func (g *group) summary(f finding) string {
	var says []string
	if len(f.functions) > 0 {
		d := f.functions[0]
		says = append(says, wordsOf(g.kind).in(d)+", the others "+figures.Percent(d.typical))
	}
	if f.byTotal {
		says = append(says, wordsOf(g.kind).times(f.rate, f.typicalRate))
	}
	if len(says) == 0 {
		says = append(says, "differs from the others in functions that none of the merged profiles has")
	}
	return "pod " + printed(g.members[f.pod.member].Pod) + " " + strings.Join(says, "; it ")
}
