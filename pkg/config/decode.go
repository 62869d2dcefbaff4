package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What one file may hold: aliases can make a short one very large.
const (
	maxValues   = 200_000 // counted each time an alias repeats them
	maxDepth    = 32
	maxMistakes = 200 // that are told
)

// Defaulter is implemented by structs that stand in lists and maps and have defaults of
// their own: each new element starts with them. Elements of other types start empty;
// nothing is ever inherited from an earlier element. A list or map in the file replaces
// the default one as a whole.
type Defaulter interface{ SetDefaults() }

// reader fills a struct from a YAML tree and collects the mistakes on its way.
type reader struct {
	file   string // being read
	errs   Errors
	lines  map[string]int    // of every key that is present
	files  map[string]string // of every key that is present
	wrong  map[string]bool   // keys whose value could not be read
	values int               // visited so far
	depth  int               // of the value being visited
}

// parse reads the files one over the other and checks what has become of them.
func parse(sources []source, into reflect.Value) error {
	first := sources[0].name
	r := &reader{file: first, lines: map[string]int{"": 1}, files: map[string]string{"": first}, wrong: map[string]bool{}}
	for _, s := range sources {
		r.file = s.name
		root, mistake := readTree(s.name, s.data)
		if mistake != nil {
			return Errors{*mistake}
		}
		if root != nil {
			r.value(root, into, "")
		}
	}
	r.check(into, "")
	return r.result()
}

// result returns the mistakes in the order of their lines, each once.
func (r *reader) result() error {
	if len(r.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(r.errs, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	var once Errors
	for _, e := range r.errs {
		if len(once) == maxMistakes {
			return append(once, Error{File: r.file, Line: e.Line, Problem: "and more mistakes from here on"})
		}
		if !slices.Contains(once, e) {
			once = append(once, e)
		}
	}
	return once
}

// mistake records that the value of key could not be read.
func (r *reader) mistake(key, format string, args ...any) {
	r.wrong[key] = true
	r.add(r.lineOf(key), key, fmt.Sprintf(format, args...))
}

// present notes where a key stands.
func (r *reader) present(key string, line int) { r.lines[key], r.files[key] = line, r.file }

// add keeps a mistake; far beyond what is told, no more are kept.
func (r *reader) add(line int, key, problem string) {
	if len(r.errs) < 10*maxMistakes {
		r.errs = append(r.errs, Error{File: r.file, Line: line, Key: key, Problem: problem})
	}
}

// lineOf returns the line of key, or of its nearest present parent.
func (r *reader) lineOf(key string) int { return r.lines[r.nearest(key)] }

// nearest returns key, or its nearest present parent.
func (r *reader) nearest(key string) string {
	for {
		if _, ok := r.lines[key]; ok {
			return key
		}
		key = parent(key)
	}
}

// value reads n into v, whose key is already in r.lines.
func (r *reader) value(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if !r.enter(key) {
		return
	}
	defer func() { r.depth-- }()
	switch t := v.Type(); {
	case IsLeaf(t):
		r.leaf(n, v, key)
	case t.Kind() == reflect.Pointer:
		r.pointer(n, v, key)
	case t.Kind() == reflect.Struct:
		r.section(n, v, key)
	case t.Kind() == reflect.Slice:
		r.list(n, v, key)
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		r.table(n, v, key)
	default:
		r.mistake(key, "cannot be configured: the program has no reader for %s", t)
	}
}

// enter counts one value, and refuses it beyond the bounds.
func (r *reader) enter(key string) bool {
	r.values++
	switch {
	case r.values == maxValues+1:
		r.mistake("", "holds more than %d values", maxValues)
		return false
	case r.values > maxValues:
		return false
	case r.depth >= maxDepth:
		r.values = maxValues + 1 // an alias inside itself: nothing more to learn here
		r.mistake(key, "is nested deeper than %d levels", maxDepth)
		return false
	}
	r.depth++
	return true
}

func (r *reader) pointer(n *yaml.Node, v reflect.Value, key string) {
	target := newValue(v.Type().Elem())
	if !v.IsNil() {
		target.Set(v.Elem())
	}
	r.value(n, target, key)
	v.Set(target.Addr())
}

// section reads a mapping into a struct. One with nothing below it, as after its last key
// was commented out, is the defaults.
func (r *reader) section(n *yaml.Node, v reflect.Value, key string) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.mistake(key, "is %s, must be a section with keys of its own", describe(n))
		return
	}
	fields := Fields(v.Type())
	r.entries(n, key, func(name string, child *yaml.Node) {
		i := slices.IndexFunc(fields, func(f Field) bool { return f.Key == name })
		if i < 0 {
			r.mistake(join(key, name), "unknown key%s", suggest(name, fields))
			return
		}
		r.value(child, v.FieldByIndex(fields[i].Index), join(key, name))
	})
}

func (r *reader) list(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.SequenceNode {
		r.mistake(key, "is %s, must be a list: [] is an empty one", describe(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), 0, min(len(n.Content), maxValues))
	for i, child := range n.Content {
		element := newValue(v.Type().Elem())
		at := fmt.Sprintf("%s[%d]", key, i)
		r.present(at, child.Line)
		r.value(child, element, at)
		out = reflect.Append(out, element)
	}
	v.Set(out)
}

func (r *reader) table(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.MappingNode {
		r.mistake(key, "is %s, must be a section with names of your choice: {} is an empty one", describe(n))
		return
	}
	out := reflect.MakeMap(v.Type())
	r.entries(n, key, func(name string, child *yaml.Node) {
		element := newValue(v.Type().Elem())
		r.value(child, element, join(key, name))
		out.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), element)
	})
	v.Set(out)
}

// entries calls each with the mapping's keys, noting their lines and refusing what is no
// plain key.
func (r *reader) entries(n *yaml.Node, key string, each func(name string, child *yaml.Node)) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		at := join(key, k.Value)
		switch {
		case k.Kind != yaml.ScalarNode || k.ShortTag() == "!!null":
			r.add(k.Line, key, "has a key that is "+describe(k)+", must be plain text")
		case k.ShortTag() == "!!merge":
			r.add(k.Line, at, "merging is not supported: write the keys out")
		case seen[k.Value]:
			r.add(k.Line, at, fmt.Sprintf("stands twice, first on line %d", r.lines[at]))
		default:
			seen[k.Value] = true
			r.present(at, k.Line)
			each(k.Value, n.Content[i+1])
		}
	}
}

func newValue(t reflect.Type) reflect.Value {
	p := reflect.New(t)
	if d, ok := p.Interface().(Defaulter); ok {
		d.SetDefaults()
	}
	return p.Elem()
}

func join(key, name string) string {
	if key == "" || name == "" || strings.HasPrefix(name, "[") {
		return key + name
	}
	return key + "." + name
}

// parent cuts the last name or index off a key.
func parent(key string) string {
	return key[:max(0, strings.LastIndexAny(key, ".["))]
}
