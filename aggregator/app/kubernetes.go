package app

import (
	"context"
	"errors"

	"github.com/gopprof/gopprof/aggregator/dispatch/resolve"
	"github.com/gopprof/gopprof/aggregator/serve/auth/kubernetes"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
)

// KubernetesConfig says what the aggregator does for a cluster.
type KubernetesConfig struct {
	// Enabled switches everything here on: agents may prove themselves to the embedded NATS
	// with service-account tokens, owners are looked up, the CA is published.
	Enabled bool `yaml:"enabled"`
	// Cluster is the name of the cluster whose API server is asked, as in the configuration of
	// its agents: whoever comes with a token is an agent of this one.
	Cluster string `yaml:"cluster"`
	// Server is the cluster's API server.
	Server kubernetes.ServerConfig `yaml:"server"`
	// Tokens says which service-account tokens make an agent.
	Tokens kubernetes.Config `yaml:"tokens"`
	// CA says where agents find the certificates that they must trust.
	CA kubernetes.PublishConfig `yaml:"ca"`
	// Owners says how the owners of pods are found.
	Owners resolve.Config `yaml:"owners"`
}

func defaultKubernetesConfig() KubernetesConfig {
	return KubernetesConfig{Cluster: "default", Tokens: kubernetes.DefaultConfig(), Owners: resolve.DefaultConfig()}
}

// checkKubernetes reports what the parts cannot see each by itself.
func (c Config) checkKubernetes(report func(key, problem string)) {
	k := c.Kubernetes
	if k.Cluster == "" {
		report("kubernetes.cluster", "must be the name of the cluster, as in its agents' configuration")
	}
	own := c.NATS.URL == "" && c.Embedded.OwnCA.Enabled && c.Embedded.CertFile == ""
	if k.CA.ConfigMap != "" && k.CA.File == "" && !own {
		report("kubernetes.ca.config_map", "there is nothing to write into it: kubernetes.ca.file is needed, or embedded.own_ca")
	}
}

// makeKubernetes makes what needs the API server. Nothing here waits for it: the
// aggregator starts and works while it is away.
func (a *App) makeKubernetes(context.Context) error {
	c := a.config.Kubernetes
	if !c.Enabled {
		return nil
	}
	server, err := kubernetes.Connect(c.Server)
	if err != nil {
		return err
	}
	if a.tokens, err = kubernetes.NewVerifier(c.Tokens, c.Cluster, server, a.log, a.reg); err != nil {
		return err
	}
	if a.owners, err = resolve.New(c.Owners, c.Cluster, server, a.log, a.reg); err != nil {
		return err
	}
	if c.CA.ConfigMap == "" {
		return nil
	}
	a.publish, err = kubernetes.NewPublisher(c.CA, a.ownCA, server, a.log, a.reg)
	return err
}

// verifier judges the tokens of agents; nil outside of Kubernetes, where there are none.
func (a *App) verifier() embedded.Verifier {
	if a.tokens == nil {
		return nil
	}
	return a.tokens
}

// ownCA is what agents must trust when the embedded server makes its own certificate.
func (a *App) ownCA() ([]byte, <-chan struct{}, error) {
	if a.nats == nil {
		return nil, nil, errors.New("no embedded nats")
	}
	pem, changed, own := a.nats.CA()
	if !own {
		return nil, nil, errors.New("the embedded nats has a certificate of somebody else's making")
	}
	return pem, changed, nil
}

// runKubernetes starts what asks and tells the API server by itself.
func (a *App) runKubernetes() {
	if a.tokens != nil {
		a.stages.Go("token keys", a.tokens.Run)
	}
	if a.publish != nil {
		a.stages.Go("ca configmap", a.publish.Run)
	}
}
