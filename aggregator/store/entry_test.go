package store

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// What the index holds of a report does not grow with its History.
func TestTheIndexHoldsNoHistory(t *testing.T) {
	r := gopprof.Report{Version: gopprof.ReportVersion, ID: someID}
	bare, err := newEntry(r)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	at := time.Date(2026, 11, 14, 12, 0, 0, 0, time.UTC)
	for range gopprof.MaxHistory {
		at = at.Add(10 * time.Second)
		r.Capture.History.Local = append(r.Capture.History.Local, gopprof.Point{Start: at.Add(-10 * time.Second), End: at, HasCPU: true, CPUCores: rnd.Float64()})
	}
	full, err := newEntry(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(full.packed) != len(bare.packed) {
		t.Errorf("%d bytes, without a history %d", len(full.packed), len(bare.packed))
	}
	if full.whole || !bare.whole {
		t.Errorf("whole: with a history %v, without %v", full.whole, bare.whole)
	}
	if len(r.Capture.History.Local) != gopprof.MaxHistory {
		t.Error("the caller's report was changed")
	}
}
