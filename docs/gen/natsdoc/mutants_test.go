package natsdoc

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// mutant is an event with one thing changed.
type mutant struct {
	path   string // in the data: ".capture.target.node"
	field  string // "Type.json name", of the innermost struct
	change string
	kind   reflect.Type // of the field
	event  any

	optional bool // as its tag says to encoding/json
}

// Whether the field must be there, may be null, or is a word of a closed set.
func (m mutant) required() bool { return !m.optional }
func (m mutant) nullable() bool {
	return m.required() && (m.kind.Kind() == reflect.Slice || m.kind.Kind() == reflect.Map)
}
func (m mutant) closed() bool {
	return m.kind.Kind() == reflect.String && m.kind != reflect.TypeFor[string]()
}

func (m mutant) String() string { return m.path + ": " + m.change }

// mutants yields an event with one change in its data after the other. Of lists the first
// element is changed.
func mutants(event any, noun reflect.Type) func(yield func(mutant) bool) {
	return func(yield func(mutant) bool) {
		w := &walk{event: event, yield: yield}
		data := event.(map[string]any)["data"].(map[string]any)
		w.structure("", data, noun)
	}
}

type walk struct {
	event any
	yield func(mutant) bool
	done  bool
}

// structure visits the members of an object that encoding/json made of a struct.
func (w *walk) structure(path string, object map[string]any, t reflect.Type) {
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		value, ok := object[name]
		if !ok || name == "" || name == "-" {
			continue
		}
		m := mutant{path: path + "." + name, field: t.Name() + "." + name, kind: t.Field(i).Type, event: w.event, optional: strings.Contains(options, "omit")}
		to := changes(value)
		for _, change := range slices.Sorted(maps.Keys(to)) {
			object[name] = to[change]
			w.emit(m, change)
			object[name] = value
		}
		delete(object, name)
		w.emit(m, "left out")
		object[name] = value
		w.below(m.path, value, m.kind)
	}
}

func (w *walk) below(path string, value any, t reflect.Type) {
	switch v := value.(type) {
	case map[string]any:
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() == reflect.Struct {
			w.structure(path, v, t)
		}
	case []any:
		if len(v) > 0 {
			w.below(path, v[0], t.Elem())
		}
	}
}

func (w *walk) emit(m mutant, change string) {
	m.change = change
	if !w.done && !w.yield(m) {
		w.done = true
	}
}

// changes are what a value is replaced by.
func changes(value any) map[string]any {
	out := map[string]any{"null": nil}
	switch v := value.(type) {
	case string:
		maps.Copy(out, map[string]any{"another type": json.Number("7"), "empty": "", "no word": "no-such-word", "line break": v + "\n", "turned": "\u202e" + v, "upper case": strings.ToUpper(v)})
		for _, n := range []int{64, 65, 253, 254, 1024, 1025, 1026} {
			out[fmt.Sprintf("%d characters", n)] = strings.Repeat("x", n)
		}
	case json.Number:
		out["another type"] = "x"
		for _, n := range []json.Number{"-1", "0", "1", "2", "0.25", "86400", "86401", "2000000000000000000"} {
			out[n.String()] = n
		}
	case bool:
		maps.Copy(out, map[string]any{"another type": "x", "not": !v})
	case []any:
		maps.Copy(out, map[string]any{"another type": "x", "empty": []any{}})
		for _, n := range []int{8, 9, 20, 21, 400, 401, 500, 501} {
			if n < 100 || light(v) { // a long list of what is large is too large for a message
				out[fmt.Sprintf("%d elements", n)] = slices.Repeat(v[:min(1, len(v))], n)
			}
		}
	case map[string]any:
		maps.Copy(out, map[string]any{"another type": "x", "nobody's member": with(v, "nobodys", "x"), "a separator": with(v, "a,b", "x"), "65 members": many(65), "64 members": many(64), "empty": map[string]any{}})
	}
	return out
}

// light tells whether the elements hold no others.
func light(list []any) bool {
	if len(list) == 0 {
		return false
	}
	object, _ := list[0].(map[string]any)
	for _, v := range object {
		switch v.(type) {
		case map[string]any, []any:
			return false
		}
	}
	return true
}

func with(object map[string]any, key string, value any) map[string]any {
	out := maps.Clone(object)
	out[key] = value
	return out
}

func many(n int) map[string]any {
	out := map[string]any{}
	for i := range n {
		out[fmt.Sprint("k", i)] = "v"
	}
	return out
}
