// Package connect finds the server that the command talks to, and the credentials for it.
//
// Flags and the environment enter; a Server leaves, whose HTTP client brings the
// credentials along. There are two ways to the one API: directly, and through the
// Kubernetes API server, which knows who asks and hands the request on.
//
// It sends nothing itself. A token must never come from the command line, which every
// process of the machine can read, never leave over an unencrypted connection that is not
// loopback, and never follow a redirect.
package connect

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// HostsServer is what the command called `gopprof` asks when nothing else is named: an
// aggregator of this machine.
const HostsServer = "http://127.0.0.1:7480"

// EnvServer and EnvToken are the variables that stand in for flags.
const (
	EnvServer = "GOPPROF_SERVER"
	EnvToken  = "GOPPROF_TOKEN"
)

// Options are the flags and the rest that decide where to go.
type Options struct {
	Server    string // base URL of a direct connection
	TokenFile string // its bearer token
	CAFile    string // PEM certificates that its certificate may be signed by, beside the system's

	Kubeconfig string // path; empty is what kubectl would take
	Context    string // of the kubeconfig
	As         string // user to impersonate
	Namespace  string // over the kubeconfig's

	Hosts     bool // called for hosts: without a word, the server is HostsServer
	UserAgent string
	Getenv    func(string) string
}

// Server is where the API answers.
type Server struct {
	Name      string       // how messages call it
	HTTP      *http.Client // brings the credentials; follows no redirect
	Namespace string       // that requests are about, when nobody said; empty is not known
	Gateway   bool         // reached through the Kubernetes API server

	base *url.URL
}

// Open returns the server of the options. Nothing is asked yet: only the options and the
// files that they name can be wrong.
func (o Options) Open() (Server, error) {
	server, err := o.pick()
	switch {
	case err != nil:
		return Server{}, err
	case server == "":
		return o.kubernetes()
	}
	return o.direct(server)
}

// pick returns the server of a direct connection, or "" for Kubernetes'.
func (o Options) pick() (string, error) {
	cluster := o.Kubeconfig != "" || o.Context != "" || o.As != ""
	switch {
	case o.Server != "" && cluster:
		return "", errors.New("--server goes past Kubernetes: it cannot be given together with --kubeconfig, --context or --as")
	case o.Server != "":
		return o.Server, nil
	case cluster && (o.TokenFile != "" || o.CAFile != ""):
		return "", errors.New("--token-file and --ca-file are for --server: a kubeconfig names its own")
	case cluster:
		return "", nil
	case o.Getenv(EnvServer) != "":
		return o.Getenv(EnvServer), nil
	case o.Hosts:
		return HostsServer, nil
	case o.TokenFile != "" || o.CAFile != "":
		return "", errors.New("--token-file and --ca-file need --server or " + EnvServer)
	}
	return "", nil
}

// URL returns the address of a path of the API, "/api/v1/…", for requests about a
// namespace, or about all of them when it is empty. The path must be made of safe parts.
func (s Server) URL(namespace, path string) *url.URL {
	if !s.Gateway {
		return s.join(path)
	}
	rest := strings.TrimPrefix(path, "/api/v1/")
	if namespace == "" {
		return s.join("apis/gopprof.io/v1/gateway/v1/proxy", rest)
	}
	return s.join("apis/gopprof.io/v1/namespaces", namespace, "gateway/v1/proxy", rest)
}

// Page returns the address of a page for people, or "" where only the API is reached.
func (s Server) Page(path string) string {
	if s.Gateway {
		return ""
	}
	return s.join(path).String()
}

// join appends to the base's path. Without one JoinPath would leave out the first slash.
func (s Server) join(parts ...string) *url.URL {
	base := *s.base
	if base.Path == "" {
		base.Path = "/"
	}
	return base.JoinPath(parts...)
}

// noRedirects hands a redirect to the caller: credentials go to the server named and
// nowhere else.
func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
