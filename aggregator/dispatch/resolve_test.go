package dispatch

import (
	"strings"
	"testing"
	"time"

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

// The longest capture by hand that may be asked for counts as running until it is over.
func TestLongManualCaptureKeepsItsPlace(t *testing.T) {
	d, c := manualScene(&agents{})
	d.cfg = DefaultConfig()
	d.cfg.Manual.AtOnce, d.cfg.Manual.MaxDuration = 1, 5*time.Minute
	long := manual("web-1")
	long.Kinds, long.CPUSeconds = []gopprof.Kind{gopprof.KindCPU, gopprof.KindTrace}, d.cfg.Manual.MaxDuration.Seconds()
	if _, err := d.Capture(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	c.add(d.cfg.Manual.StartWithin + 2*d.cfg.Manual.MaxDuration)
	if _, err := admitted(t, d); gopprof.ReasonOf(err) != gopprof.ReasonBudget {
		t.Errorf("while it may still run: %v", err)
	}
	c.add(d.cfg.Manual.ArriveWithin + time.Second)
	if _, err := admitted(t, d); err != nil {
		t.Errorf("long after it: %v", err)
	}
}

// admitted asks for a capture of a node that was heard of just now.
func admitted(t *testing.T, d *Dispatcher) (gopprof.Operation, error) {
	t.Helper()
	d.Observe(gopprof.NodeState{Cluster: "c", Node: "b", Targets: []gopprof.TargetState{{Target: target("b", "db-0", "main")}}})
	return d.Capture(t.Context(), manual("db-0"))
}
