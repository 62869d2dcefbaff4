package kubernetes

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/gopprof/gopprof/aggregator/serve/auth"
)

// Where every API server writes how it makes itself known to others.
const (
	frontProxyNamespace = "kube-system"
	frontProxyConfigMap = "extension-apiserver-authentication"
)

const (
	frontProxyEvery  = 30 * time.Second
	frontProxyRetry  = 2 * time.Second
	frontProxyWithin = 10 * time.Second
)

// FrontProxy knows the API server as the client of others: by which certificate, and in
// which headers it says who calls.
type FrontProxy struct {
	maps  core.ConfigMapInterface
	log   *zap.Logger
	trust atomic.Pointer[auth.Trust]
}

// NewFrontProxy reads from the API server at rc, once Run is called.
func NewFrontProxy(rc *rest.Config, log *zap.Logger) (*FrontProxy, error) {
	client, err := core.NewForConfig(rc)
	if err != nil {
		return nil, fmt.Errorf("reaching kubernetes: %w", err)
	}
	return newFrontProxy(client, log), nil
}

func newFrontProxy(client core.ConfigMapsGetter, log *zap.Logger) *FrontProxy {
	f := &FrontProxy{maps: client.ConfigMaps(frontProxyNamespace), log: log}
	f.trust.Store(&auth.Trust{})
	return f
}

// Trust returns whom to believe now: nobody, until the API server has said it.
func (f *FrontProxy) Trust() auth.Trust { return *f.trust.Load() }

// Run reads now and again, until ctx ends. While it fails what was read last holds.
func (f *FrontProxy) Run(ctx context.Context) error {
	last, wait := errors.New("not yet"), time.Duration(0)
	for {
		err := f.read(ctx)
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case err != nil && (last == nil || last.Error() != err.Error()):
			f.log.Error("the API server's front proxy is not known, trying again; what comes by way of the API server may be refused", zap.Error(err))
		case err == nil && last != nil:
			f.log.Info("the API server's front proxy is known", zap.Strings("names", f.Trust().Names))
		}
		if last = err; err == nil {
			wait = frontProxyEvery
		} else {
			wait = min(max(frontProxyRetry, 2*wait), frontProxyEvery)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func (f *FrontProxy) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, frontProxyWithin)
	defer cancel()
	m, err := f.maps.Get(ctx, frontProxyConfigMap, meta.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading configmap %q: %w", frontProxyConfigMap, err)
	}
	trust, err := trustOf(m)
	if err != nil {
		return fmt.Errorf("reading configmap %q: %w", frontProxyConfigMap, err)
	}
	f.trust.Store(&trust)
	return nil
}

// trustOf reads the keys that k8s.io/apiserver's "requestheader" options have.
func trustOf(m *corev1.ConfigMap) (auth.Trust, error) {
	t := auth.Trust{Roots: x509.NewCertPool()}
	ca := m.Data["requestheader-client-ca-file"]
	if ca == "" {
		return auth.Trust{}, errors.New("there is no requestheader-client-ca-file: the API server has no aggregation layer")
	}
	if !t.Roots.AppendCertsFromPEM([]byte(ca)) {
		return auth.Trust{}, errors.New("requestheader-client-ca-file holds no certificate")
	}
	for key, into := range map[string]*[]string{
		"requestheader-allowed-names": &t.Names, "requestheader-username-headers": &t.UserHeaders, "requestheader-uid-headers": &t.UIDHeaders,
		"requestheader-group-headers": &t.GroupHeaders, "requestheader-extra-headers-prefix": &t.ExtraPrefixes,
	} {
		if text := m.Data[key]; text != "" {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				return auth.Trust{}, fmt.Errorf("%s: %w", key, err)
			}
			if slices.Contains(*into, "") { // as a prefix it would be every header's
				return auth.Trust{}, fmt.Errorf("%s: there is an empty one", key)
			}
		}
	}
	if len(t.UserHeaders) == 0 {
		return auth.Trust{}, errors.New("there are no requestheader-username-headers")
	}
	return t, nil
}
