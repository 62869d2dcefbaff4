package apiservice

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"mime"
	"net/http"
	"strings"

	"github.com/gopprof/gopprof/pkg/api"
)

// The gateways: what stands below gateway/NAME/proxy/.
const (
	gatewayAPI   = "v1"    // the HTTP API: /api/v1/
	gatewayPages = "pages" // the pages, and the HTTP API below api/v1/
)

// roots are the paths that the gateways lead to, and out of which nothing there may lead.
var roots = map[string]string{gatewayAPI: "/api/v1/", gatewayPages: "/"}

// gatewayOf returns where a gateway stands, in a namespace or in none.
func gatewayOf(namespace, name string) string {
	if namespace != "" {
		return base + "namespaces/" + namespace + "/gateway/" + name + "/proxy/"
	}
	return base + "gateway/" + name + "/proxy/"
}

// profile has a fresh profile of a pod or a workload of this cluster taken: the path is
// net/http/pprof's, so that `go tool pprof` and `kubectl get --raw` read it.
func (s *service) profile(w http.ResponseWriter, r *http.Request, a asked) {
	page, ok := strings.CutPrefix(a.rest, "debug/pprof/")
	if !ok || strings.Contains(page, "/") {
		writeStatus(w, http.StatusNotFound, "profiles are at .../proxy/debug/pprof/KIND: profile, heap, goroutine ...")
		return
	}
	here := r.Clone(r.Context())
	q := r.URL.Query()
	q.Set("cluster", s.Cluster)
	here.URL.RawQuery = q.Encode()
	translated := &statusWriter{ResponseWriter: w}
	s.pass(translated, here, api.PathNamespaces+"/"+a.namespace+"/"+a.resource+"/"+a.name+"/debug/pprof/"+page, a.namespace)
	translated.finish()
}

// gateway is the HTTP API as it is, for programs that know it: the command, and scripts; or
// the pages, for browsers that come through `kubectl proxy`.
func (s *service) gateway(w http.ResponseWriter, r *http.Request, a asked) {
	root, ok := roots[a.name]
	if a.name == gatewayPages {
		led := &ledWriter{ResponseWriter: w}
		w = led
		if a.rest == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			led.lead(gatewayOf(a.namespace, gatewayPages) + "reports")
			return
		}
	}
	if !ok || a.rest == "" {
		writeStatus(w, http.StatusNotFound, "the HTTP API is at "+gatewayOf(a.namespace, gatewayAPI)+", the pages are at "+gatewayOf(a.namespace, gatewayPages)+"reports")
		return
	}
	s.passAt(w, r, root+a.rest, root, gatewayOf(a.namespace, a.name))
}

// pass hands a request on to the HTTP API.
func (s *service) pass(w http.ResponseWriter, r *http.Request, path, namespace string) {
	s.passAt(w, r, path, roots[gatewayAPI], gatewayOf(namespace, gatewayAPI))
}

// passAt hands a request on. What lies below root stands at gateway.
func (s *service) passAt(w http.ResponseWriter, r *http.Request, path, root, gateway string) {
	inner := r.Clone(r.Context())
	inner.URL.Path, inner.URL.RawPath, inner.RequestURI = path, "", ""
	s.API.ServeHTTP(&locatedWriter{ResponseWriter: w, root: root, gateway: gateway}, inner)
}

// locatedWriter makes a Location below root one that leads back here. One that is relative
// does so as it is.
type locatedWriter struct {
	http.ResponseWriter
	root, gateway string
	begun         bool
}

func (w *locatedWriter) WriteHeader(status int) {
	if below, ok := strings.CutPrefix(w.Header().Get("Location"), w.root); ok && !w.begun {
		w.Header().Set("Location", w.gateway+below)
	}
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *locatedWriter) Write(p []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *locatedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ledWriter leads on by a page what would be led on by a redirection: an API server lets none
// through from behind it (it answers 502 in its place).
type ledWriter struct {
	http.ResponseWriter
	led bool
}

func (w *ledWriter) WriteHeader(status int) {
	if to := w.Header().Get("Location"); to != "" && status/100 == 3 {
		w.Header().Del("Location")
		w.lead(to)
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *ledWriter) lead(to string) {
	w.led = true
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:")
	w.ResponseWriter.WriteHeader(http.StatusOK)
	to = html.EscapeString(to)
	_, _ = fmt.Fprintf(w.ResponseWriter, "<!doctype html>\n<html lang=\"en\"><head><title>gopprof</title><link rel=\"icon\" href=\"data:,\"><meta http-equiv=\"refresh\" content=\"0; url=%s\"></head>"+
		"<body><main><h1>gopprof</h1><p><a href=\"%s\">Go on</a></p></main></body></html>\n", to, to)
}

func (w *ledWriter) Write(p []byte) (int, error) {
	if w.led {
		return len(p), nil // what stands below a redirection
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *ledWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// mostProblemBytes bounds what is read of a problem.
const mostProblemBytes = 64 << 10

// statusWriter says problems of the HTTP API as an API server does, which is all that
// kubectl shows to a person. Other answers go through as they come.
type statusWriter struct {
	http.ResponseWriter
	status  int          // of the problem; 0: it is none
	problem bytes.Buffer // its body
}

func (w *statusWriter) WriteHeader(status int) {
	kind, _, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if status >= http.StatusBadRequest && err == nil && kind == api.ContentTypeProblem {
		w.status = status
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		return w.ResponseWriter.Write(p)
	}
	if w.problem.Len()+len(p) <= mostProblemBytes {
		w.problem.Write(p)
	}
	return len(p), nil
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// finish writes the problem, if there was one.
func (w *statusWriter) finish() {
	if w.status == 0 {
		return
	}
	var p api.Problem
	if err := json.Unmarshal(w.problem.Bytes(), &p); err != nil || p.Detail == "" {
		p.Detail = http.StatusText(w.status)
	}
	w.Header().Del("Content-Length")
	writeStatus(w.ResponseWriter, w.status, p.Detail)
}
