package datadoc

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// source is what a package declares.
type source struct {
	structs map[string]structure
	words   map[string]*closedSet
}

type structure struct {
	doc    string
	fields *ast.FieldList
}

// closedSet is a named string and its constants.
type closedSet struct {
	name, doc string
	words     []word
}

type word struct{ constant, value, meaning string }

// elsewhere tells that the words have a table of their own in another reference.
func (s *closedSet) elsewhere() bool { return s.name == "Reason" }

func read(dir string) (*source, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	s := &source{map[string]structure{}, map[string]*closedSet{}}
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
		s.types(f)
	}
	for _, f := range files {
		if err := s.constants(f); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *source) types(f *ast.File) {
	for group := range declarations(f, token.TYPE) {
		for _, spec := range group.Specs {
			t := spec.(*ast.TypeSpec)
			doc := t.Doc.Text()
			if doc == "" {
				doc = group.Doc.Text()
			}
			switch of := t.Type.(type) {
			case *ast.StructType:
				s.structs[t.Name.Name] = structure{doc, of.Fields}
			case *ast.Ident:
				if of.Name == "string" {
					s.words[t.Name.Name] = &closedSet{name: t.Name.Name, doc: doc}
				}
			}
		}
	}
}

func (s *source) constants(f *ast.File) error {
	for group := range declarations(f, token.CONST) {
		for _, spec := range group.Specs {
			c := spec.(*ast.ValueSpec)
			kind, ok := c.Type.(*ast.Ident)
			if !ok || s.words[kind.Name] == nil {
				continue
			}
			value, ok := c.Values[0].(*ast.BasicLit)
			if !ok {
				return fmt.Errorf("constant %s is no word", c.Names[0])
			}
			text, err := strconv.Unquote(value.Value)
			if err != nil {
				return fmt.Errorf("constant %s: %w", c.Names[0], err)
			}
			set := s.words[kind.Name]
			set.words = append(set.words, word{c.Names[0].Name, text, strings.TrimSpace(c.Comment.Text())})
		}
	}
	return nil
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

// field is one that stands in the JSON.
type field struct {
	name, json string
	optional   bool
	comment    string // above or beside it, as one paragraph
	kind       ast.Expr
}

func fieldsOf(list *ast.FieldList) []field {
	var out []field
	for _, f := range list.List {
		if f.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			panic(err) // it was parsed
		}
		name, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		comment := strings.Join(strings.Fields(f.Doc.Text()+" "+f.Comment.Text()), " ")
		out = append(out, field{f.Names[0].Name, name, strings.Contains(options, "omit"), comment, f.Type})
	}
	return out
}

var (
	constant = regexp.MustCompile(`\b[A-Z]\w+[a-z]\w*\b`)
	absent   = regexp.MustCompile(`\bnil\b`)
)

// byWords replaces what only Go has: constants by their words, and nil.
func (s *source) byWords(text string) string {
	text = constant.ReplaceAllStringFunc(text, func(name string) string {
		for _, set := range s.words {
			for _, w := range set.words {
				if w.constant == name {
					return "`" + w.value + "`"
				}
			}
		}
		return name
	})
	return absent.ReplaceAllString(text, "absent")
}

func notLetter(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// byJSON replaces the names of fields in a comment by those in the JSON: the one it begins
// with, and those that can be no other word because a capital stands inside them.
func byJSON(text string, of field, fields []field) string {
	if rest, ok := strings.CutPrefix(text, of.name+" "); ok {
		text = "`" + of.json + "` " + rest
	}
	for _, f := range fields {
		if strings.ContainsFunc(f.name[1:], unicode.IsUpper) && strings.ContainsFunc(f.name, unicode.IsLower) {
			text = regexp.MustCompile("(^|[^`\\w])"+f.name+`\b`).ReplaceAllString(text, "$1`"+f.json+"`")
		}
	}
	return text
}
