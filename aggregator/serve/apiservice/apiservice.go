// Package apiservice is the aggregated API gopprof.io/v1: what an API server asks for on
// behalf of its users, so that kubectl reaches reports, targets and profiles with nothing
// installed and nobody asked for another password.
//
// Requests that passed auth.Proxied enter; lists and tables in Kubernetes' own types leave,
// or whatever the HTTP API answers, which stands below .../proxy. It decides nothing and
// knows no rights: what its Deps show to the request's caller, it shows. It must never let
// a path out of the HTTP API's, and never print what a pod wrote as it came.
package apiservice

import (
	"context"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// The API's name.
const (
	group        = "gopprof.io"
	version      = "v1"
	groupVersion = group + "/" + version
)

// Reports are the stored reports that the caller of ctx may see. What is not there, or not
// for this caller, is a *gopprof.Error with reason unknown.
type Reports interface {
	List(ctx context.Context, q api.ReportQuery) (api.ReportPage, error)
	Report(ctx context.Context, id string) (gopprof.Report, error)
}

// Deps are what the aggregated API shows.
type Deps struct {
	Cluster string // whose API server this is: a namespace means one of this cluster
	Reports Reports
	Nodes   func(ctx context.Context) ([]gopprof.NodeState, error) // those targets that the caller may see
	API     http.Handler                                           // /api/v1/… and the pages, for the caller of the request's context
	Now     func() time.Time
	Log     *zap.Logger
}

type service struct {
	Deps
	resources []resource
}

// New returns the aggregated API, for all paths of its port.
func New(d Deps) http.Handler {
	s := &service{Deps: d}
	s.resources = s.all()
	return s
}

// ServeHTTP answers one request.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if answer, ok := s.discovery(r.URL.Path); ok {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			writeStatus(w, http.StatusMethodNotAllowed, "discovery can only be read")
			return
		}
		writeJSON(w, http.StatusOK, answer)
		return
	}
	a, ok := parse(r.URL.Path)
	if !ok {
		writeStatus(w, http.StatusNotFound, "there is nothing at this path")
		return
	}
	i := slices.IndexFunc(s.resources, func(x resource) bool { return x.name == a.kind() })
	if i < 0 || !s.resources[i].stands(a) {
		writeStatus(w, http.StatusNotFound, "there is no resource "+quote(a.kind())+" here; kubectl api-resources --api-group=gopprof.io has them all")
		return
	}
	x := s.resources[i]
	if verb := verbOf(r, a); !slices.Contains(x.verbs, verb) {
		writeStatus(w, http.StatusMethodNotAllowed, "verb "+quote(verb)+" is not for "+x.name)
		return
	}
	x.serve(w, r, a)
}
