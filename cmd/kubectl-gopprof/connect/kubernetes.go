package connect

import (
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime/schema"
	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc" // kubeconfigs may name it
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// kubernetes returns the server behind the API server of the kubeconfig.
func (o Options) kubernetes() (Server, error) {
	loader := o.loader()
	cfg, err := loader.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return Server{}, fmt.Errorf("no kubeconfig: set KUBECONFIG or --kubeconfig, or name a server of gopprof with --server")
	}
	if err != nil {
		return Server{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return Server{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	cfg.UserAgent = o.UserAgent
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return Server{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	base, _, err := rest.DefaultServerURL(cfg.Host, "", schema.GroupVersion{}, rest.IsConfigTransportTLS(*cfg))
	if err != nil {
		return Server{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return Server{
		Name: "the API server " + base.String(), Namespace: namespace, Gateway: true, base: base,
		HTTP: &http.Client{Transport: client.Transport, CheckRedirect: noRedirects},
	}, nil
}

func (o Options) loader() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.Context}
	overrides.Context.Namespace = o.Namespace
	overrides.AuthInfo.Impersonate = o.As
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
}

// Contexts returns the names of the kubeconfig's contexts, for completion.
func (o Options) Contexts() []string {
	raw, err := o.loader().RawConfig()
	if err != nil {
		return nil
	}
	var names []string
	for name := range raw.Contexts {
		names = append(names, name)
	}
	return names
}
