// Package datadoc writes the reference of data as JSON: of one Go type and of all that it is
// made of, each field with its name, type and meaning, each closed set with its words.
//
// The source of a package and the name of a type enter; Markdown leaves. It must never
// invent: a field that no comment explains is an error, and so is an explanation of no field.
package datadoc

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/docs/gen/source"
)

// Write returns the reference of a type of the package in dir. said explains fields that
// have no comment because Go's name says it all, by "Type.json name", and words likewise.
func Write(dir, root string, said map[string]string) (string, error) {
	src, err := source.Read(dir)
	if err != nil {
		return "", err
	}
	w := &writer{Package: src, said: said, used: map[string]bool{}, queue: []string{root}}
	for i := 0; i < len(w.queue); i++ {
		if err := w.structure(w.queue[i]); err != nil {
			return "", fmt.Errorf("writing the reference of %s: %w", w.queue[i], err)
		}
	}
	for _, name := range w.sets {
		if err := w.set(name); err != nil {
			return "", fmt.Errorf("writing the words of %s: %w", name, err)
		}
	}
	for key := range said {
		if !w.used[key] {
			return "", fmt.Errorf("%q is explained, and is no field without a comment", key)
		}
	}
	return w.out.String(), nil
}

// writer writes types in the order in which they are first met.
type writer struct {
	*source.Package
	said  map[string]string
	used  map[string]bool // of said
	queue []string        // structs
	sets  []string        // named strings
	out   strings.Builder
}

func (w *writer) structure(name string) error {
	t, ok := w.Structs[name]
	if !ok {
		return fmt.Errorf("no such struct")
	}
	fmt.Fprintf(&w.out, "### %s\n\n%s\n\n| field | type | meaning |\n|---|---|---|\n", name, w.Paragraph(t.Doc))
	fields := t.InJSON()
	for i, f := range fields {
		meaning, err := w.meaning(name, fields, i)
		if err != nil {
			return err
		}
		kind, err := w.kind(f.Kind)
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		if f.Optional {
			kind += ", optional"
		}
		fmt.Fprintf(&w.out, "| `%s` | %s | %s |\n", f.JSON, kind, strings.ReplaceAll(meaning, "|", `\|`))
	}
	w.out.WriteString("\n")
	return nil
}

// meaning returns what is said of a field: by comments, or by who asked.
func (w *writer) meaning(of string, fields []source.Field, i int) (string, error) {
	if text := w.Meaning(fields, i); text != "" {
		return text, nil
	}
	f := fields[i]
	key := of + "." + f.JSON
	w.used[key] = true
	if text := w.said[key]; text != "" {
		return text, nil
	}
	return "", fmt.Errorf("field %s has no comment, and nothing is said of %q", f.Name, key)
}

// kind writes a field's type and remembers what it leads to.
func (w *writer) kind(e ast.Expr) (string, error) {
	switch t := e.(type) {
	case *ast.StarExpr:
		return w.kind(t.X)
	case *ast.ArrayType:
		of, err := w.kind(t.Elt)
		return "list of " + of, err
	case *ast.MapType:
		of, err := w.kind(t.Value)
		return of + " by name", err
	case *ast.SelectorExpr:
		if t.Sel.Name == "Time" {
			return "time", nil
		}
	case *ast.Ident:
		return w.named(t.Name)
	}
	return "", fmt.Errorf("no way to write its type")
}

func (w *writer) named(name string) (string, error) {
	switch name {
	case "string":
		return "text", nil
	case "bool":
		return "true or false", nil
	case "int", "int64":
		return "whole number", nil
	case "float64":
		return "number", nil
	}
	if _, ok := w.Structs[name]; ok {
		w.queue = add(w.queue, name)
		return link(name), nil
	}
	if _, ok := w.Sets[name]; ok {
		w.sets = add(w.sets, name)
		return link(name), nil
	}
	return "", fmt.Errorf("type %s is neither data nor a closed set", name)
}

func add(list []string, name string) []string {
	if slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}

func link(name string) string { return "[" + name + "](#" + strings.ToLower(name) + ")" }

// set writes the words of a closed set.
func (w *writer) set(name string) error {
	s := w.Sets[name]
	fmt.Fprintf(&w.out, "### %s\n\n%s\n\n", name, w.Paragraph(s.Doc))
	if s.Err != nil {
		return s.Err
	}
	if len(s.Words) == 0 {
		return fmt.Errorf("no constant of it")
	}
	if name == "Reason" { // its words have a table of their own
		w.out.WriteString("The words: [metrics.md](metrics.md#the-label-reason).\n\n")
		return nil
	}
	w.out.WriteString("| word | meaning |\n|---|---|\n")
	for _, c := range s.Words {
		if c.Meaning == "" {
			w.used[name+"."+c.Value], c.Meaning = true, w.said[name+"."+c.Value]
		}
		text := strings.ReplaceAll(w.ByWords(c.Meaning), "|", `\|`)
		word := "`" + c.Value + "`"
		if c.Value == "" {
			word = "(empty)"
		}
		fmt.Fprintf(&w.out, "| %s | %s |\n", word, text)
	}
	w.out.WriteString("\n")
	return nil
}
