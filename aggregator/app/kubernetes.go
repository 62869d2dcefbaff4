package app

import (
	"context"
	"errors"

	"github.com/gopprof/gopprof/aggregator/dispatch/resolve"
	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/aggregator/serve/auth"
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
	// Callers says how people and programs are known that the API server vouches for: those
	// who bring tokens of service accounts (serve.token_review), and those whom it brings
	// itself (serve.api_service).
	Callers kubernetes.CallersConfig `yaml:"callers"`
	// Owners says how the owners of pods are found.
	Owners resolve.Config `yaml:"owners"`
}

func defaultKubernetesConfig() KubernetesConfig {
	return KubernetesConfig{Cluster: "default", Tokens: kubernetes.DefaultConfig(), Callers: kubernetes.DefaultCallersConfig(), Owners: resolve.DefaultConfig()}
}

// checkKubernetes reports what the parts cannot see each by itself.
func (c Config) checkKubernetes(report func(key, problem string)) {
	k := c.Kubernetes
	if k.Cluster == "" {
		report("kubernetes.cluster", "must be the name of the cluster, as in its agents' configuration")
	}
	if !k.Enabled && c.Serve.TokenReview {
		report("serve.token_review", "needs kubernetes.enabled: the API server says whose a token is")
	}
	if !k.Enabled && c.Serve.APIService.Listen != "" {
		report("serve.api_service.listen", "needs kubernetes.enabled: the API server brings its users there")
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
	if a.users, err = a.newUsers(); err != nil || c.CA.ConfigMap == "" {
		return err
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
	a.users.run(a)
}

// users are what the cluster's API server knows of people and programs: what the HTTP
// server needs to let them in. The zero users are nobody.
type users struct {
	cluster string
	callers *kubernetes.Callers    // nil: not for Kubernetes
	front   *kubernetes.FrontProxy // nil: no aggregated API
	tell    *kubernetes.Publisher  // nil: its certificate is of somebody else's making
	review  bool                   // callers may bring tokens
}

// newUsers makes what asks the API server about callers. Nothing here waits for it.
func (a *App) newUsers() (u users, err error) {
	c, port := a.config.Kubernetes, a.config.Serve.APIService
	server, err := kubernetes.Connect(c.Server)
	if err != nil {
		return u, err
	}
	u.cluster, u.review = c.Cluster, a.config.Serve.TokenReview
	if u.callers, err = kubernetes.NewCallers(c.Callers, c.Cluster, server, a.reg); err != nil || port.Listen == "" {
		return u, err
	}
	if u.front, err = kubernetes.NewFrontProxy(server, a.log); err != nil || port.TLSCertFile != "" {
		return u, err
	}
	u.tell, err = kubernetes.NewRegistrar(a.serviceCA, server, a.log, a.reg)
	return u, err
}

// tokens knows callers by the tokens that they bring; nil where they may bring none.
func (u users) tokens() auth.Finder {
	if !u.review || u.callers == nil {
		return nil
	}
	return u.callers
}

// apiServer is the API server that brings its users, for the aggregated API.
func (u users) apiServer() serve.APIServer {
	if u.front == nil {
		return serve.APIServer{}
	}
	return serve.APIServer{Cluster: u.cluster, Trust: u.front.Trust, Rights: u.callers.Rights}
}

// serviceCA is what the API server must trust to reach the aggregated API.
func (a *App) serviceCA() ([]byte, <-chan struct{}, error) {
	if a.serve == nil {
		return nil, nil, errors.New("the aggregated API is not served yet")
	}
	pem, changed, own := a.serve.CA()
	if !own {
		return nil, nil, errors.New("the aggregated API has a certificate of somebody else's making")
	}
	return pem, changed, nil
}

// run starts what asks and tells the API server by itself.
func (u users) run(a *App) {
	if u.front != nil {
		a.stages.Go("front proxy", u.front.Run)
	}
	if u.tell != nil {
		a.stages.Go("apiservice", u.tell.Run)
	}
}
