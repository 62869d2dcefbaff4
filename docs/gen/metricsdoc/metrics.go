package metricsdoc

import (
	"fmt"
	"go/ast"
	"go/types"
	"slices"
	"strings"
)

// kinds are the constructors of the Prometheus library that make metrics, and what they
// make.
func kinds() map[string]string {
	out := map[string]string{}
	for _, kind := range []string{"Counter", "Gauge", "Histogram", "Summary"} {
		for _, end := range []string{"", "Vec", "Func"} {
			out["New"+kind+end] = strings.ToLower(kind)
		}
	}
	return out
}

// metrics returns what a call makes: nothing, a metric, or one for each call of the
// function around it whose parameters name the metric.
func (s *code) metrics(call *ast.CallExpr, library string, above []ast.Node) ([]Metric, error) {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil, nil
	}
	from, ok := selector.X.(*ast.Ident)
	if !ok || from.Name != library || selector.Sel.Name == "NewRegistry" {
		return nil, nil
	}
	if selector.Sel.Name == "NewDesc" || selector.Sel.Name == "NewUntypedFunc" {
		return nil, fmt.Errorf("%s: %s is not read: use a constructor of a counter, gauge, histogram or summary", s.where(call), selector.Sel.Name)
	}
	kind, ok := kinds()[selector.Sel.Name]
	if !ok || len(call.Args) == 0 {
		return nil, nil
	}
	var out []Metric
	for _, b := range s.bindings(above) {
		m, err := s.metric(call, b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.where(call), err)
		}
		m.Type, m.Where = kind, s.where(call)
		if !slices.ContainsFunc(out, func(o Metric) bool { return o.Name == m.Name }) {
			out = append(out, m)
		}
	}
	return out, nil
}

func (s *code) metric(call *ast.CallExpr, b binding) (Metric, error) {
	options, ok := call.Args[0].(*ast.CompositeLit)
	if !ok {
		return Metric{}, fmt.Errorf("the options are not a literal")
	}
	parts := map[string]string{}
	for _, element := range options.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return Metric{}, fmt.Errorf("the options have fields without names")
		}
		switch key := pair.Key.(*ast.Ident).Name; key {
		case "Name", "Namespace", "Subsystem", "Help":
			text, err := s.text(pair.Value, b)
			if err != nil {
				return Metric{}, fmt.Errorf("%s: %w", key, err)
			}
			parts[key] = text
		}
	}
	m := Metric{Name: joined(parts["Namespace"], parts["Subsystem"], parts["Name"]), Help: parts["Help"]}
	if m.Help == "" {
		return Metric{}, fmt.Errorf("metric %s has no help", m.Name)
	}
	var err error
	if strings.HasSuffix(call.Fun.(*ast.SelectorExpr).Sel.Name, "Vec") {
		m.Labels, err = s.labels(call, b)
	}
	return m, err
}

// labels reads the second argument of a constructor of a vector.
func (s *code) labels(call *ast.CallExpr, b binding) ([]string, error) {
	if len(call.Args) != 2 {
		return nil, fmt.Errorf("a vector without labels")
	}
	values, err := s.list(call.Args[1], b)
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	return values, nil
}

// joined is prometheus.BuildFQName.
func joined(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, "_")
}

// function is one function around a call: its parameters and the object by which it is
// called.
type function struct {
	params []*ast.Ident
	object types.Object
	last   bool // parameter is variadic
}

// innermost finds the innermost function in above that has parameters and a name.
func (s *code) innermost(above []ast.Node) (function, bool) {
	for i := len(above) - 1; i >= 0; i-- {
		var kind *ast.FuncType
		var name *ast.Ident
		switch n := above[i].(type) {
		case *ast.FuncDecl:
			kind, name = n.Type, n.Name
		case *ast.FuncLit:
			kind, name = n.Type, nameOf(n, above[:i])
		}
		if kind != nil && name != nil {
			f := function{object: s.info.Defs[name]}
			for _, p := range kind.Params.List {
				f.params = append(f.params, p.Names...)
				_, f.last = p.Type.(*ast.Ellipsis)
			}
			return f, f.object != nil
		}
	}
	return function{}, false
}

// nameOf is the variable that a function literal is assigned to when it is defined.
func nameOf(lit *ast.FuncLit, above []ast.Node) *ast.Ident {
	if len(above) == 0 {
		return nil
	}
	assign, ok := above[len(above)-1].(*ast.AssignStmt)
	if !ok || len(assign.Lhs) != len(assign.Rhs) {
		return nil
	}
	for i, right := range assign.Rhs {
		if name, ok := assign.Lhs[i].(*ast.Ident); ok && right == lit {
			return name
		}
	}
	return nil
}
