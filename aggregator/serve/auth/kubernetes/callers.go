package kubernetes

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	authn "k8s.io/api/authentication/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	authentication "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorization "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/gopprof/gopprof/aggregator/serve/auth"
)

const (
	// yesFor and noFor are how long the API server's word is kept. A right that was just given
	// is there soon, and one that was taken away is gone soon.
	yesFor = 10 * time.Second
	noFor  = 5 * time.Second
	// knownFor is how long a token that was somebody's is asked about again before those of
	// strangers, who may take all of their places.
	knownFor = time.Hour
	// maxKept bounds the answers that are kept, of each sort.
	maxKept = 10_000
	// maxAsked bounds the questions that run at once, of each sort. Strangers who bring tokens
	// of their own making cannot flood the API server.
	maxAsked = 50
	// accessPerSecond bounds the questions about users who are known: a list over a thousand
	// namespaces asks about each.
	accessPerSecond = 500
)

// Callers knows people and programs by the word of the API server: whose token it is
// (TokenReview), and what a user may do (SubjectAccessReview).
type Callers struct {
	cfg     CallersConfig
	cluster string
	tokens  authentication.TokenReviewInterface
	access  authorization.SubjectAccessReviewInterface
	now     func() time.Time

	users  *kept[tokenSum, auth.User] // whose token it is; no name: nobody's
	known  *kept[tokenSum, struct{}]  // tokens that were somebody's
	rights *kept[question, bool]
	asking map[string]chan struct{} // by sort; a place is taken by each question that runs

	reviews *prometheus.CounterVec
}

// The sorts of questions, as the metric calls them.
const (
	sortToken  = "token"
	sortKnown  = "known"
	sortAccess = "access"
)

// errBusy is that too many questions run already.
var errBusy = fmt.Errorf("%w: too many questions at once", ErrUnavailable)

// NewCallers asks the API server of a cluster at rc. Nothing is asked yet.
func NewCallers(c CallersConfig, cluster string, rc *rest.Config, reg prometheus.Registerer) (*Callers, error) {
	// Two limits: tokens of strangers must not use up what known users may ask.
	tokens, err := authentication.NewForConfig(limited(rc, c.ReviewsPerSecond))
	if err != nil {
		return nil, fmt.Errorf("reaching kubernetes: %w", err)
	}
	access, err := authorization.NewForConfig(limited(rc, accessPerSecond))
	if err != nil {
		return nil, fmt.Errorf("reaching kubernetes: %w", err)
	}
	k := &Callers{
		cfg: c, cluster: cluster, tokens: tokens.TokenReviews(), access: access.SubjectAccessReviews(), now: time.Now,
		asking: map[string]chan struct{}{},
		reviews: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_caller_reviews_total",
			Help: "Questions to the API server about callers, by sort (token: whose it is; known: whether it still is; access: whether somebody may) and result (yes, no, failed, busy).",
		}, []string{"sort", "result"}),
	}
	for _, sort := range []string{sortToken, sortKnown, sortAccess} {
		k.asking[sort] = make(chan struct{}, maxAsked)
	}
	k.users, k.known, k.rights = newKept[tokenSum, auth.User](maxKept), newKept[tokenSum, struct{}](maxKept), newKept[question, bool](maxKept)
	reg.MustRegister(k.reviews)
	return k, nil
}

func limited(rc *rest.Config, perSecond int) *rest.Config {
	own := rest.CopyConfig(rc)
	own.QPS, own.Burst = float32(perSecond), 2*perSecond
	return own
}

// Find implements auth.Finder for tokens that the API server accepts for our audience.
func (k *Callers) Find(ctx context.Context, token string) (auth.Caller, bool, error) {
	if len(token) > maxTokenBytes {
		return auth.Caller{}, false, nil
	}
	user, err := k.whose(ctx, token)
	if err != nil || user.Name == "" {
		return auth.Caller{}, false, err
	}
	return auth.Caller{Name: user.Name, Cluster: k.cluster, Rights: k.Rights(user)}, true, nil
}

func (k *Callers) whose(ctx context.Context, token string) (auth.User, error) {
	sum := tokenSum(sha256.Sum256([]byte(token)))
	if user, ok := k.users.get(sum, k.now()); ok {
		return user, nil
	}
	sort := sortToken
	if _, ok := k.known.get(sum, k.now()); ok {
		sort = sortKnown
	}
	var user auth.User
	err := k.ask(ctx, sort, func(ctx context.Context) (yes bool, err error) {
		user, err = k.review(ctx, token)
		return user.Name != "", err
	})
	if err != nil {
		return auth.User{}, err
	}
	k.users.put(sum, user, k.now(), k.keepFor(user.Name != ""))
	if user.Name != "" {
		k.known.put(sum, struct{}{}, k.now(), knownFor)
	}
	return user, nil
}

// review returns whose token it is; nobody's has no name.
func (k *Callers) review(ctx context.Context, token string) (auth.User, error) {
	answer, err := k.tokens.Create(ctx, &authn.TokenReview{
		Spec: authn.TokenReviewSpec{Token: token, Audiences: []string{k.cfg.Audience}},
	}, meta.CreateOptions{})
	if err != nil {
		return auth.User{}, fmt.Errorf("%w: reviewing token: %w", ErrUnavailable, err)
	}
	s := answer.Status
	if !s.Authenticated || !slices.Contains(s.Audiences, k.cfg.Audience) {
		return auth.User{}, nil
	}
	user := auth.User{Name: s.User.Username, UID: s.User.UID, Groups: s.User.Groups}
	for key, values := range s.User.Extra {
		if user.Extra == nil {
			user.Extra = map[string][]string{}
		}
		user.Extra[key] = values
	}
	return user, nil
}

// ask has one question answered, within the time and the number that there may be. One
// about a stranger's token does not wait for a place.
func (k *Callers) ask(ctx context.Context, sort string, f func(context.Context) (yes bool, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, k.cfg.Timeout)
	defer cancel()
	if !take(ctx, k.asking[sort], sort != sortToken) {
		k.reviews.WithLabelValues(sort, "busy").Inc()
		return errBusy
	}
	defer func() { <-k.asking[sort] }()
	yes, err := f(ctx)
	result := "no"
	switch {
	case errors.Is(err, ErrUnavailable):
		result = "failed"
	case yes:
		result = "yes"
	}
	k.reviews.WithLabelValues(sort, result).Inc()
	return err
}

// take takes a place; a patient one waits for it as long as ctx does.
func take(ctx context.Context, places chan<- struct{}, patient bool) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
	}
	if !patient {
		return false
	}
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (k *Callers) keepFor(yes bool) time.Duration {
	if yes {
		return yesFor
	}
	return noFor
}
