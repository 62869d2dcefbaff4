package show

import (
	"slices"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

func TestWhy(t *testing.T) {
	sure := gopprof.Cause{Confidence: gopprof.ConfidenceSure, Line: "shop.Price takes 71 %", Function: "shop.Price"}
	evil := gopprof.Cause{Confidence: "\x1b[2J", Line: "a\nb\u202e"}
	for name, c := range map[string]struct {
		in   *gopprof.Verdict
		want []string
	}{
		"none":     {nil, nil},
		"no cause": {&gopprof.Verdict{Scope: gopprof.ScopeUnknown}, []string{"why: no cause could be named", "scope: not known, nothing is known of other pods"}},
		"several": {&gopprof.Verdict{Scope: gopprof.ScopePod, Causes: []gopprof.Cause{sure, evil}}, []string{
			"why (sure): shop.Price takes 71 %; look first at shop.Price", "why (\ufffd[2J): a\ufffdb\ufffd", "scope: this pod, others of its workload are quiet"}},
		"of tomorrow": {&gopprof.Verdict{Scope: "node\x07", Causes: []gopprof.Cause{sure}}, []string{
			"why (sure): shop.Price takes 71 %; look first at shop.Price", "scope: node\ufffd"}},
		"no scope": {&gopprof.Verdict{}, []string{"why: no cause could be named"}},
	} {
		if got := Why(c.in); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
