// Package auth says who calls the HTTP server and what they may do. Requests enter;
// requests with a Caller in their context leave, or a refusal does.
//
// With a file of tokens, or somebody who knows them (Finder), every request must bring one:
// as a bearer token, or as the password of HTTP basic authentication, which browsers and
// `go tool pprof` can do. Without either the caller is anonymous and may do everything; that is for loopback only, where it is
// made sure that the browser of somebody on this machine is not led here from elsewhere:
// the Host header must name this machine. With or without tokens, requests that change
// something must not come from another site. Or an API server brings its users (Proxied):
// it alone is believed who they are. A secret of its own opens the one path by which an
// alerting system tells of alerts. Every request leaves a line in the log. Tokens never
// stand in one, or in an answer.
package auth

import (
	"context"
	"slices"
)

// Verb is what somebody wants to do in a namespace.
type Verb string

// The verbs. Each is a right of its own: who may profile need not be let see.
const (
	View    Verb = "view"    // see reports, targets and operations
	Profile Verb = "profile" // ask for captures, and cancel them
	Control Verb = "control" // pause and resume all profiling; of all namespaces only
)

// All stands for all namespaces where one could be named.
const All = ""

// Rights say what a caller may do.
type Rights interface {
	// May tells whether the caller may do this in a namespace; All is every namespace there
	// is. An error means that nobody could say, and nothing may be done.
	May(ctx context.Context, v Verb, namespace string) (bool, error)
}

// Caller is who asks. The zero Caller may do nothing.
type Caller struct {
	Name string
	// Cluster is the one whose API server vouches for the caller, and in which alone his
	// rights hold; empty is every cluster.
	Cluster string
	Rights  Rights
}

// May asks the caller's rights.
func (c Caller) May(ctx context.Context, v Verb, namespace string) (bool, error) {
	if c.Rights == nil {
		return false, nil
	}
	return c.Rights.May(ctx, v, namespace)
}

// Fixed are rights that are written down: the verbs hold in each of the namespaces.
type Fixed struct {
	Everywhere bool     // in all namespaces
	Namespaces []string // else in these
	Verbs      []Verb
}

// May implements Rights.
func (f Fixed) May(_ context.Context, v Verb, namespace string) (bool, error) {
	return slices.Contains(f.Verbs, v) && (f.Everywhere || (namespace != All && slices.Contains(f.Namespaces, namespace))), nil
}

// Anonymous is the caller when there are no tokens.
var Anonymous = Caller{Name: "anonymous", Rights: Fixed{Everywhere: true, Verbs: []Verb{View, Profile, Control}}}

type contextKey struct{}

// With returns a context that carries the caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// From returns the caller of a request. Where Guard was not passed there is none: the zero
// Caller may do nothing.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(contextKey{}).(Caller)
	return c
}
