package auth

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// User is somebody whom an API server knows.
type User struct {
	Name   string
	UID    string
	Groups []string
	Extra  map[string][]string
}

// Trust says whom to believe that they speak in another's name: the API server, known by
// the certificate that it shows as a client. The zero Trust is nobody.
type Trust struct {
	Roots *x509.CertPool // which signed the certificate; nil: nobody is believed
	Names []string       // its common name is one of these; empty: any will do
	// Headers name the user, in the order in which they are looked at.
	UserHeaders, UIDHeaders, GroupHeaders []string
	ExtraPrefixes                         []string
}

// ProxyOptions say how callers are known whom an API server brings.
type ProxyOptions struct {
	Cluster string // whose API server it is
	Trust   func() Trust
	Rights  func(User) Rights
	Now     func() time.Time
	Log     *zap.Logger                                                 // where every request leaves a line
	Refuse  func(w http.ResponseWriter, r *http.Request, p api.Problem) // writes a refusal
}

// Proxied lets those requests through to next that the API server brings, with the Caller
// that it names. A browser behind `kubectl proxy` must not be led here by another site's page.
// Whoever else comes is refused, whomever he says he is. What says who the
// caller is goes no further than here.
func Proxied(o ProxyOptions, next http.Handler) http.Handler {
	sites := sameSite(nil, o.Refuse)
	return audited(o.Log, wayAPIServer, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		trust := o.Trust()
		if problem := trust.refuses(r.TLS, o.Now()); problem != "" {
			o.Refuse(w, r, unknown(problem))
			return
		}
		user := trust.user(r.Header)
		if user.Name == "" {
			o.Refuse(w, r, unknown("the API server does not say who calls"))
			return
		}
		e := lineOf(r.Context())
		e.who, e.groups = user.Name, len(user.Groups)
		caller := Caller{Name: user.Name, Cluster: o.Cluster, Rights: o.Rights(user)}
		r = r.WithContext(With(r.Context(), caller))
		r.Header = trust.without(r.Header)
		sites.Handler(next).ServeHTTP(w, r)
	}))
}

func unknown(detail string) api.Problem {
	return api.Problem{Status: http.StatusUnauthorized, Reason: gopprof.ReasonForbidden, Detail: detail}
}

// refuses tells why the other end of a connection is not believed, or returns "".
func (t Trust) refuses(state *tls.ConnectionState, now time.Time) string {
	switch {
	case t.Roots == nil:
		return "it is not known yet by which certificate the API server can be told"
	case state == nil || len(state.PeerCertificates) == 0:
		return "only the API server is answered here, which shows a certificate"
	}
	leaf, between := state.PeerCertificates[0], x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: t.Roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	switch {
	case err != nil:
		return "the certificate is not the API server's"
	case len(t.Names) > 0 && !slices.Contains(t.Names, leaf.Subject.CommonName):
		return "the certificate does not have the name of the API server's front proxy"
	}
	return ""
}

// user reads whom the headers name.
func (t Trust) user(h http.Header) User {
	u := User{Name: firstOf(h, t.UserHeaders), UID: firstOf(h, t.UIDHeaders)}
	for _, key := range t.GroupHeaders {
		u.Groups = append(u.Groups, h.Values(key)...)
	}
	for key, values := range h {
		if name, ok := extraName(key, t.ExtraPrefixes); ok {
			if u.Extra == nil {
				u.Extra = map[string][]string{}
			}
			u.Extra[name] = append(u.Extra[name], values...)
		}
	}
	return u
}

func firstOf(h http.Header, keys []string) string {
	for _, key := range keys {
		if v := h.Get(key); v != "" {
			return v
		}
	}
	return ""
}

// extraName returns what a header tells of a user beside name and groups. Names that
// cannot stand in a header are escaped as in a URL.
func extraName(key string, prefixes []string) (string, bool) {
	for _, prefix := range prefixes {
		if len(key) <= len(prefix) || !strings.EqualFold(key[:len(prefix)], prefix) {
			continue
		}
		name := strings.ToLower(key[len(prefix):])
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
		return name, true
	}
	return "", false
}

// without returns the headers without those that say who calls.
func (t Trust) without(h http.Header) http.Header {
	out := h.Clone()
	for _, keys := range [][]string{t.UserHeaders, t.UIDHeaders, t.GroupHeaders, {"Authorization", "Cookie"}} {
		for _, key := range keys {
			out.Del(key)
		}
	}
	for key := range out {
		if _, ok := extraName(key, t.ExtraPrefixes); ok {
			out.Del(key)
		}
	}
	return out
}
