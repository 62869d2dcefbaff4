package kubernetes

import (
	"errors"
	"fmt"
)

// result is how looking at a token ended.
type result string

const (
	accepted       result = "accepted"
	malformed      result = "malformed"
	wrongSignature result = "signature"
	wrongIssuer    result = "issuer"
	wrongAudience  result = "audience"
	expired        result = "expired"
	wrongAccount   result = "account"
	noNode         result = "no_node"
	unavailable    result = "unavailable"
)

// refusal is why a token is not good enough.
type refusal struct {
	why result
	err error
}

func (r *refusal) Error() string   { return fmt.Sprintf("%s: %s", ErrRefused, r.err) }
func (r *refusal) Unwrap() []error { return []error{ErrRefused, r.err} }

func refuse(why result, err error) error { return &refusal{why, err} }

func resultOf(err error) result {
	var r *refusal
	switch {
	case err == nil:
		return accepted
	case errors.As(err, &r):
		return r.why
	}
	return unavailable
}
