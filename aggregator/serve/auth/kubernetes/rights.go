package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	authz "k8s.io/api/authorization/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gopprof/gopprof/aggregator/serve/auth"
)

// question is whether somebody may do something.
type question struct {
	user      tokenSum // stands for name, groups and the rest
	verb      auth.Verb
	namespace string
}

// Rights returns what a user may do.
func (k *Callers) Rights(u auth.User) auth.Rights {
	text, err := json.Marshal(u)
	if err != nil {
		panic(err) // strings only
	}
	return rights{k, u, sha256.Sum256(text)}
}

type rights struct {
	callers *Callers
	user    auth.User
	sum     tokenSum
}

// May implements auth.Rights.
func (r rights) May(ctx context.Context, v auth.Verb, namespace string) (bool, error) {
	k, q := r.callers, question{r.sum, v, namespace}
	if may, ok := k.rights.get(q, k.now()); ok {
		return may, nil
	}
	wanted, ok := attributes(v, namespace)
	if !ok {
		return false, nil
	}
	var may bool
	err := k.ask(ctx, sortAccess, func(ctx context.Context) (yes bool, err error) {
		may, err = k.allowed(ctx, r.user, wanted)
		return may, err
	})
	if err != nil {
		return false, err
	}
	k.rights.put(q, may, k.now(), k.keepFor(may))
	return may, nil
}

// attributes says a verb of ours as a right in the group gopprof.io, the one that the
// ClusterRoles give. All namespaces are the empty one there, too.
func attributes(v auth.Verb, namespace string) (*authz.ResourceAttributes, bool) {
	verb, resource := "", ""
	switch v {
	case auth.View:
		verb, resource = "get", "reports"
	case auth.Profile:
		verb, resource = "create", "captures"
	case auth.Control:
		verb, resource = "update", "pauses"
	default:
		return nil, false
	}
	return &authz.ResourceAttributes{Namespace: namespace, Verb: verb, Group: "gopprof.io", Version: "v1", Resource: resource}, true
}

func (k *Callers) allowed(ctx context.Context, u auth.User, wanted *authz.ResourceAttributes) (bool, error) {
	spec := authz.SubjectAccessReviewSpec{ResourceAttributes: wanted, User: u.Name, UID: u.UID, Groups: u.Groups}
	for key, values := range u.Extra {
		if spec.Extra == nil {
			spec.Extra = map[string]authz.ExtraValue{}
		}
		spec.Extra[key] = values
	}
	answer, err := k.access.Create(ctx, &authz.SubjectAccessReview{Spec: spec}, meta.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("%w: asking what a user may do: %w", ErrUnavailable, err)
	}
	return answer.Status.Allowed && !answer.Status.Denied, nil
}
