// Package forward hands requests of this machine on to the server, with the caller's
// credentials, so that tools without any (`go tool pprof`, curl) reach the API.
//
// Requests to a loopback address enter and leave for the server; its answers come back as
// they are. It must never let a web page use the credentials: what does not name this
// machine in its Host header, or comes from another origin, is refused. Whoever has an
// account on this machine can use it while it runs; nothing but the API is reached.
package forward

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/connect"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const prefix = "/api/"

// Forwarder is an http.Handler.
type Forwarder struct {
	server    connect.Server
	namespace string // of requests whose path names none
	proxy     *httputil.ReverseProxy
}

// New returns a handler for a loopback listener. namespace is what requests are about whose
// path does not say it; empty is all.
func New(server connect.Server, namespace string) *Forwarder {
	f := &Forwarder{server: server, namespace: namespace}
	f.proxy = &httputil.ReverseProxy{
		Transport:     server.HTTP.Transport,
		Rewrite:       f.rewrite,
		FlushInterval: -1, // events are to be seen when they happen
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("Set-Cookie")
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			refuse(w, http.StatusBadGateway, gopprof.ReasonNoAnswer, fmt.Sprintf("%s does not answer: %v", server.Name, err))
		},
	}
	return f
}

// ServeHTTP implements http.Handler.
func (f *Forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if why := stranger(r); why != "" {
		refuse(w, http.StatusForbidden, gopprof.ReasonForbidden, why)
		return
	}
	if why := wrongPath(r.URL); why != "" {
		refuse(w, http.StatusNotFound, gopprof.ReasonUnknown, why)
		return
	}
	f.proxy.ServeHTTP(w, r)
}

// stranger tells why a request must not be trusted, or "". A page of elsewhere whose name
// was made to resolve to this machine is told by the Host header, one that is honest about
// where it is from by the others.
func stranger(r *http.Request) string {
	if !connect.Loopback(r.Host) {
		return "the Host header must name this machine: localhost or 127.0.0.1"
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "none" && site != "same-origin" {
		return "requests of web pages are not forwarded"
	}
	for _, origin := range r.Header.Values("Origin") {
		if origin != "http://"+r.Host {
			return "requests of another origin are not forwarded"
		}
	}
	return ""
}

// wrongPath tells why a path is not of the API, or "". Escapes have no use in it, and
// could be read differently further on.
func wrongPath(u *url.URL) string {
	segments := strings.Split(u.Path, "/")
	if u.RawPath != "" || u.EscapedPath() != u.Path || slices.Contains(segments, "..") || slices.Contains(segments, ".") || slices.Contains(segments[1:max(len(segments)-1, 1)], "") {
		return "the path must hold no escapes, no dots and no empty parts"
	}
	if !strings.HasPrefix(u.Path, prefix+"v1/") {
		return "only paths below /api/v1/ are forwarded"
	}
	return ""
}

// passed are the headers that the server gets to see: above all not those that would name
// another caller.
func passed() []string {
	return []string{"Accept", "Accept-Encoding", "Content-Type", "If-None-Match", "Range", api.HeaderIdempotencyKey}
}

func (f *Forwarder) rewrite(p *httputil.ProxyRequest) {
	to := f.server.URL(namespaceOf(p.In.URL.Path, f.namespace), p.In.URL.Path)
	to.RawQuery = p.In.URL.RawQuery
	p.Out.URL, p.Out.Host = to, ""
	p.Out.Header = http.Header{}
	for _, name := range passed() {
		if values := p.In.Header.Values(name); len(values) > 0 {
			p.Out.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
}

// namespaceOf returns the namespace that a path names, or else.
func namespaceOf(path, otherwise string) string {
	rest, ok := strings.CutPrefix(path, api.PathNamespaces+"/")
	if namespace, _, more := strings.Cut(rest, "/"); ok && more {
		return namespace
	}
	return otherwise
}

func refuse(w http.ResponseWriter, status int, reason gopprof.Reason, detail string) {
	body, err := json.Marshal(api.Problem{Title: http.StatusText(status), Status: status, Detail: detail, Reason: reason})
	if err != nil {
		http.Error(w, detail, status)
		return
	}
	w.Header().Set("Content-Type", api.ContentTypeProblem)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
