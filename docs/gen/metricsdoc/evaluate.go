package metricsdoc

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
)

// binding says what the parameters of the function around a metric stand for at one of
// its calls.
type binding map[types.Object]argument

// argument is what stands for a parameter, and what the parameters in it stand for.
type argument struct {
	values   []ast.Expr // several for a variadic parameter
	variadic bool
	b        binding
}

// bindings returns one binding for each call of the innermost function around a metric,
// or an empty one when nobody calls it here: then its parameters must not matter.
func (s *code) bindings(above []ast.Node) []binding {
	f, ok := s.innermost(above)
	if !ok {
		return []binding{{}}
	}
	var out []binding
	for _, file := range s.files {
		walk(file, nil, func(call *ast.CallExpr, around []ast.Node) {
			if s.called(call) == f.object {
				for _, outer := range s.outer(around, f) {
					out = append(out, bind(s, f, call, outer))
				}
			}
		})
	}
	if len(out) == 0 || !s.differ(f, out) {
		return []binding{{}}
	}
	return out
}

// outer returns the bindings of the function around a call; one that calls itself is not
// followed.
func (s *code) outer(around []ast.Node, f function) []binding {
	if g, ok := s.innermost(around); !ok || g.object == f.object {
		return []binding{{}}
	}
	return s.bindings(around)
}

// differ tells whether any parameter has text: a function that only gets a registerer
// makes its metrics once, however often it is called.
func (s *code) differ(f function, calls []binding) bool {
	for _, b := range calls {
		for _, p := range f.params {
			if a, ok := b[s.info.Defs[p]]; ok && s.isText(a) {
				return true
			}
		}
	}
	return false
}

func (s *code) isText(a argument) bool {
	for _, v := range a.values {
		if _, err := s.text(v, a.b); err == nil {
			return true
		}
		if _, err := s.list(v, a.b); err == nil {
			return true
		}
	}
	return false
}

func bind(s *code, f function, call *ast.CallExpr, outer binding) binding {
	b := binding{}
	for i, p := range f.params {
		object := s.info.Defs[p]
		switch {
		case f.last && i == len(f.params)-1 && !call.Ellipsis.IsValid():
			b[object] = argument{call.Args[min(i, len(call.Args)):], true, outer}
		case i < len(call.Args):
			b[object] = argument{call.Args[i : i+1], false, outer}
		}
	}
	return b
}

// called is the function or variable that a call names.
func (s *code) called(call *ast.CallExpr) types.Object {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return s.info.Uses[f]
	case *ast.SelectorExpr:
		return s.info.Uses[f.Sel]
	}
	return nil
}

// text evaluates a string.
func (s *code) text(e ast.Expr, b binding) (string, error) {
	if v := s.info.Types[e].Value; v != nil && v.Kind() == constant.String {
		return constant.StringVal(v), nil
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return s.text(e.X, b)
	case *ast.Ident:
		if a, ok := b[s.info.Uses[e]]; ok && !a.variadic {
			return s.text(a.values[0], a.b)
		}
	case *ast.BinaryExpr:
		left, err := s.text(e.X, b)
		if err != nil {
			return "", err
		}
		right, err := s.text(e.Y, b)
		return left + right, err
	case *ast.CallExpr: // string(x)
		if f, ok := e.Fun.(*ast.Ident); ok && f.Name == "string" && len(e.Args) == 1 {
			return s.text(e.Args[0], b)
		}
	case *ast.BasicLit:
		return constant.StringVal(constant.MakeFromLiteral(e.Value, e.Kind, 0)), nil
	}
	return "", fmt.Errorf("%s: is not a constant that can be read here", s.where(e))
}

// list evaluates a list of strings.
func (s *code) list(e ast.Expr, b binding) ([]string, error) {
	values, from := []ast.Expr(nil), b
	switch e := e.(type) {
	case *ast.CompositeLit:
		values = e.Elts
	case *ast.Ident:
		a, ok := b[s.info.Uses[e]]
		switch {
		case e.Name == "nil":
			return nil, nil
		case ok && !a.variadic:
			return s.list(a.values[0], a.b)
		case ok:
			values, from = a.values, a.b
		default:
			return nil, fmt.Errorf("%s: %s is not a list that can be read here", s.where(e), e.Name)
		}
	default:
		return nil, fmt.Errorf("%s: is not a list that can be read here", s.where(e))
	}
	var out []string
	for _, v := range values {
		text, err := s.text(v, from)
		if err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, nil
}
