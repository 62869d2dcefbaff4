package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

// How often the API server is asked for its keys: regularly, so that a withdrawn key is
// forgotten; for a key that is not known; and after a failure.
const (
	refreshEvery = 10 * time.Minute
	unknownEvery = 10 * time.Second
	failedEvery  = 2 * time.Second
)

// errNoKeys is that the API server does not tell its keys.
var errNoKeys = errors.New("the api server's keys cannot be had")

// keyring holds the keys with which the API server signs tokens, and the issuers that it
// signs as. What was had once stays while the API server is away.
type keyring struct {
	get     func(ctx context.Context, path string) ([]byte, error)
	issuers []string // configured; empty: as the API server says
	timeout time.Duration
	now     func() time.Time
	met     *metrics
	one     singleflight.Group

	mu     sync.Mutex // guards what follows
	known  *ring      // nil: never had
	tried  time.Time
	failed error // of the last attempt
}

type ring struct {
	keys    jose.JSONWebKeySet
	issuers []string
}

// find returns the keys of that ID, and the issuers. There may be none: then nobody of this
// cluster signed with it. The error is errNoKeys when the API server would have to be asked
// and does not answer.
func (k *keyring) find(ctx context.Context, id string) ([]jose.JSONWebKey, []string, error) {
	if r := k.current(); r != nil {
		if found := r.keys.Key(id); len(found) > 0 {
			return found, r.issuers, nil
		}
	}
	if err := k.refresh(ctx); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errNoKeys, err)
	}
	r := k.current()
	return r.keys.Key(id), r.issuers, nil
}

func (k *keyring) current() *ring {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known
}

// refresh asks the API server, unless that was done a moment ago. All who want it at once
// share one question, and each waits no longer than it wants to.
func (k *keyring) refresh(ctx context.Context) error {
	done := k.one.DoChan("", func() (any, error) {
		if last, fresh := k.lately(); fresh {
			return nil, last
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.timeout)
		defer cancel()
		r, err := k.fetch(ctx)
		k.keep(r, err)
		return nil, err
	})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r := <-done:
		return r.Err
	}
}

// lately returns how the last attempt ended, and whether it is too early for another.
func (k *keyring) lately() (error, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	pause := unknownEvery
	if k.failed != nil {
		pause = failedEvery
	}
	return k.failed, !k.tried.IsZero() && k.now().Sub(k.tried) < pause
}

func (k *keyring) keep(r *ring, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried, k.failed = k.now(), err
	if err == nil {
		k.known = r
	}
	k.met.refreshed(err)
}

func (k *keyring) fetch(ctx context.Context) (*ring, error) {
	r := &ring{issuers: k.issuers}
	data, err := k.get(ctx, "/openid/v1/jwks")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &r.keys); err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	if len(r.keys.Keys) == 0 {
		return nil, errors.New("reading keys: there are none")
	}
	if len(r.issuers) > 0 {
		return r, nil
	}
	if data, err = k.get(ctx, "/.well-known/openid-configuration"); err != nil {
		return nil, err
	}
	var c struct {
		Issuer string `json:"issuer"`
	}
	if err := json.Unmarshal(data, &c); err != nil || c.Issuer == "" {
		return nil, fmt.Errorf("reading issuer: none is named: %w", err)
	}
	r.issuers = []string{c.Issuer}
	return r, nil
}
