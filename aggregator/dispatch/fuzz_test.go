package dispatch

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/bus/buckettest"
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
	f.Add([]byte(`{"grants":[{"c":"` + firing("web", "cpu", noon).Capture + `","i":"x"},{"t":"9999-12-31T23:59:59Z"},{"e":"0001-01-01T00:00:00Z"}]}`))
	f.Add([]byte("{broken"))
	for _, junk := range []string{"\x9b", "<"} { // found by fuzzing: it grew when it was written again
		junk = strings.Repeat(junk, 4000)
		f.Add([]byte(`{"grants":[{"c":"` + junk + `","i":"` + junk + `"}]}`))
		f.Add([]byte(`{"grants":[{"c":"` + firing("web", "cpu", noon).Capture + `","i":"` + idAt(noon) + `","w":"` + junk + `","t":"` + noon.Format(time.RFC3339) + `"}]}`))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, budget := newClock(), buckettest.NewKV()
		if _, err := budget.Create(t.Context(), ledgerKey, data); err != nil {
			t.Fatal(err)
		}
		d := newDispatcher(testConfig(), c.deps(budget))
		x := firing("web", "cpu", noon)
		first := d.Decide(t.Context(), x)
		if !first.Go && first.Reason == "" {
			t.Errorf("answer %+v", first)
		}
		if again := d.Decide(t.Context(), x); again != first {
			t.Errorf("answer %+v, then %+v", first, again)
		}
		if written, _, err := budget.Get(t.Context(), ledgerKey); err != nil || budget.Writes() > 1 && (!json.Valid(written) || len(written) > 2*len(data)+1000) {
			t.Errorf("written: %.300q, %v", written, err)
		}
	})
}
