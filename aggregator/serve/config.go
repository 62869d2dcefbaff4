package serve

import (
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/ops"
	"github.com/gopprof/gopprof/pkg/selfca"
)

// Config says where the API and the pages are served, and to whom.
type Config struct {
	// Listen is host:port of the API and the pages. Without tokens_file or token_review the
	// host must be a loopback address. Port 0 takes a free one.
	Listen string `yaml:"listen"`
	// TLSCertFile and TLSKeyFile are the server's certificate chain and key (PEM), read again
	// when they change. With both the server speaks HTTPS only.
	TLSCertFile string `yaml:"tls_cert_file"`
	// TLSKeyFile is the key to TLSCertFile.
	TLSKeyFile string `yaml:"tls_key_file"`
	// PlainHTTP allows to listen beyond loopback without TLS: for a server whose TLS ends in
	// front of it (an ingress). Tokens and profiles then cross the network behind that in
	// clear.
	PlainHTTP bool `yaml:"plain_http"`
	// TokensFile holds the tokens that callers must bring (docs/config.md has its format).
	// It is read again when it changes. Empty, and without token_review: everybody may do
	// everything, from loopback only.
	TokensFile config.SecretFile `yaml:"tokens_file"`
	// TokenReview lets callers bring tokens of service accounts, made for the audience of
	// kubernetes.callers; what they may do is what Kubernetes' RBAC gives them on reports,
	// captures and pauses of the group gopprof.io. Tokens of tokens_file go before them. With
	// kubernetes.enabled only.
	TokenReview bool `yaml:"token_review"`
	// ExternalURL is the URL at which people reach the server, with the path prefix if it has
	// one: links in messages begin with it. Empty is http://LISTEN, good for one machine.
	ExternalURL string `yaml:"external_url"`
	// PathPrefix is the path that everything is served below, such as /gopprof, when the
	// server shares a host with others. It must be the path of external_url.
	PathPrefix string `yaml:"path_prefix"`
	// RequestTimeout is how long one answer may take, a large profile over a slow line
	// included.
	RequestTimeout time.Duration `yaml:"request_timeout"`
	// APIService is the port for the cluster's API server, which brings its users.
	APIService APIServiceConfig `yaml:"api_service"`
}

// APIServiceConfig says where the aggregated API gopprof.io/v1 is served: kubectl reaches it
// by way of the API server, which alone is answered there.
type APIServiceConfig struct {
	// Listen is host:port of the aggregated API. It is always TLS, and needs
	// kubernetes.enabled. Default empty: none.
	Listen string `yaml:"listen"`
	// TLSCertFile is the certificate chain (PEM) that the API server sees, read again when it
	// changes; who makes it also writes its authority into the APIService (cert-manager's
	// injector does). It goes before own_ca. Several replicas must share one.
	TLSCertFile string `yaml:"tls_cert_file"`
	// TLSKeyFile is the key to TLSCertFile.
	TLSKeyFile string `yaml:"tls_key_file"`
	// OwnCA makes the certificate where none is given. The aggregator then writes the authority
	// into the APIService v1.gopprof.io by itself.
	OwnCA selfca.Config `yaml:"own_ca"`
}

// ownCA tells whether the certificate is of our own making.
func (c APIServiceConfig) ownCA() bool { return c.Listen != "" && c.TLSCertFile == "" }

// Check reports every mistake.
func (c APIServiceConfig) Check(report func(key, problem string)) {
	if c.Listen == "" {
		return
	}
	if problem := ops.CheckListen(c.Listen, true); problem != "" {
		report("listen", problem)
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		report("tls_key_file", "tls_cert_file and tls_key_file belong together")
	}
	if c.TLSCertFile == "" && !c.OwnCA.Enabled {
		report("listen", "needs a certificate: own_ca, or tls_cert_file and tls_key_file")
	}
}

// DefaultConfig returns the configuration of an aggregator that was told nothing: port
// 7480 of loopback.
func DefaultConfig() Config {
	own := selfca.DefaultConfig()
	own.Dir = "/var/lib/gopprof/apiservice-ca"
	return Config{Listen: "127.0.0.1:7480", RequestTimeout: 2 * time.Minute, APIService: APIServiceConfig{OwnCA: own}}
}

// Check reports every setting that makes no sense or would let strangers in.
func (c Config) Check(report func(key, problem string)) {
	secured := c.TLSCertFile != "" && c.TLSKeyFile != ""
	if problem := ops.CheckListen(c.Listen, true); problem != "" {
		report("listen", problem)
	} else if ops.CheckListen(c.Listen, false) != "" {
		if c.TokensFile == "" && !c.TokenReview {
			report("listen", "is beyond loopback, where nobody is asked who they are: set tokens_file or token_review, or listen on 127.0.0.1")
		}
		if !secured && !c.PlainHTTP {
			report("listen", "is beyond loopback without TLS: set tls_cert_file and tls_key_file, or plain_http where TLS ends in front of this server")
		}
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		report("tls_key_file", "tls_cert_file and tls_key_file belong together")
	}
	if c.RequestTimeout < time.Second || c.RequestTimeout > time.Hour {
		report("request_timeout", "must be from 1s to 1h")
	}
	if c.PathPrefix != "" && (c.PathPrefix == "/" || c.PathPrefix[0] != '/' || path.Clean(c.PathPrefix) != c.PathPrefix || strings.ContainsAny(c.PathPrefix, "{}?#% ")) {
		report("path_prefix", "must begin with / and not end with it, and be a plain path, such as /gopprof")
	}
	c.checkExternalURL(report)
}

func (c Config) checkExternalURL(report func(key, problem string)) {
	if c.ExternalURL == "" {
		return
	}
	u, err := url.Parse(c.ExternalURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		report("external_url", "must be http:// or https://, a host and perhaps a path")
		return
	}
	if strings.TrimSuffix(u.Path, "/") != c.PathPrefix {
		report("external_url", "must have path_prefix as its path")
	}
}

// Page returns the absolute URL of a report's page, as a person outside would open it. addr
// is the host:port listened on, for when no external URL is configured.
func (c Config) Page(addr, id string) string { return c.base(addr) + api.PathPage(id) }

func (c Config) base(addr string) string {
	if c.ExternalURL != "" {
		return strings.TrimSuffix(c.ExternalURL, "/")
	}
	scheme := "http"
	if c.TLSCertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + addr + c.PathPrefix
}

// baseOf returns the absolute URL of the server as the caller of a request reached it.
func (c Config) baseOf(r *http.Request) string {
	if c.ExternalURL != "" {
		return strings.TrimSuffix(c.ExternalURL, "/")
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host + c.PathPrefix
}

// hosts are the names of this server beside loopback's.
func (c Config) hosts() []string {
	u, err := url.Parse(c.ExternalURL)
	if err != nil || u.Host == "" {
		return nil
	}
	host := u.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return []string{strings.Trim(host, "[]")}
}

// origins are the places that this server's pages come from when something in front of it
// changes the Host header.
func (c Config) origins() []string {
	u, err := url.Parse(c.ExternalURL)
	if err != nil || u.Host == "" {
		return nil
	}
	return []string{u.Scheme + "://" + u.Host}
}
