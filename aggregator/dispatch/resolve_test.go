package dispatch

import (
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Why a target may not be profiled is an agent's word: one that is known is passed on, any
// other becomes no metric's label and no status of an answer, and no word is without end.
func TestRefusedTarget(t *testing.T) {
	for said, want := range map[gopprof.Reason]gopprof.Reason{
		gopprof.ReasonTerminating: gopprof.ReasonTerminating, gopprof.ReasonInvalidEndpoint: gopprof.ReasonInvalidEndpoint,
		"made up": gopprof.ReasonUnknown, "": gopprof.ReasonUnknown,
	} {
		target := gopprof.Target{Namespace: "shop", Pod: "web-1"}
		nodes := []gopprof.NodeState{{Refused: []gopprof.Refusal{{Target: target, Reason: said, Detail: strings.Repeat("x", 10_000)}}}}
		_, err := resolve(nodes, Manual{Namespace: "shop", Pod: "web-1"})
		if got := gopprof.ReasonOf(err); got != want {
			t.Errorf("%q became %q", said, got)
		}
		if len(err.Error()) > 1000 {
			t.Errorf("%q: %d bytes", said, len(err.Error()))
		}
	}
}
