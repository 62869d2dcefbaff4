package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
	"github.com/gopprof/gopprof/test/hostile"
)

// fuzz feeds one decoder: what it takes must be written and read again without a change,
// what it refuses must be refused by name.
func fuzz[T any](f *testing.F, golden string, decode func([]byte) (T, error), encode func(T) ([]byte, error)) {
	seeds(f, golden)
	f.Fuzz(func(t *testing.T, data []byte) {
		noun, err := decode(data)
		if err != nil {
			if !named(err) {
				t.Fatalf("an error without a name: %v", err)
			}
			return
		}
		first, err := encode(noun)
		if errors.Is(err, wire.ErrTooLarge) { // escaping made it longer
			return
		}
		if err != nil {
			t.Fatalf("taken and not written again: %v", err)
		}
		again, err := decode(first)
		if err != nil {
			t.Fatalf("written and not read again: %v", err)
		}
		if second, err := encode(again); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("changed on its way, %v:\n%s\n%s", err, first, second)
		}
	})
}

func named(err error) bool {
	for _, name := range []error{wire.ErrTooLarge, wire.ErrMalformed, wire.ErrType, wire.ErrVersion, wire.ErrID, wire.ErrInvalid} {
		if errors.Is(err, name) {
			return true
		}
	}
	return false
}

func seeds(f *testing.F, golden string) {
	f.Helper()
	data, err := os.ReadFile("testdata/" + golden + ".json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	for _, old := range []string{captureID, incidentID, `"node-1.eu"`, "2026", "0.93", "cpu", `"1.0"`, `"heapster"`, "0.4567", "0.25", "5d9f7c", `"off"`, "30"} {
		f.Add(bytes.ReplaceAll(data, []byte(old), []byte(`"`)))
		f.Add(bytes.ReplaceAll(data, []byte(old), []byte("-1e999")))
	}
	for _, name := range hostile.Names() {
		for _, old := range []string{"cart", "404 <not found>"} {
			quoted, err := json.Marshal(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(bytes.ReplaceAll(data, []byte(`"`+old+`"`), quoted))
		}
	}
	// Found by fuzzing: an empty list where there is none.
	f.Add(bytes.Replace(data, []byte(`"start":`), []byte(`"agreement":{"compared":[]},"start":`), 1))
	f.Add(bytes.Replace(data, []byte(`"start":`), []byte(`"history":{"local":[],"series":[]},"start":`), 1))
	for _, s := range []string{"", "null", "{}", "[]", `{"specversion":"1.0"}`, `{"data":{}}`, "\x00", `{"id":"\ud800"}`} {
		f.Add([]byte(s))
	}
}

func FuzzDecodeCapture(f *testing.F) { fuzz(f, "capture", wire.DecodeCapture, wire.EncodeCapture) }

func FuzzDecodeAlertCapture(f *testing.F) {
	fuzz(f, "capture-alert", wire.DecodeCapture, wire.EncodeCapture)
}

func FuzzDecodeAlertRequest(f *testing.F) {
	fuzz(f, "capture-request-alert", wire.DecodeCaptureRequest, wire.EncodeCaptureRequest)
}

func FuzzDecodeReport(f *testing.F) { fuzz(f, "report", wire.DecodeReport, wire.EncodeReport) }

func FuzzDecodeFiring(f *testing.F) { fuzz(f, "firing", wire.DecodeFiring, wire.EncodeFiring) }

func FuzzDecodeState(f *testing.F) { fuzz(f, "state", wire.DecodeState, wire.EncodeState) }

func FuzzDecodeCaptureRequest(f *testing.F) {
	fuzz(f, "capture-request", wire.DecodeCaptureRequest, wire.EncodeCaptureRequest)
}

func FuzzDecodeCancelRequest(f *testing.F) {
	fuzz(f, "cancel-request", wire.DecodeCancelRequest, wire.EncodeCancelRequest)
}

func FuzzDecodeStatusRequest(f *testing.F) {
	fuzz(f, "status-request", wire.DecodeStatusRequest, wire.EncodeStatusRequest)
}

func FuzzDecodePauseRequest(f *testing.F) {
	fuzz(f, "pause-request", wire.DecodePauseRequest, wire.EncodePauseRequest)
}

func FuzzDecodeDecision(f *testing.F) {
	fuzz(f, "decision", decodeDecision, func(d gopprof.Decision) ([]byte, error) { return wire.EncodeDecision(captureID, d) })
}

func FuzzDecodeCaptureReply(f *testing.F) {
	from := wire.From{Cluster: "prod", Node: "node-1"}
	fuzz(f, "capture-reply", decodeReply, func(r gopprof.CaptureReply) ([]byte, error) { return wire.EncodeCaptureReply(from, captureID, r) })
}
