// Package kubernetes knows agents by their service-account tokens, tells clients whom to
// trust, and knows callers by the word of the API server.
//
// Tokens enter; identities leave, or a refusal that says why. A token's signature is
// checked with the API server's public keys, so that thousands of agents may come back at
// once and also while the API server is away; only while the keys cannot be had it is
// asked by TokenReview. The other way round, the certificates that clients must trust enter
// and leave into one ConfigMap and one APIService. Of callers, who are few, the API server
// is asked: whose a token is, what a user may do, by what it is known itself; while it is
// away, nobody new is let in. A token never stands in a log, an error or a metric, and
// no account but the agents' ever becomes an agent.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	authentication "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"
)

// ErrUnavailable is that the API server could not be asked about a token that cannot be
// judged without it. Another try may succeed.
var ErrUnavailable = errors.New("kubernetes cannot be asked")

// ErrRefused is that a token is not good enough.
var ErrRefused = errors.New("token refused")

// logEvery bounds the lines about refused tokens, of each kind.
const logEvery = 10 * time.Second

// Verifier checks service-account tokens.
type Verifier struct {
	cfg     Config
	cluster string // of the agents that it lets in
	keys    *keyring
	reviews *reviewer
	now     func() time.Time
	log     *zap.Logger
	met     *metrics

	mu     sync.Mutex
	logged map[result]time.Time // when a refusal of that kind was logged last
}

// NewVerifier makes a verifier of tokens of the API server at rc, whose nodes are named
// as of the cluster. Nothing is asked yet.
func NewVerifier(c Config, cluster string, rc *rest.Config, log *zap.Logger, reg prometheus.Registerer) (*Verifier, error) {
	get, err := getter(rc)
	if err != nil {
		return nil, err
	}
	// client-go's five a second would let a thousand agents wait for minutes.
	own := rest.CopyConfig(rc)
	own.QPS, own.Burst = float32(c.ReviewsPerSecond), 5*c.ReviewsPerSecond
	client, err := authentication.NewForConfig(own)
	if err != nil {
		return nil, fmt.Errorf("reaching kubernetes: %w", err)
	}
	met := newMetrics(reg)
	return &Verifier{
		cfg: c, cluster: cluster, reviews: newReviewer(client.TokenReviews()), now: time.Now, log: log, met: met, logged: map[result]time.Time{},
		keys: &keyring{get: get, issuers: c.Issuers, timeout: c.Timeout, now: time.Now, met: met},
	}, nil
}

// Run asks for the API server's keys now and then, until ctx ends.
func (v *Verifier) Run(ctx context.Context) error {
	failing := false
	for {
		err := v.keys.refresh(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			v.log.Warn("the api server does not tell its keys; tokens are reviewed by it", zap.Error(err))
		}
		if err == nil && failing {
			v.log.Info("the api server tells its keys again")
		}
		failing = err != nil
		pause := refreshEvery
		if failing {
			pause = unknownEvery
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// VerifyAgent returns the node whose agent has this token, and when the token expires.
func (v *Verifier) VerifyAgent(ctx context.Context, token string) (cluster, node string, expires time.Time, err error) {
	id, err := v.Verify(ctx, token)
	if err == nil {
		err = v.agent(id)
	}
	v.met.token(resultOf(err))
	if err != nil {
		v.tell(err)
		return "", "", time.Time{}, err
	}
	return v.cluster, id.Node, id.Expiry, nil
}

// agent tells whether the identity is an agent's.
func (v *Verifier) agent(id Identity) error {
	switch {
	case id.Account() != v.cfg.ServiceAccount:
		return refuse(wrongAccount, fmt.Errorf("service account %q is not the agents'", id.Account()))
	case id.Pod == "" || id.Node == "":
		return refuse(noNode, errors.New("bound to no pod and node: it must be a projected token, of Kubernetes 1.30 or newer"))
	}
	return nil
}

// Verify returns whose token it is. The error is ErrRefused or ErrUnavailable.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	t, keyID, unproven, err := parse(token)
	if err != nil {
		return Identity{}, err
	}
	keys, issuers, err := v.keys.find(ctx, keyID)
	switch {
	case err != nil:
		return v.review(ctx, token, unproven)
	case len(keys) == 0:
		return Identity{}, refuse(wrongSignature, errors.New("signed with a key that is not the api server's"))
	}
	return v.offline(t, keys, issuers)
}

// offline judges by the signature.
func (v *Verifier) offline(t *jwt.JSONWebToken, keys []jose.JSONWebKey, issuers []string) (Identity, error) {
	for _, key := range keys {
		var c claims
		if t.Claims(key.Public(), &c) != nil {
			continue
		}
		if err := c.check(v.cfg.Audience, issuers, v.now()); err != nil {
			return Identity{}, err
		}
		return c.identity()
	}
	return Identity{}, refuse(wrongSignature, errors.New("the signature is wrong"))
}

// tell logs a refusal, unless one of its kind was logged a moment ago.
func (v *Verifier) tell(err error) {
	kind := resultOf(err)
	v.mu.Lock()
	last, known := v.logged[kind]
	quiet := known && v.now().Sub(last) < logEvery
	if !quiet {
		v.logged[kind] = v.now()
	}
	v.mu.Unlock()
	if !quiet {
		v.log.Warn("agent's token not accepted", zap.String("reason", string(kind)), zap.Error(err))
	}
}
