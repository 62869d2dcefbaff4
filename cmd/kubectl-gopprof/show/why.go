package show

import (
	"fmt"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Why tells a verdict in lines: each cause with how sure it is, the function to look at
// first, and how far the trouble reaches. Nil of a report without a verdict.
func Why(v *gopprof.Verdict) []string {
	if v == nil {
		return nil
	}
	var lines []string
	for _, c := range v.Causes {
		line := fmt.Sprintf("why (%s): %s", c.Confidence, c.Line)
		if c.Function != "" {
			line += "; look first at " + c.Function
		}
		lines = append(lines, Clean(line))
	}
	if len(v.Causes) == 0 {
		lines = append(lines, "why: no cause could be named")
	}
	if s := scope(v.Scope); s != "" {
		lines = append(lines, Clean("scope: "+s))
	}
	return lines
}

func scope(s gopprof.Scope) string {
	switch s {
	case gopprof.ScopePod:
		return "this pod, others of its workload are quiet"
	case gopprof.ScopeWorkload:
		return "the whole workload: load or a release, not this pod"
	case gopprof.ScopeUnknown:
		return "not known, nothing is known of other pods"
	}
	return string(s)
}
