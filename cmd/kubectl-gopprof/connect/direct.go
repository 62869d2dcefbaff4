package connect

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/gopprof/gopprof/pkg/config"
)

// direct returns the server at a URL.
func (o Options) direct(server string) (Server, error) {
	base, err := parseServer(server)
	if err != nil {
		return Server{}, err
	}
	token := o.token()
	if secret, err := token(); err != nil {
		return Server{}, err
	} else if secret != "" && base.Scheme != "https" && !Loopback(base.Hostname()) {
		return Server{}, fmt.Errorf("server %q is not asked by https: the token could be read on its way", base)
	}
	transport, err := o.transport()
	if err != nil {
		return Server{}, err
	}
	return Server{
		Name: base.String(), Namespace: o.Namespace, base: base,
		HTTP: &http.Client{Transport: bearer{transport, token, o.UserAgent}, CheckRedirect: noRedirects},
	}, nil
}

func parseServer(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return nil, errors.New("the server must be a URL like https://gopprof.example.com")
	case u.User != nil:
		return nil, errors.New("the server's URL must hold no user or password: use --token-file or " + EnvToken)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("server %q: must end with the path", raw)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

// token returns what reads the token; it is read for each request, so that a new one is
// seen. An empty token is none.
func (o Options) token() func() (string, error) {
	if o.TokenFile == "" {
		return func() (string, error) { return o.Getenv(EnvToken), nil }
	}
	return func() (string, error) {
		token, err := config.SecretFile(o.TokenFile).Read()
		if err == nil && token == "" {
			err = fmt.Errorf("token file %q is empty", o.TokenFile)
		}
		return token, err
	}
}

func (o Options) transport() (*http.Transport, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if o.CAFile == "" {
		return transport, nil
	}
	pem, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading --ca-file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca-file %q holds no PEM certificate", o.CAFile)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	return transport, nil
}

// bearer adds the token to each request.
type bearer struct {
	next      http.RoundTripper
	token     func() (string, error)
	userAgent string
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.token()
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", b.userAgent)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return b.next.RoundTrip(r)
}

// Loopback tells whether a host, with or without a port, is this machine: what nobody else
// can answer or listen to.
func Loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}
