package store

import (
	"encoding/json"
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
	if len(r.Capture.History.Local) != gopprof.MaxHistory {
		t.Error("the caller's report was changed")
	}
}

// What the index holds of a report does not grow with what its profiles say: a thousand of a
// hostile target's are held for as long as the process lives.
func TestTheIndexHoldsNoProfiles(t *testing.T) {
	const most = 4 << 10 // bytes of an entry; a genuine one has some 800
	for seed := range uint64(3) {
		r := verboseReport(seed)
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) < 250<<10 {
			t.Fatalf("report.json of %d bytes: not verbose", len(data))
		}
		e, err := newEntry(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(e.packed) > most {
			t.Errorf("%d bytes in the index, of a report.json of %d; want %d at most", len(e.packed), len(data), most)
		}
		listed, err := e.report()
		if err != nil {
			t.Fatal(err)
		}
		if data := written(t, listed); len(data) > 2*most {
			t.Errorf("%d bytes in a list, want %d at most", len(data), 2*most)
		}
	}
}

// verboseReport is a report whose profiles have as much to say as they can, of every kind and
// beside a quiet pod: names and paths as long as they are kept, which nothing compresses.
func verboseReport(seed uint64) gopprof.Report {
	random := rand.New(rand.NewPCG(seed, 1))
	text := func() string {
		name := make([]byte, 500)
		for i := range name {
			name[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[random.IntN(64)]
		}
		return string(name)
	}
	r := gopprof.Report{Version: gopprof.ReportVersion, ID: someID, Capture: gopprof.Capture{ID: someID}}
	cause := gopprof.Cause{Line: text(), Function: text(), Path: []string{text(), text()}, Proof: []gopprof.Proof{{What: text()}}}
	r.Explanation.Verdict = &gopprof.Verdict{Causes: []gopprof.Cause{cause, cause}}
	for _, kind := range gopprof.Kinds() {
		top, difference := gopprof.TopFunctions{Kind: kind}, gopprof.Difference{Kind: kind, Note: text()}
		for range 40 {
			top.Functions = append(top.Functions, gopprof.Function{Name: text(), File: text()})
		}
		for range 10 {
			difference.Functions = append(difference.Functions, gopprof.Growth{Function: text(), File: text()})
		}
		r.Explanation.Profiles = append(r.Explanation.Profiles, top)
		r.Explanation.Differences = append(r.Explanation.Differences, difference)
		r.Capture.Profiles = append(r.Capture.Profiles, gopprof.Profile{Kind: kind})
	}
	return r
}
