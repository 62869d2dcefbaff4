package configdoc

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/gopprof/gopprof/docs/gen/source"
)

// comments finds the doc comments of struct fields in the source of a module.
type comments struct {
	root, module string
	packages     map[string]*source.Package // by path
}

var errNoComment = errors.New("no doc comment")

// of returns the doc comment of the field at index in a struct type, or of the struct
// that the field is inlined from.
func (c *comments) of(t reflect.Type, index []int) (string, error) {
	for _, i := range index[:len(index)-1] {
		t = t.Field(i).Type
	}
	f := t.Field(index[len(index)-1])
	pkg, err := c.load(t.PkgPath())
	if err != nil {
		return "", fmt.Errorf("source of %s: %w", t, err)
	}
	structure, ok := pkg.Structs[t.Name()]
	if !ok {
		return "", fmt.Errorf("source of %s: no such struct; an unnamed one cannot be explained", t)
	}
	field, ok := structure.Field(f.Name)
	switch {
	case !ok:
		return "", fmt.Errorf("field %s of %s: not in its source", f.Name, t)
	case field.Doc == "":
		return "", fmt.Errorf("field %s of %s: %w", f.Name, t, errNoComment)
	}
	return field.Doc, nil
}

func (c *comments) load(path string) (*source.Package, error) {
	if pkg, ok := c.packages[path]; ok {
		return pkg, nil
	}
	below, ok := strings.CutPrefix(path, c.module+"/")
	if !ok {
		return nil, fmt.Errorf("package %q is not of this module", path)
	}
	pkg, err := source.Read(filepath.Join(c.root, filepath.FromSlash(below)))
	if err != nil {
		return nil, err
	}
	if c.packages == nil {
		c.packages = map[string]*source.Package{}
	}
	c.packages[path] = pkg
	return pkg, nil
}
