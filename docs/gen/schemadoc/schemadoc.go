// Package schemadoc writes JSON Schemas of data as encoding/json writes it: of one Go type and
// of all that it is made of.
//
// The source of a package enters, and the bounds that no Go type can say; definitions for
// "$defs" leave. They use only what means the same in draft-07, which AsyncAPI's schemas are
// made of, and in 2020-12. It must never be narrower than what is sent: fields may be added,
// and a list that may be nil may be null.
package schemadoc

import (
	"fmt"
	"go/ast"
	"slices"

	"github.com/gopprof/gopprof/docs/gen/source"
)

// Words is what is known of a type beside its source, by "Type.json name".
type Words struct {
	Said   map[string]string // of fields that have no comment
	Bounds map[string]Object // more keywords of a field
}

// Definitions returns the schemas of a struct and of all that it is made of, by the names of
// the Go types, in the order in which they are first met.
func Definitions(p *source.Package, root string, words Words) (Object, error) {
	w := &writer{Package: p, words: words, queue: []string{root}}
	var out Object
	for i := 0; i < len(w.queue); i++ {
		name := w.queue[i]
		schema, err := w.definition(name)
		if err != nil {
			return nil, fmt.Errorf("writing the schema of %s: %w", name, err)
		}
		out = append(out, Member{name, schema})
	}
	return out, nil
}

// writer writes types in the order in which they are first met.
type writer struct {
	*source.Package
	words Words
	queue []string
}

func (w *writer) definition(name string) (Object, error) {
	if t, ok := w.Structs[name]; ok {
		return w.structure(name, t)
	}
	return w.set(w.Sets[name])
}

func (w *writer) structure(name string, t source.Struct) (Object, error) {
	fields := t.InJSON()
	properties, required := Object{}, []string{}
	for i, f := range fields {
		schema, err := w.kind(f.Kind, f.Optional)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		key := name + "." + f.JSON
		schema = bounded(schema, w.words.Bounds[key])
		if text := w.meaning(key, fields, i); text != "" {
			schema = append(Object{{"description", text}}, schema...)
		}
		properties = append(properties, Member{f.JSON, schema})
		if !f.Optional {
			required = append(required, f.JSON)
		}
	}
	out := Object{{"description", w.Paragraph(t.Doc)}, {"type", "object"}, {"properties", properties}}
	if len(required) > 0 {
		out = append(out, Member{"required", required})
	}
	return out, nil
}

func (w *writer) meaning(key string, fields []source.Field, i int) string {
	if text := w.Meaning(fields, i); text != "" {
		return text
	}
	return w.words.Said[key]
}

// bounded adds keywords to a schema. In draft-07 nothing counts beside a reference.
func bounded(schema, bounds Object) Object {
	if len(bounds) > 0 && schema[0].Key == "$ref" {
		return Object{{"allOf", []Object{schema}}}.With(bounds)
	}
	return schema.With(bounds)
}

// kind is the schema of a field's type. What is left out when it is empty is never null.
func (w *writer) kind(e ast.Expr, optional bool) (Object, error) {
	switch t := e.(type) {
	case *ast.StarExpr:
		if !optional {
			return nil, fmt.Errorf("it may be null, and should rather be left out")
		}
		return w.kind(t.X, false)
	case *ast.ArrayType:
		items, err := w.kind(t.Elt, false)
		return Object{{"type", orNull("array", optional)}, {"items", items}}, err
	case *ast.MapType:
		values, err := w.kind(t.Value, false)
		return Object{{"type", orNull("object", optional)}, {"additionalProperties", values}}, err
	case *ast.SelectorExpr:
		if t.Sel.Name == "Time" {
			return Object{{"type", "string"}, {"format", "date-time"}}, nil
		}
	case *ast.Ident:
		return w.named(t.Name)
	}
	return nil, fmt.Errorf("no way to write its type")
}

func orNull(kind string, never bool) any {
	if never {
		return kind
	}
	return []string{kind, "null"}
}

func (w *writer) named(name string) (Object, error) {
	switch name {
	case "string":
		return Object{{"type", "string"}}, nil
	case "bool":
		return Object{{"type", "boolean"}}, nil
	case "int", "int64":
		return Object{{"type", "integer"}}, nil
	case "float64":
		return Object{{"type", "number"}}, nil
	}
	_, structure := w.Structs[name]
	if _, set := w.Sets[name]; !set && !structure {
		return nil, fmt.Errorf("type %s is neither data nor a closed set", name)
	}
	if !slices.Contains(w.queue, name) {
		w.queue = append(w.queue, name)
	}
	return Object{{"$ref", "#/$defs/" + name}}, nil
}

func (w *writer) set(s *source.Set) (Object, error) {
	if s.Err != nil {
		return nil, s.Err
	}
	if len(s.Words) == 0 {
		return nil, fmt.Errorf("no constant of it")
	}
	words := make([]string, 0, len(s.Words))
	for _, word := range s.Words {
		words = append(words, word.Value)
	}
	return Object{{"description", w.Paragraph(s.Doc)}, {"type", "string"}, {"enum", words}}, nil
}
