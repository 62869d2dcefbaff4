// Package configdoc writes the reference of a configuration: the whole file with its
// defaults, each key under its doc comment.
//
// A configuration struct that holds the defaults enters, and the source of its types, for
// their comments; YAML that reads back as those defaults leaves. It must never invent: a
// key without a comment is an error.
package configdoc

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/docs/gen/source"
	"github.com/gopprof/gopprof/pkg/config"
)

// Write returns the reference of the struct in defaults, whose types lie in the module
// whose go.mod is in root.
func Write(root, module string, defaults any) ([]byte, error) {
	w := &writer{comments: &comments{root: root, module: module}}
	v := reflect.New(reflect.TypeOf(defaults)).Elem()
	v.Set(reflect.ValueOf(defaults))
	if err := w.section(v, ""); err != nil {
		return nil, fmt.Errorf("writing the reference of %T: %w", defaults, err)
	}
	return w.out.Bytes(), nil
}

// writer writes YAML line by line.
type writer struct {
	comments *comments
	out      bytes.Buffer
	silent   int            // above 0: what is written has been explained before
	within   []reflect.Type // elements of lists that are being written: one inside itself is not written again
}

// line writes one line below the prefix: blanks, or a comment sign and blanks.
func (w *writer) line(prefix, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.out.WriteString(strings.TrimRight(prefix+text, " ") + "\n")
}

// section writes the keys of a struct.
func (w *writer) section(v reflect.Value, prefix string) error {
	for _, f := range config.Fields(v.Type()) {
		if err := w.explain(v.Type(), f, prefix); err != nil {
			return err
		}
		if err := w.entry(f.Key, v.FieldByIndex(f.Index), prefix); err != nil {
			return err
		}
	}
	return nil
}

// explain writes a field's doc comment, which speaks of the key instead of the field.
func (w *writer) explain(t reflect.Type, f config.Field, prefix string) error {
	if w.silent > 0 {
		return nil
	}
	text, err := w.comments.of(t, f.Index)
	if err != nil {
		return fmt.Errorf("key %q: %w", f.Key, err)
	}
	text = byKeys(text, t, f)
	if !strings.HasSuffix(w.out.String(), "\n\n") && w.out.Len() > 0 && prefix == "" {
		w.out.WriteString("\n")
	}
	for _, line := range strings.Split(text, "\n") {
		w.line(prefix, "# %s", line)
	}
	return nil
}

// byKeys replaces the names of fields in a comment by their keys: the one it begins with,
// and those that can be no other word because a capital stands inside them.
func byKeys(text string, t reflect.Type, f config.Field) string {
	keys := map[string]string{}
	for _, other := range config.Fields(t) {
		keys[t.FieldByIndex(other.Index).Name] = other.Key
	}
	return source.Names(text, t.FieldByIndex(f.Index).Name, keys)
}

// entry writes one key and its value.
func (w *writer) entry(key string, v reflect.Value, prefix string) error {
	t := v.Type()
	if t.Kind() == reflect.Pointer && !config.IsLeaf(t) {
		return w.pointer(key, v, prefix)
	}
	switch {
	case config.IsLeaf(t):
		text, err := scalar(key, v)
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		w.line(prefix, "%s: %s", key, text)
		return nil
	case t.Kind() == reflect.Struct:
		w.line(prefix, "%s:", key)
		return w.section(v, prefix+"  ")
	case t.Kind() == reflect.Slice:
		return w.list(key, v, prefix)
	case t.Kind() == reflect.Map:
		return w.table(key, v, prefix)
	}
	return fmt.Errorf("key %q: no way to write %s", key, t)
}

// pointer writes what v points at; of a nil one, what may be written, as a comment.
func (w *writer) pointer(key string, v reflect.Value, prefix string) error {
	if !v.IsNil() {
		return w.entry(key, v.Elem(), prefix)
	}
	return w.entry(key, newElement(v.Type().Elem()), prefix+"# ")
}

// list writes a list; of an empty one of structs, what an element looks like, as a
// comment.
func (w *writer) list(key string, v reflect.Value, prefix string) error {
	if element := v.Type().Elem(); config.IsLeaf(element) {
		return w.flow(key, v, prefix)
	} else if v.Len() == 0 {
		w.line(prefix, "%s: []", key)
		if slices.Contains(w.within, element) {
			return nil
		}
		return w.element(newElement(element), prefix+"# ")
	}
	w.line(prefix, "%s:", key)
	defer func(silent int) { w.silent = silent }(w.silent)
	for i := range v.Len() {
		if err := w.element(v.Index(i), prefix+"  "); err != nil {
			return err
		}
		w.silent++ // the first element explains the others
	}
	return nil
}

// element writes one element of a list, its first key behind the dash.
func (w *writer) element(v reflect.Value, prefix string) error {
	inner := &writer{comments: w.comments, silent: w.silent, within: append(slices.Clone(w.within), v.Type())}
	if err := inner.section(reflect.Indirect(v), ""); err != nil {
		return err
	}
	lead := "" // of the comments above the first key
	for line := range strings.Lines(strings.ReplaceAll(inner.out.String(), "\n\n", "\n")) {
		if lead == "" && !strings.HasPrefix(line, "#") {
			lead = "- "
		}
		w.line(prefix, "%s%s", lead, strings.TrimSuffix(line, "\n"))
		if lead != "" {
			lead = "  "
		}
	}
	return nil
}

// table writes a map; of an empty one of structs, what an entry looks like, as a comment.
func (w *writer) table(key string, v reflect.Value, prefix string) error {
	if v.Len() == 0 {
		w.line(prefix, "%s: {}", key)
		if element := v.Type().Elem(); !config.IsLeaf(element) && element.Kind() == reflect.Struct {
			return w.entry("NAME", newElement(element), prefix+"# ")
		}
		return nil
	}
	w.line(prefix, "%s:", key)
	defer func(silent int) { w.silent = silent }(w.silent)
	for _, k := range sortedKeys(v) {
		element := reflect.New(v.Type().Elem()).Elem()
		element.Set(v.MapIndex(k))
		if err := w.entry(k.String(), element, prefix+"  "); err != nil {
			return err
		}
		w.silent++
	}
	return nil
}

// newElement is an element as a file that names nothing of it would make it.
func newElement(t reflect.Type) reflect.Value {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	p := reflect.New(t)
	if d, ok := p.Interface().(config.Defaulter); ok {
		d.SetDefaults()
	}
	return p.Elem()
}
