package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "k8s.io/api/authentication/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The names under which the API server tells what a token is bound to.
const (
	extraNode   = "authentication.kubernetes.io/node-name"
	extraPod    = "authentication.kubernetes.io/pod-name"
	extraPodUID = "authentication.kubernetes.io/pod-uid"
)

// review has the API server judge. Of the token itself only its time is believed then, and
// only to end the connection: the API server may know tokens of others than itself, which
// could claim anything.
func (v *Verifier) review(ctx context.Context, token string, unproven claims) (Identity, error) {
	if err := unproven.check(v.cfg.Audience, v.cfg.Issuers, v.now()); err != nil {
		return Identity{}, err // not worth the question
	}
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Timeout)
	defer cancel()
	answer, err := v.reviews.Create(ctx, &v1.TokenReview{
		Spec: v1.TokenReviewSpec{Token: token, Audiences: []string{v.cfg.Audience}},
	}, meta.CreateOptions{})
	if err != nil {
		return Identity{}, fmt.Errorf("%w: reviewing token: %w", ErrUnavailable, err)
	}
	s := answer.Status
	switch {
	case !s.Authenticated:
		return Identity{}, refuse(wrongSignature, errors.New("the api server does not accept it"))
	case !slices.Contains(s.Audiences, v.cfg.Audience):
		return Identity{}, refuse(wrongAudience, errors.New("made for another audience, says the api server"))
	}
	namespace, name, ok := account(s.User.Username)
	if !ok {
		return Identity{}, refuse(wrongAccount, fmt.Errorf("user %q is no service account", s.User.Username))
	}
	one := func(key string) string {
		if x := s.User.Extra[key]; len(x) == 1 {
			return x[0]
		}
		return ""
	}
	return Identity{
		Namespace: namespace, ServiceAccount: name,
		Node: one(extraNode), Pod: one(extraPod), PodUID: one(extraPodUID), Expiry: unproven.Expiry.Time(),
	}, nil
}
