// Package auth says who calls the HTTP server and what they may see. Requests enter;
// requests with a Caller in their context leave, or a refusal does.
//
// With a file of tokens, every request must bring one: as a bearer token, or as the
// password of HTTP basic authentication, which browsers and `go tool pprof` can do. Without
// one the caller is anonymous and sees everything; that is for loopback only, where it is
// made sure that the browser of somebody on this machine is not led here from elsewhere:
// the Host header must name this machine. With or without tokens, requests that change
// something must not come from another site. Tokens never stand in a log or an answer.
package auth

import (
	"context"
	"slices"
)

// Caller is who asks.
type Caller struct {
	Name       string
	Everything bool     // sees all namespaces
	Namespaces []string // else these
}

// Anonymous is the caller when there are no tokens.
var Anonymous = Caller{Name: "anonymous", Everything: true}

// Sees tells whether the caller may know what is in a namespace.
func (c Caller) Sees(namespace string) bool {
	return c.Everything || slices.Contains(c.Namespaces, namespace)
}

type contextKey struct{}

// With returns a context that carries the caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// From returns the caller of a request. Where Guard was not passed there is none: the zero
// Caller sees nothing.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(contextKey{}).(Caller)
	return c
}
