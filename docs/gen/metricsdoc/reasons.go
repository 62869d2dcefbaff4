package metricsdoc

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"strings"
)

// Reason is one value of the label "reason".
type Reason struct {
	Name    string
	Meaning string
}

// Reasons reads the closed set from the Go file that declares it: the constants of type
// Reason, each with its meaning beside it.
func Reasons(file string) ([]Reason, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("reading reasons: %w", err)
	}
	var out []Reason
	for _, decl := range f.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			r, err := reasonOf(spec.(*ast.ValueSpec))
			if err != nil {
				return nil, fmt.Errorf("reading reasons of %q: %w", file, err)
			}
			out = append(out, r)
		}
	}
	return out, nil
}

func reasonOf(spec *ast.ValueSpec) (Reason, error) {
	kind, ok := spec.Type.(*ast.Ident)
	if !ok || kind.Name != "Reason" || len(spec.Values) != 1 {
		return Reason{}, fmt.Errorf("constant %s: is not of type Reason", spec.Names[0].Name)
	}
	value, ok := spec.Values[0].(*ast.BasicLit)
	meaning := strings.TrimSpace(spec.Comment.Text())
	if !ok || meaning == "" {
		return Reason{}, fmt.Errorf("constant %s: no word, or no meaning beside it", spec.Names[0].Name)
	}
	return Reason{constant.StringVal(constant.MakeFromLiteral(value.Value, value.Kind, 0)), meaning}, nil
}

// ReasonTable writes reasons as a Markdown table.
func ReasonTable(reasons []Reason) string {
	var b strings.Builder
	b.WriteString("| reason | meaning |\n|---|---|\n")
	for _, r := range reasons {
		fmt.Fprintf(&b, "| `%s` | %s |\n", r.Name, strings.ReplaceAll(r.Meaning, "|", `\|`))
	}
	return b.String()
}
