package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
	"github.com/gopprof/gopprof/test/hostile"
)

// FuzzDecode gives what comes to every decoder, for each may be sent another's message.
func FuzzDecode(f *testing.F) {
	messages, err := filepath.Glob("testdata/*.json")
	if err != nil || len(messages) == 0 {
		f.Fatal("no golden messages: ", err)
	}
	for _, golden := range messages {
		seeds(f, golden)
	}
	from := wire.From{Cluster: "prod", Node: "node-1"}
	decoders := map[string]func(*testing.T, []byte){
		"capture":         keeps(wire.DecodeCapture, wire.EncodeCapture),
		"report":          keeps(wire.DecodeReport, wire.EncodeReport),
		"firing":          keeps(wire.DecodeFiring, wire.EncodeFiring),
		"state":           keeps(func(data []byte) (gopprof.NodeState, error) { s, _, err := wire.DecodeState(data); return s, err }, wire.EncodeState),
		"capture request": keeps(wire.DecodeCaptureRequest, wire.EncodeCaptureRequest),
		"cancel request":  keeps(wire.DecodeCancelRequest, wire.EncodeCancelRequest),
		"status request":  keeps(wire.DecodeStatusRequest, wire.EncodeStatusRequest),
		"pause request":   keeps(wire.DecodePauseRequest, wire.EncodePauseRequest),
		"decision":        keeps(decodeDecision, func(d gopprof.Decision) ([]byte, error) { return wire.EncodeDecision(captureID, d) }),
		"capture reply":   keeps(decodeReply, func(r gopprof.CaptureReply) ([]byte, error) { return wire.EncodeCaptureReply(from, captureID, r) }),
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, decode := range decoders {
			t.Log(name) // shown when it fails
			decode(t, data)
		}
	})
}

// keeps checks one decoder: what it takes must be written and read again without a change,
// what it refuses must be refused by name,
// in few words.
func keeps[T any](decode func([]byte) (T, error), encode func(T) ([]byte, error)) func(*testing.T, []byte) {
	return func(t *testing.T, data []byte) {
		noun, err := decode(data)
		if err != nil {
			if !named(err) {
				t.Fatalf("an error without a name: %v", err)
			}
			if said := err.Error(); len(said) > 2000 {
				t.Fatalf("an error of %d bytes: %.200s", len(said), said)
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
	}
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
	data, err := os.ReadFile(golden)
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
	// An error that would have quoted it.
	f.Add(bytes.ReplaceAll(data, []byte("2026"), bytes.Repeat([]byte("\xff"), 4000)))
	for _, s := range []string{"", "null", "{}", "[]", `{"specversion":"1.0"}`, `{"data":{}}`, "\x00", `{"id":"\ud800"}`} {
		f.Add([]byte(s))
	}
}
