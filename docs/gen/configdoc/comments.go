package configdoc

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// comments finds the doc comments of struct fields in the source of a module.
type comments struct {
	root, module string
	files        map[string][]*ast.File // by package path
}

var errNoComment = errors.New("no doc comment")

// of returns the doc comment of the field at index in a struct type, or of the struct
// that the field is inlined from.
func (c *comments) of(t reflect.Type, index []int) (string, error) {
	for _, i := range index[:len(index)-1] {
		t = t.Field(i).Type
	}
	f := t.Field(index[len(index)-1])
	structure, err := c.structure(t)
	if err != nil {
		return "", err
	}
	for _, field := range structure.Fields.List {
		for _, name := range names(field) {
			if text := strings.TrimSpace(field.Doc.Text()); name == f.Name && text != "" {
				return text, nil
			} else if name == f.Name {
				return "", fmt.Errorf("field %s of %s: %w", f.Name, t, errNoComment)
			}
		}
	}
	return "", fmt.Errorf("field %s of %s: not in its source", f.Name, t)
}

// names of a field; an embedded one has its type's.
func names(field *ast.Field) []string {
	var out []string
	for _, n := range field.Names {
		out = append(out, n.Name)
	}
	if len(out) > 0 {
		return out
	}
	switch t := field.Type.(type) {
	case *ast.SelectorExpr:
		return []string{t.Sel.Name}
	case *ast.Ident:
		return []string{t.Name}
	}
	return nil
}

// structure finds the declaration of a named struct type.
func (c *comments) structure(t reflect.Type) (*ast.StructType, error) {
	files, err := c.load(t.PkgPath())
	if err != nil {
		return nil, fmt.Errorf("source of %s: %w", t, err)
	}
	for _, file := range files {
		for _, decl := range file.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				if named, ok := spec.(*ast.TypeSpec); ok && named.Name.Name == t.Name() {
					if structure, ok := named.Type.(*ast.StructType); ok {
						return structure, nil
					}
				}
			}
		}
	}
	return nil, fmt.Errorf("source of %s: no such struct; an unnamed one cannot be explained", t)
}

func (c *comments) load(pkg string) ([]*ast.File, error) {
	if files, ok := c.files[pkg]; ok {
		return files, nil
	}
	below, ok := strings.CutPrefix(pkg, c.module+"/")
	if !ok {
		return nil, fmt.Errorf("package %q is not of this module", pkg)
	}
	dir := filepath.Join(c.root, filepath.FromSlash(below))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
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
	}
	if c.files == nil {
		c.files = map[string][]*ast.File{}
	}
	c.files[pkg] = files
	return files, nil
}
