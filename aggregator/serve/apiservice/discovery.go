package apiservice

import (
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// resource is one resource of the API.
type resource struct {
	name       string // "pods/proxy"
	kind       string
	namespaced bool
	anywhere   bool // in a namespace or in none
	verbs      []string
	serve      func(http.ResponseWriter, *http.Request, asked)
}

// stands tells whether there is such a thing where it is asked for.
func (x resource) stands(a asked) bool {
	switch {
	case x.anywhere:
		return true
	case x.namespaced:
		return a.namespace != "" || a.name == "" // a list may be of all namespaces
	}
	return a.namespace == ""
}

// workloads are what may be profiled as a whole, as Kubernetes calls them.
var workloads = []string{"deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs"}

// all returns every resource: what is listed, what is profiled, the HTTP API, and names
// that only rights are given on.
func (s *service) all() []resource {
	out := []resource{
		{name: "reports", kind: "Report", namespaced: true, verbs: []string{"get", "list"}, serve: s.reports},
		{name: "targets", kind: "Target", namespaced: true, verbs: []string{"get", "list"}, serve: s.targets},
		{name: "pods/proxy", kind: "Profile", namespaced: true, verbs: []string{"get"}, serve: s.profile},
	}
	for _, w := range workloads {
		out = append(out, resource{name: w + "/proxy", kind: "Profile", namespaced: true, verbs: []string{"get"}, serve: s.profile})
	}
	return append(out,
		resource{name: "gateway/proxy", kind: "Gateway", namespaced: true, anywhere: true, verbs: []string{"get", "create", "update", "delete"}, serve: s.gateway},
		resource{name: "captures", kind: "Capture", namespaced: true, verbs: []string{"create"}, serve: elsewhere},
		resource{name: "operations", kind: "Operation", namespaced: true, verbs: []string{"get"}, serve: elsewhere},
		resource{name: "pauses", kind: "Pause", verbs: []string{"get", "update"}, serve: elsewhere},
	)
}

// discovery returns what is said of the API at a path.
func (s *service) discovery(path string) (any, bool) {
	v := metav1.GroupVersionForDiscovery{GroupVersion: groupVersion, Version: version}
	g := metav1.APIGroup{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroup"}, Name: group,
		Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v,
	}
	switch strings.TrimSuffix(path, "/") {
	case "/apis":
		return metav1.APIGroupList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroupList"}, Groups: []metav1.APIGroup{g}}, true
	case "/apis/" + group:
		return g, true
	case "/apis/" + groupVersion:
		return s.list(), true
	// API servers ask for these again each minute, and log an error for as long as there are
	// none.
	case "/openapi/v2":
		return map[string]any{"swagger": "2.0", "info": map[string]string{"title": group, "version": version}, "paths": map[string]any{}}, true
	case "/openapi/v3":
		return map[string]any{"paths": map[string]any{}}, true
	}
	return nil, false
}

func (s *service) list() metav1.APIResourceList {
	out := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"}, GroupVersion: groupVersion}
	for _, x := range s.resources {
		r := metav1.APIResource{Name: x.name, Kind: x.kind, Namespaced: x.namespaced, Verbs: x.verbs}
		if !strings.Contains(x.name, "/") {
			r.SingularName = strings.ToLower(x.kind)
		}
		out.APIResources = append(out.APIResources, r)
	}
	return out
}

// elsewhere answers for what is only a name for rights: the HTTP API has the thing itself.
func elsewhere(w http.ResponseWriter, _ *http.Request, a asked) {
	writeStatus(w, http.StatusMethodNotAllowed, a.resource+" are asked for and shown by the HTTP API, at "+gatewayOf("", gatewayAPI)+a.resource+
		" and below; here they are a name that rights are given on")
}
