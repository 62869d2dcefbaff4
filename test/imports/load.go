// Package imports keeps the import rules of the tree, each with its reason.
//
// The source enters, as it stands; violations leave. It reads import declarations only,
// whatever their build tags, so that nothing has to compile for a violation to be seen.
package imports

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Package is one directory of Go files.
type Package struct {
	Path    string   // below the module, "agent/take"
	Imports []Import // of its files, those of tests too
}

// Import is one imported package.
type Import struct {
	// Path is below the module for its own packages ("pkg/gopprof"), else as written.
	Path  string
	Own   bool   // one of the module's packages
	Where string // file and line, below the module
	Test  bool   // in a _test.go file
}

// Load reads the packages of the module below root. Directories that the go command
// passes over, and modules of their own, are passed over.
func Load(root, module string) ([]Package, error) {
	packages := map[string]*Package{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(root, file, d.Name())
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		below, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		below = filepath.ToSlash(below)
		imports, err := importsOf(file, below, module)
		if err != nil {
			return err
		}
		p := packages[path.Dir(below)]
		if p == nil {
			p = &Package{Path: path.Dir(below)}
			packages[p.Path] = p
		}
		p.Imports = append(p.Imports, imports...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading imports below %q: %w", root, err)
	}
	var out []Package
	for _, p := range packages {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b Package) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

func skip(root, dir, name string) error {
	if dir == root {
		return nil
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	if err == nil || name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return fs.SkipDir
	}
	return nil
}

func importsOf(file, below, module string) ([]Import, error) {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, nil, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var out []Import
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		i := Import{Path: name, Test: strings.HasSuffix(file, "_test.go"), Where: fmt.Sprintf("%s:%d", below, set.Position(spec.Pos()).Line)}
		if own, ok := strings.CutPrefix(name, module+"/"); ok {
			i.Path, i.Own = own, true
		}
		out = append(out, i)
	}
	return out, nil
}
