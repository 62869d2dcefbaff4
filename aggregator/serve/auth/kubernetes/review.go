package kubernetes

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	v1 "k8s.io/api/authentication/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	authentication "k8s.io/client-go/kubernetes/typed/authentication/v1"
)

// The names under which the API server tells what a token is bound to.
const (
	extraNode   = "authentication.kubernetes.io/node-name"
	extraPod    = "authentication.kubernetes.io/pod-name"
	extraPodUID = "authentication.kubernetes.io/pod-uid"
)

const (
	// reviewWithin is how long a review may take. Whoever brought the token may have given up
	// by then; he comes back, and the answer is there.
	reviewWithin = 15 * time.Second
	// reviewedFor is how long an answer is believed, at the most: until all have come back.
	reviewedFor = time.Minute
	// maxReviews bounds the reviews that run at once, and the answers that are kept.
	maxReviews = 10_000
)

// reviewer has the API server judge tokens, each once however often it is brought.
type reviewer struct {
	client authentication.TokenReviewInterface
	now    func() time.Time
	one    singleflight.Group
	places chan struct{}

	mu       sync.Mutex // guards what follows
	answered map[tokenSum]answered
}

// tokenSum stands for a token: tokens themselves are not kept.
type tokenSum [sha256.Size]byte

type answered struct {
	id    Identity
	until time.Time
}

func newReviewer(client authentication.TokenReviewInterface) *reviewer {
	return &reviewer{client: client, now: time.Now, places: make(chan struct{}, maxReviews), answered: map[tokenSum]answered{}}
}

// review judges by asking. Of the token itself only its time is believed then, and only to
// end the connection: the API server may know tokens of others than itself, which could
// claim anything.
func (v *Verifier) review(ctx context.Context, token string, unproven claims) (Identity, error) {
	if err := unproven.check(v.cfg.Audience, v.cfg.Issuers, v.now()); err != nil {
		return Identity{}, err // not worth the question
	}
	id, err := v.reviews.judge(ctx, token, v.cfg.Audience)
	id.Expiry = unproven.Expiry.Time()
	return id, err
}

// judge waits for the answer as long as ctx does; the question goes on without it.
func (r *reviewer) judge(ctx context.Context, token, audience string) (Identity, error) {
	sum := tokenSum(sha256.Sum256([]byte(token)))
	if id, ok := r.recall(sum); ok {
		return id, nil
	}
	done := r.one.DoChan(string(sum[:]), func() (any, error) {
		select {
		case r.places <- struct{}{}:
			defer func() { <-r.places }()
		default:
			return Identity{}, fmt.Errorf("%w: too many reviews at once", ErrUnavailable)
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewWithin)
		defer cancel()
		id, err := r.ask(ctx, token, audience)
		if err == nil {
			r.keep(sum, id)
		}
		return id, err
	})
	select {
	case <-ctx.Done():
		return Identity{}, fmt.Errorf("%w: reviewing token: %w", ErrUnavailable, ctx.Err())
	case x := <-done:
		return x.Val.(Identity), x.Err
	}
}

func (r *reviewer) recall(sum tokenSum) (Identity, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.answered[sum]
	return a.id, ok && r.now().Before(a.until)
}

func (r *reviewer) keep(sum tokenSum, id Identity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if len(r.answered) >= maxReviews {
		maps.DeleteFunc(r.answered, func(_ tokenSum, a answered) bool { return !now.Before(a.until) })
	}
	if len(r.answered) < maxReviews {
		r.answered[sum] = answered{id, now.Add(reviewedFor)}
	}
}

// ask returns whose token it is by the word of the API server, without its expiry.
func (r *reviewer) ask(ctx context.Context, token, audience string) (Identity, error) {
	answer, err := r.client.Create(ctx, &v1.TokenReview{
		Spec: v1.TokenReviewSpec{Token: token, Audiences: []string{audience}},
	}, meta.CreateOptions{})
	if err != nil {
		return Identity{}, fmt.Errorf("%w: reviewing token: %w", ErrUnavailable, err)
	}
	s := answer.Status
	switch {
	case !s.Authenticated:
		return Identity{}, refuse(wrongSignature, errors.New("the api server does not accept it"))
	case !slices.Contains(s.Audiences, audience):
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
	return Identity{Namespace: namespace, ServiceAccount: name, Node: one(extraNode), Pod: one(extraPod), PodUID: one(extraPodUID)}, nil
}
