package apiservice

import (
	"net/http"
	"slices"
	"strings"
)

// base is the path below which everything is, but for discovery.
const base = "/apis/" + groupVersion + "/"

// asked is a path, taken apart as an API server does.
type asked struct {
	namespace string // empty: all
	resource  string
	name      string // empty: the list
	sub       string // the subresource
	rest      string // what follows it, without leading slash
}

// kind is the resource's name in discovery: pods/proxy.
func (a asked) kind() string {
	if a.sub == "" {
		return a.resource
	}
	return a.resource + "/" + a.sub
}

// parse takes a path apart. A path with an empty segment, "." or ".." is none: whoever
// looks at it next could understand another than the API server has allowed.
func parse(path string) (asked, bool) {
	rest, ok := strings.CutPrefix(path, base)
	if !ok {
		return asked{}, false
	}
	parts := strings.Split(rest, "/")
	if slices.ContainsFunc(parts, func(p string) bool { return p == "" || p == "." || p == ".." }) {
		return asked{}, false
	}
	var a asked
	if parts[0] == "namespaces" {
		if len(parts) < 3 {
			return asked{}, false
		}
		a.namespace, parts = parts[1], parts[2:]
	}
	for i, into := range []*string{&a.resource, &a.name, &a.sub} {
		if i < len(parts) {
			*into = parts[i]
		}
	}
	if len(parts) > 3 {
		a.rest = strings.Join(parts[3:], "/")
	}
	if a.rest != "" && a.sub != "proxy" {
		return asked{}, false
	}
	return a, true
}

// verbOf says a request's method as an API server's rights do.
func verbOf(r *http.Request, a asked) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if a.sub == "" && slices.Contains([]string{"1", "true"}, r.URL.Query().Get("watch")) {
			return "watch"
		}
		if a.name == "" {
			return "list"
		}
		return "get"
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodDelete:
		if a.name == "" {
			return "deletecollection"
		}
	}
	return strings.ToLower(r.Method)
}
