package metricsdoc

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
)

const library = "github.com/prometheus/client_golang/prometheus"

// code is one package, parsed, with what its names stand for as far as the package
// itself tells.
type code struct {
	root  string
	set   *token.FileSet
	files []*ast.File
	info  *types.Info
}

func readPackage(root, dir string) ([]Metric, error) {
	s := &code{root: root, set: token.NewFileSet()}
	if err := s.parse(dir); err != nil || len(s.files) == 0 {
		return nil, err
	}
	s.resolve()
	var out []Metric
	var errs []error
	for _, file := range s.files {
		name, err := libraryName(file)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.where(file), err))
		}
		if name == "" {
			continue
		}
		walk(file, nil, func(call *ast.CallExpr, above []ast.Node) {
			made, err := s.metrics(call, name, above)
			out, errs = append(out, made...), append(errs, err)
		})
	}
	return out, errors.Join(errs...)
}

func (s *code) parse(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(s.set, filepath.Join(dir, e.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		s.files = append(s.files, f)
	}
	return nil
}

// resolve asks the type checker what names and constants stand for. Other packages are
// not loaded: what it cannot know of them it does not tell, and only what is needed and
// missing becomes an error, later.
func (s *code) resolve() {
	s.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	check := types.Config{Importer: nobody{}, Error: func(error) {}}
	_, _ = check.Check("", s.set, s.files, s.info)
}

// nobody imports nothing.
type nobody struct{}

func (nobody) Import(path string) (*types.Package, error) {
	return nil, fmt.Errorf("package %q is not loaded", path)
}

// libraryName is the name under which a file knows the Prometheus library, or "". Ways
// around the constructors that are read are refused.
func libraryName(file *ast.File) (string, error) {
	found := ""
	for _, i := range file.Imports {
		path, name := strings.Trim(i.Path.Value, `"`), "prometheus"
		if i.Name != nil {
			name = i.Name.Name
		}
		switch {
		case path == library+"/promauto":
			return "", errors.New("promauto is not read: use the constructors of the library itself")
		case path == library && name == ".":
			return "", errors.New("an import of the library without its name is not read")
		case path == library:
			found = name
		}
	}
	return found, nil
}

// walk calls each for every call below n, with the nodes above it, outermost first.
func walk(n ast.Node, above []ast.Node, each func(call *ast.CallExpr, above []ast.Node)) {
	ast.Inspect(n, func(child ast.Node) bool {
		if child == nil || child == n {
			return child == n
		}
		if call, ok := child.(*ast.CallExpr); ok {
			each(call, append(above[:len(above):len(above)], n))
		}
		walk(child, append(above[:len(above):len(above)], n), each)
		return false
	})
}

func (s *code) where(n ast.Node) string {
	at := s.set.Position(n.Pos())
	below, err := filepath.Rel(s.root, at.Filename)
	if err != nil {
		below = at.Filename
	}
	return fmt.Sprintf("%s:%d", filepath.ToSlash(below), at.Line)
}
