// Package source reads what references are written from: the types of a package, their fields
// and the comments on them, and the words of its closed sets.
//
// A directory of Go files enters, without its tests; what they declare leaves, as it is
// written. It must never type-check or run anything, so that a reference can be written of
// whatever parses.
package source

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Package is what a package declares.
type Package struct {
	Structs map[string]Struct
	Sets    map[string]*Set // closed sets, by the name of their type
}

// Struct is a struct type.
type Struct struct {
	Doc    string
	Fields []Field
}

// Set is a named string and its constants.
type Set struct {
	Name, Doc string
	Words     []Word
	Err       error // why not all of its words are known
}

// Word is one of a closed set.
type Word struct{ Constant, Value, Meaning string }

// Field is one of a struct.
type Field struct {
	Name     string
	JSON     string // its name in JSON; empty: it is not there
	Optional bool   // in JSON it is left out when it is empty
	Doc      string // the comment above it, as it is written
	Comment  string // above or beside it, as one paragraph
	Kind     ast.Expr
}

// Read reads the package in dir.
func Read(dir string) (*Package, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	p := &Package{map[string]Struct{}, map[string]*Set{}}
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
		p.types(f)
	}
	for _, f := range files {
		p.constants(f)
	}
	return p, nil
}

func (p *Package) types(f *ast.File) {
	for group := range declarations(f, token.TYPE) {
		for _, spec := range group.Specs {
			t := spec.(*ast.TypeSpec)
			doc := t.Doc.Text()
			if doc == "" {
				doc = group.Doc.Text()
			}
			switch of := t.Type.(type) {
			case *ast.StructType:
				p.Structs[t.Name.Name] = Struct{doc, fieldsOf(of.Fields)}
			case *ast.Ident:
				if of.Name == "string" {
					p.Sets[t.Name.Name] = &Set{Name: t.Name.Name, Doc: doc}
				}
			}
		}
	}
}

func (p *Package) constants(f *ast.File) {
	for group := range declarations(f, token.CONST) {
		var set *Set // of the constant before
		for _, spec := range group.Specs {
			c := spec.(*ast.ValueSpec)
			name := c.Names[0].Name
			if c.Type == nil && set != nil {
				set.Err = fmt.Errorf("constant %s has no type, among those of %s", name, set.Name)
				continue
			}
			kind, ok := c.Type.(*ast.Ident)
			if set = nil; ok {
				set = p.Sets[kind.Name]
			}
			if set == nil {
				continue
			}
			if value, ok := word(c); ok {
				set.Words = append(set.Words, Word{name, value, strings.TrimSpace(c.Comment.Text())})
			} else {
				set.Err = fmt.Errorf("constant %s is no word", name)
			}
		}
	}
}

// word is the value of a constant that is written as a string.
func word(c *ast.ValueSpec) (string, bool) {
	if len(c.Values) != 1 {
		return "", false
	}
	literal, ok := c.Values[0].(*ast.BasicLit)
	if !ok {
		return "", false
	}
	text, err := strconv.Unquote(literal.Value)
	return text, err == nil
}

// declarations yields the groups of a sort.
func declarations(f *ast.File, sort token.Token) func(yield func(*ast.GenDecl) bool) {
	return func(yield func(*ast.GenDecl) bool) {
		for _, d := range f.Decls {
			if group, ok := d.(*ast.GenDecl); ok && group.Tok == sort && !yield(group) {
				return
			}
		}
	}
}

func fieldsOf(list *ast.FieldList) []Field {
	var out []Field
	for _, f := range list.List {
		name, options := jsonTag(f)
		comment := strings.Join(strings.Fields(f.Doc.Text()+" "+f.Comment.Text()), " ")
		for _, n := range names(f) {
			out = append(out, Field{n, name, strings.Contains(options, "omit"), strings.TrimSpace(f.Doc.Text()), comment, f.Type})
		}
	}
	return out
}

func jsonTag(f *ast.Field) (name, options string) {
	if f.Tag == nil {
		return "", ""
	}
	tag, err := strconv.Unquote(f.Tag.Value)
	if err != nil {
		panic(err) // it was parsed
	}
	name, options, _ = strings.Cut(reflect.StructTag(tag).Get("json"), ",")
	if name == "-" {
		name = ""
	}
	return name, options
}

// names of a field; an embedded one has its type's.
func names(f *ast.Field) []string {
	var out []string
	for _, n := range f.Names {
		out = append(out, n.Name)
	}
	if len(out) > 0 {
		return out
	}
	switch t := f.Type.(type) {
	case *ast.SelectorExpr:
		return []string{t.Sel.Name}
	case *ast.Ident:
		return []string{t.Name}
	}
	return nil
}

// InJSON lists the struct's fields that stand in JSON.
func (s Struct) InJSON() []Field {
	var out []Field
	for _, f := range s.Fields {
		if f.JSON != "" {
			out = append(out, f)
		}
	}
	return out
}

// Field returns the field of a name.
func (s Struct) Field(name string) (Field, bool) {
	for _, f := range s.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

var (
	constant = regexp.MustCompile(`\b[A-Z]\w+[a-z]\w*\b`)
	absent   = regexp.MustCompile(`\bnil\b`)
)

// ByWords replaces in a comment what only Go has: constants by their words, and nil.
func (p *Package) ByWords(text string) string {
	text = constant.ReplaceAllStringFunc(text, func(name string) string {
		for _, set := range p.Sets {
			for _, w := range set.Words {
				if w.Constant == name {
					return "`" + w.Value + "`"
				}
			}
		}
		return name
	})
	return absent.ReplaceAllString(text, "absent")
}

// Meaning returns what comments say of a field, in JSON's words: its own, or the one before
// that names it; empty when none does.
func (p *Package) Meaning(fields []Field, i int) string {
	f := fields[i]
	if f.Comment != "" {
		return p.ByWords(Names(f.Comment, f.Name, inJSON(fields)))
	}
	for _, above := range slices.Backward(fields[:i]) {
		if slices.Contains(strings.FieldsFunc(above.Comment, notLetter), f.Name) {
			return "see `" + above.JSON + "`"
		}
	}
	return ""
}

// inJSON tells what fields are called in JSON.
func inJSON(fields []Field) map[string]string {
	named := map[string]string{}
	for _, f := range fields {
		named[f.Name] = "`" + f.JSON + "`"
	}
	return named
}

func notLetter(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// Paragraph is a type's comment on one line, in words that not only Go has.
func (p *Package) Paragraph(doc string) string {
	return p.ByWords(strings.Join(strings.Fields(doc), " "))
}

// Names returns the comment with the names of fields replaced by others: the one that it
// begins with, and those that can be no other word because a capital stands inside them.
// named tells what each of the fields is called.
func Names(text, of string, named map[string]string) string {
	if rest, ok := strings.CutPrefix(text, of+" "); ok {
		text = named[of] + " " + rest
	}
	for name, other := range named {
		if len(name) > 1 && strings.ContainsFunc(name[1:], unicode.IsUpper) && strings.ContainsFunc(name, unicode.IsLower) {
			text = regexp.MustCompile("(^|[^`\\w])"+name+`\b`).ReplaceAllString(text, "${1}"+other)
		}
	}
	return text
}
