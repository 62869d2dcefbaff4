package operations

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/buckettest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

const fuzzID = "019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071"

// FuzzOperation gives what comes to every reader of records. Whatever the record of an
// operation has become, it is read with states that have a name, or refused; and a capture of
// it can still be stored. Whatever a key's or the switch's has become, see checkClaim and
// checkPause.
func FuzzOperation(f *testing.F) {
	good, err := json.Marshal(gopprof.Operation{ID: fuzzID, Who: "mia", Captures: []gopprof.OperationCapture{{Capture: fuzzID, State: gopprof.CaptureWaiting}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte(`{"at":"9999-12-31T23:59:59Z","captures":[{},{"state":"x","until":"0001-01-01T00:00:01Z"}]}`))
	controlSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		checkClaim(t, data)
		checkPause(t, data)
		kv := buckettest.NewKV()
		if _, err := kv.Create(t.Context(), fuzzID, data); err != nil {
			t.Fatal(err)
		}
		k := New(DefaultConfig(), Deps{Records: kv, Keys: kv, Control: kv, Selector: selector}, nop(), registry())
		k.watched(fuzzID, data, 1)
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

// controlSeeds are records of keys and of the switch, and names in every record.
func controlSeeds(f *testing.F) {
	f.Helper()
	for _, m := range []gopprof.Manual{fuzzAsked, fuzzAlert} {
		for _, id := range []string{fuzzID, "x", ""} {
			data, err := json.Marshal(claimed{Operation: id, Request: requestSum(m)})
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte(`{"operation":"` + fuzzID + `","request":"of another"}`))
	for _, name := range hostile.Names() {
		named, err := json.Marshal(gopprof.Operation{ID: fuzzID, Who: name, Captures: []gopprof.OperationCapture{{
			Capture: fuzzID, Target: gopprof.Target{Cluster: name, Node: name, Pod: name}, State: gopprof.CaptureState(name), Reason: gopprof.Reason(name), Detail: name,
		}}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(named)
		data, err := json.Marshal(gopprof.Pause{Paused: true, Who: name, Why: name, At: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		claim, err := json.Marshal(claimed{Operation: name, Request: name})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(claim)
	}
	for _, s := range []string{"", "null", "[]", `{"paused":1}`, `{"paused":false,"at":"x"}`, `{"paused":true,"at":"0000-01-01T00:00:00+23:59"}`} {
		f.Add([]byte(s))
	}
}

// What is asked for under a key, by somebody and by an alert.
var (
	fuzzAsked = gopprof.Manual{Who: "mia", Namespace: "shop", Pod: "web-1", Key: "once"}
	fuzzAlert = gopprof.Manual{Alert: &gopprof.Alert{Name: "Hot"}, Namespace: "shop", Pod: "web-1", Key: "once"}
)

// checkClaim checks that what is kept under a key leads to an operation only when it is the
// same request's, and that no second operation is made beside one that may be there.
func checkClaim(t *testing.T, data []byte) {
	t.Helper()
	for _, m := range []gopprof.Manual{fuzzAsked, fuzzAlert} {
		kv := buckettest.NewKV()
		if _, err := kv.Create(t.Context(), claimKey(m), data); err != nil {
			t.Fatal(err)
		}
		k := New(DefaultConfig(), Deps{Records: kv, Keys: kv, Control: kv, Selector: selector}, nop(), registry())
		first, _, err := k.readClaim(t.Context(), m)
		if errors.Is(err, bus.ErrNoKey) {
			t.Errorf("what is there is not: %v", err)
		}
		if err == nil && (gopprof.CheckID(first.Operation) != nil || first.Request != requestSum(m)) {
			t.Errorf("%+v is taken for that of %+v", first, m)
		}
		id, claiming := k.claim(t.Context(), m)
		if (claiming == nil) != (err == nil) || id != first.Operation {
			t.Errorf("read as %+v, %v; claimed %q, %v", first, err, id, claiming)
		}
		if op, asking := k.askedBefore(t.Context(), m); op.ID != "" || (asking == nil) != (err == nil) {
			t.Errorf("operation %+v, %v, of the key %v", op, asking, err)
		}
		if kv.Writes() != 1 {
			t.Errorf("%d writes", kv.Writes())
		}
	}
}

// checkPause checks that the switch, as it is read, can be shown, that what cannot be read
// leaves it as it was, and that it can be switched again.
func checkPause(t *testing.T, data []byte) {
	t.Helper()
	for _, was := range []bool{false, true} {
		kv := buckettest.NewKV()
		k := New(DefaultConfig(), Deps{Records: kv, Keys: kv, Control: kv, Nodes: newLab(t), Selector: selector}, nop(), registry())
		if _, err := k.SetPause(t.Context(), gopprof.Pause{Paused: was}); err != nil {
			t.Fatal(err)
		}
		revision, err := kv.Update(t.Context(), pauseKey, data, 1)
		if err != nil {
			t.Fatal(err)
		}
		k.watchedControl(pauseKey, data, revision)
		s, err := k.Pause(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !says(data, "paused") && s.Paused != was {
			t.Errorf("paused: %v, then %v by what does not say so", was, s.Paused)
		}
		if _, err := json.Marshal(s); err != nil {
			t.Errorf("cannot be shown: %v", err)
		}
		if because := pausedBecause(s.Pause); len(because) > 200+len(data)*3 || s.Paused != k.Paused() {
			t.Errorf("%v: %s", k.Paused(), because)
		}
		if _, err := k.SetPause(t.Context(), gopprof.Pause{Paused: !s.Paused}); err != nil || k.Paused() == s.Paused {
			t.Errorf("not switched: %v", err)
		}
	}
}

// says tells whether there is a field of that name at all.
func says(data []byte, field string) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return false
	}
	for name := range fields {
		if strings.EqualFold(name, field) {
			return true
		}
	}
	return false
}
