package dispatch

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// FuzzLedger: whatever the ledger has become, agents get an answer, the same one again, and
// what is written then is a ledger that a message holds.
func FuzzLedger(f *testing.F) {
	l := ledger{}.with(grant{Capture: idAt(noon), Incident: idAt(noon), Workload: "c/n/k/web", Rule: "cpu", At: noon}, testConfig(), noon)
	good, err := json.Marshal(l)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"grants":[{"c":"` + firing("web", "cpu", noon).Capture + `","i":"x"},{"t":"9999-12-31T23:59:59Z"},{"e":"0001-01-01T00:00:00Z","m":true}]}`))
	f.Add([]byte("{broken"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, budget := newClock(), newMemory()
		if _, err := budget.Create(t.Context(), ledgerKey, data); err != nil {
			t.Fatal(err)
		}
		d := newDispatcher(testConfig(), c.deps(budget, newMemory(), nil))
		x := firing("web", "cpu", noon)
		first := d.Decide(t.Context(), x)
		if !first.Go && first.Reason == "" {
			t.Errorf("answer %+v", first)
		}
		if again := d.Decide(t.Context(), x); again != first {
			t.Errorf("answer %+v, then %+v", first, again)
		}
		if written, _, err := budget.Get(t.Context(), ledgerKey); err != nil || budget.writes > 1 && (!json.Valid(written) || len(written) > 2*len(data)+1000) {
			t.Errorf("written: %.300q, %v", written, err)
		}
	})
}

// FuzzOperation: whatever the record of an operation has become, it is read with states
// that have a name, or refused.
func FuzzOperation(f *testing.F) {
	id := idAt(noon)
	good, err := json.Marshal(gopprof.Operation{ID: id, Who: "mia", At: noon, Captures: []gopprof.OperationCapture{{Capture: id, State: gopprof.CaptureWaiting}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte(`{"at":"9999-12-31T23:59:59Z","captures":[{},{"state":"x","until":"0001-01-01T00:00:01Z"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, operations := newClock(), newMemory()
		if _, err := operations.Create(t.Context(), id, data); err != nil {
			t.Fatal(err)
		}
		d := newDispatcher(testConfig(), c.deps(newMemory(), operations, nil))
		op, err := d.Operation(t.Context(), id)
		if err != nil {
			return
		}
		i := slices.IndexFunc(op.Captures, func(oc gopprof.OperationCapture) bool { return oc.Capture != "" })
		if i < 0 {
			return
		}
		done := gopprof.OperationCapture{State: gopprof.CaptureStored, Report: op.Captures[i].Capture}
		op, err = d.advanceOperation(t.Context(), id, op.Captures[i].Capture, done)
		if err != nil || op.Captures[i].State != gopprof.CaptureStored {
			t.Errorf("%v, %+v", err, op)
		}
	})
}
