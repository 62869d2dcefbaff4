package kubernetes

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/config"
)

// ServerConfig says where the API server is.
type ServerConfig struct {
	// Address of the API server, https://…, for an aggregator outside of the cluster. Default:
	// that of the cluster in which the aggregator runs, as the pod's service account.
	URL string `yaml:"url"`
	// File with the certificates (PEM) that the API server's must be signed by. With url only.
	// Default: none, the machine's own.
	CAFile string `yaml:"ca_file"`
	// File with the token that the API server knows us by, read again each minute. With url
	// only. Default: none.
	TokenFile config.SecretFile `yaml:"token_file"`
}

// Check reports every mistake.
func (c ServerConfig) Check(report func(key, problem string)) {
	u, err := url.Parse(c.URL)
	switch {
	case c.URL == "" && (c.CAFile != "" || c.TokenFile != ""):
		report("url", "must be given with ca_file and token_file")
	case c.URL != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != ""):
		report("url", "must be an address such as https://10.0.0.1:6443")
	}
}

// Config says which service-account tokens are believed.
type Config struct {
	// Service account of the agents, NAMESPACE/NAME. Its tokens, and no other account's, make
	// an agent. Default gopprof/gopprof-agent.
	ServiceAccount string `yaml:"service_account"`
	// Audience for which the tokens are made: that of the projected volume in the agent's
	// DaemonSet. Default gopprof.
	Audience string `yaml:"audience"`
	// Issuers whose tokens are believed. Give both while the cluster changes from one to
	// another. Default: the one that the API server names.
	Issuers []string `yaml:"issuers"`
	// Most TokenReviews a second, for the time in which the API server's public keys cannot
	// be had. Raise it for more than a few thousand nodes. Default 100.
	ReviewsPerSecond int `yaml:"reviews_per_second"`
	// How long the API server may take to tell its keys. An agent waits 5 seconds for NATS.
	// Default 3s.
	Timeout time.Duration `yaml:"timeout"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{ServiceAccount: "gopprof/gopprof-agent", Audience: "gopprof", ReviewsPerSecond: 100, Timeout: 3 * time.Second}
}

// objectName is NAMESPACE/NAME.
var objectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)

// Check reports every mistake.
func (c Config) Check(report func(key, problem string)) {
	if !objectName.MatchString(c.ServiceAccount) {
		report("service_account", "must be NAMESPACE/NAME of a service account")
	}
	if strings.TrimSpace(c.Audience) == "" {
		report("audience", "must not be empty: tokens made for the API server would be believed")
	}
	for _, i := range c.Issuers {
		if i == "" {
			report("issuers", "must not hold an empty one")
		}
	}
	if c.ReviewsPerSecond < 1 || c.ReviewsPerSecond > 10_000 {
		report("reviews_per_second", "must be 1 to 10000")
	}
	if c.Timeout <= 0 || c.Timeout > 4*time.Second {
		report("timeout", "must be more than 0 and at most 4s: an agent does not wait longer")
	}
}

// PublishConfig says where the certificates stand that agents must trust.
type PublishConfig struct {
	// ConfigMap that the aggregator writes them into, NAMESPACE/NAME, under the key ca.crt.
	// It must exist; the aggregator needs the right to patch it and no other. Default: none.
	ConfigMap string `yaml:"config_map"`
	// File with these certificates (PEM) when embedded.cert_file is used, such as the ca.crt
	// of cert-manager; read again each minute. Default: those of embedded.own_ca.
	File string `yaml:"file"`
}

// Check reports every mistake.
func (c PublishConfig) Check(report func(key, problem string)) {
	if c.ConfigMap != "" && !objectName.MatchString(c.ConfigMap) {
		report("config_map", "must be NAMESPACE/NAME of a ConfigMap")
	}
	if c.ConfigMap == "" && c.File != "" {
		report("file", "config_map must be given too")
	}
}

// CallersConfig says how people and programs are known that the API server vouches for.
type CallersConfig struct {
	// Audience for which tokens of callers are made (serve.token_review):
	// kubectl create token NAME --audience=gopprof. Default gopprof.
	Audience string `yaml:"audience"`
	// How long the API server may take to say whose a token is, or what somebody may do.
	// Without an answer nothing may be done. Default 5s.
	Timeout time.Duration `yaml:"timeout"`
	// Most questions a second about whose a token is: strangers may bring any. Answers are kept
	// for seconds. Default 50.
	ReviewsPerSecond int `yaml:"reviews_per_second"`
}

// DefaultCallersConfig returns the defaults.
func DefaultCallersConfig() CallersConfig {
	return CallersConfig{Audience: "gopprof", Timeout: 5 * time.Second, ReviewsPerSecond: 50}
}

// Check reports every mistake.
func (c CallersConfig) Check(report func(key, problem string)) {
	if strings.TrimSpace(c.Audience) == "" {
		report("audience", "must not be empty: tokens made for the API server would be believed")
	}
	if c.Timeout <= 0 || c.Timeout > 30*time.Second {
		report("timeout", "must be more than 0 and at most 30s")
	}
	if c.ReviewsPerSecond < 1 || c.ReviewsPerSecond > 10_000 {
		report("reviews_per_second", "must be 1 to 10000")
	}
}
