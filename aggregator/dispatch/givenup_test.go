package dispatch

import (
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Whoever asked for a capture that ends among the dead letters is told why, and not that
// nothing was heard; when it is replayed, it is stored after all.
func TestOperationOfADeadLetterEndsWithItsReason(t *testing.T) {
	d, c := manualScene(&agents{})
	op, err := d.Capture(t.Context(), manual("web-1"))
	if err != nil {
		t.Fatal(err)
	}
	capture := stored(op).Capture
	for range 2 {
		if err := d.GivenUp(t.Context(), capture, gopprof.ReasonWorkerDied, strings.Repeat("3 workers ", 1000)); err != nil {
			t.Fatal(err)
		}
	}
	c.add(time.Hour)
	op, err = d.Operation(t.Context(), op.ID)
	oc := op.Captures[0]
	if err != nil || oc.State != gopprof.CaptureFailed || oc.Reason != gopprof.ReasonWorkerDied || !strings.Contains(oc.Detail, "3 workers") || len(oc.Detail) > 500 {
		t.Errorf("%.600v, %v", oc, err)
	}
	if err := d.Stored(t.Context(), stored(op)); err != nil {
		t.Fatal(err)
	}
	if op, err = d.Operation(t.Context(), op.ID); err != nil || op.Captures[0].State != gopprof.CaptureStored {
		t.Errorf("replayed: %+v, %v", op, err)
	}
}
