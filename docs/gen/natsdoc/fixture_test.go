package natsdoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gopprof/gopprof/docs/gen/source"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

const (
	root  = "../../.."
	docs  = root + "/docs"
	anID  = "019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071"
	theID = "019a2b3c-0000-7abc-9def-000000000001"
)

// codec is how pkg/wire writes and reads one type of message.
type codec struct {
	noun   reflect.Type
	encode func(noun any) ([]byte, error)
	decode func(event []byte) (noun any, err error)
}

func codecOf[T any](encode func(T) ([]byte, error), decode func([]byte) (T, error)) codec {
	return codec{
		reflect.TypeFor[T](),
		func(noun any) ([]byte, error) { return encode(noun.(T)) },
		func(event []byte) (any, error) { return decode(event) },
	}
}

// codecs of all messages, by name.
func codecs() map[string]codec {
	decision := func(d gopprof.Decision) ([]byte, error) { return wire.EncodeDecision(anID, d) }
	reply := func(r gopprof.CaptureReply) ([]byte, error) {
		return wire.EncodeCaptureReply(wire.From{Cluster: "prod", Node: "node-1.eu"}, anID, r)
	}
	state := func(b []byte) (gopprof.NodeState, error) {
		s, left, err := wire.DecodeState(b)
		return s, errors.Join(append(left, err)...)
	}
	return map[string]codec{
		"report": codecOf(wire.EncodeReport, wire.DecodeReport), "capture": codecOf(wire.EncodeCapture, wire.DecodeCapture),
		"firing": codecOf(wire.EncodeFiring, wire.DecodeFiring), "state": codecOf(wire.EncodeState, state),
		"decision":        codecOf(decision, func(b []byte) (gopprof.Decision, error) { return wire.DecodeDecision(anID, b) }),
		"capture-request": codecOf(wire.EncodeCaptureRequest, wire.DecodeCaptureRequest),
		"cancel-request":  codecOf(wire.EncodeCancelRequest, wire.DecodeCancelRequest),
		"status-request":  codecOf(wire.EncodeStatusRequest, wire.DecodeStatusRequest),
		"pause-request":   codecOf(wire.EncodePauseRequest, wire.DecodePauseRequest),
		"capture-reply":   codecOf(reply, func(b []byte) (gopprof.CaptureReply, error) { return wire.DecodeCaptureReply(anID, b) }),
	}
}

// full returns the event of a noun of which every field says something.
func full(t *testing.T, name string) []byte {
	t.Helper()
	c := codecs()[name]
	v := reflect.New(c.noun).Elem()
	(&filler{words(t), time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC)}).fill(v, "")
	event, err := c.encode(v.Interface())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return event
}

// filler puts something into each field.
type filler struct {
	words map[string][]string
	now   time.Time // later with each field that is a time
}

func (f *filler) fill(v reflect.Value, field string) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		f.now = f.now.Add(time.Second)
		v.Set(reflect.ValueOf(f.now))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if tag := v.Type().Field(i).Tag.Get("json"); tag != "" && tag != "-" {
				f.fill(v.Field(i), v.Type().Field(i).Name)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), field)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		f.fill(v.Index(0), field)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"key": "value"}))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.String:
		v.SetString(f.text(v.Type().Name(), field))
	}
}

func (f *filler) text(kind, field string) string {
	switch {
	case field == "SeriesBy":
		return string(gopprof.WitnessHeapster)
	case kind != "string":
		words := f.words[kind]
		return words[len(words)-1] // the first may be the empty one
	case field == "SHA256":
		return strings.Repeat("0f", 32)
	case field == "ID", field == "Capture":
		return anID
	case field == "Incident", field == "Operation":
		return theID
	}
	return "x"
}

var readNouns = sync.OnceValues(func() (*source.Package, error) { return source.Read(filepath.Join(root, "pkg", "gopprof")) })

// words are those of all closed sets, by the name of their type.
func words(t *testing.T) map[string][]string {
	t.Helper()
	nouns, err := readNouns()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for name, set := range nouns.Sets {
		for _, w := range set.Words {
			out[name] = append(out[name], w.Value)
		}
	}
	return out
}

// examples returns events of a type that pkg/wire takes: its goldens, those of before and of
// alerts, and one of which every field says something.
func examples(t *testing.T, name string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{"full": full(t, name)}
	for _, file := range []string{name, "before/" + name, name + "-alert"} {
		path := filepath.Join(root, "pkg", "wire", "testdata", file+".json")
		if data, err := os.ReadFile(path); err == nil {
			out[path] = data
		} else if file == name {
			t.Fatal(err)
		}
	}
	return out
}

// schemaOf compiles the schema of a message as it lies in the tree; of another draft, if one
// is given.
func schemaOf(t *testing.T, name string, draft ...string) *jsonschema.Schema {
	t.Helper()
	path := filepath.Join(docs, "schemas", name+".json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range draft {
		data = bytes.Replace(data, []byte("https://json-schema.org/draft/2020-12/schema"), []byte(d), 1)
	}
	return compile(t, path, data)
}

func compile(t *testing.T, path string, data []byte) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(path, parsed(t, data)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parsed(t *testing.T, data []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func written(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
