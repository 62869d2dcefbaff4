package operations

import (
	"encoding/json"
	"testing"

	"github.com/gopprof/gopprof/pkg/bus/buckettest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const fuzzID = "019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071"

// FuzzOperation: whatever the record of an operation has become, it is read with states
// that have a name, or refused; and a capture of it can still be stored.
func FuzzOperation(f *testing.F) {
	good, err := json.Marshal(gopprof.Operation{ID: fuzzID, Who: "mia", Captures: []gopprof.OperationCapture{{Capture: fuzzID, State: gopprof.CaptureWaiting}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte(`{"at":"9999-12-31T23:59:59Z","captures":[{},{"state":"x","until":"0001-01-01T00:00:01Z"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		kv := buckettest.NewKV()
		if _, err := kv.Create(t.Context(), fuzzID, data); err != nil {
			t.Fatal(err)
		}
		k := New(DefaultConfig(), Deps{Records: kv, Keys: kv, Control: kv, Selector: selector}, nop(), registry())
		k.watched(fuzzID, data, 1)
		k.watchedControl(pauseKey, data, 1)
		k.Operations()
		op, err := k.Operation(t.Context(), fuzzID)
		if err != nil {
			return
		}
		for i, oc := range op.Captures {
			if oc.Capture == "" {
				continue
			}
			if _, err := k.advanceCapture(t.Context(), fuzzID, oc.Capture, gopprof.OperationCapture{State: gopprof.CaptureStored, Report: oc.Capture}); err != nil {
				t.Fatal(err)
			}
			if op, err = k.Operation(t.Context(), fuzzID); err != nil || op.Captures[i].State != gopprof.CaptureStored {
				t.Errorf("%v, %+v", err, op)
			}
			return
		}
	})
}
