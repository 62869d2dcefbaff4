// Package api is the HTTP API: reports and what was stored of them, targets with their
// states, captures by hand. HTTP requests enter, JSON leaves; every failure is
// problem+json that says what is wrong and carries a reason of the closed set.
//
// It decides nothing and keeps nothing. It must never show what its Deps do not show to
// the request's caller (they know who that is), and never let a detail out that was not
// meant for the caller: what has no name is answered as an internal error and logged.
package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/ops"
)

// maxBodyBytes bounds the body of a request.
const maxBodyBytes = 64 << 10

// Reports are the stored reports that the caller of ctx may see. What is not there, or not
// for this caller, is a *gopprof.Error with reason unknown.
type Reports interface {
	List(ctx context.Context, q api.ReportQuery) (api.ReportPage, error)
	Report(ctx context.Context, id string) (gopprof.Report, error)
	Read(ctx context.Context, key string) ([]byte, error)
}

// Captures are captures by hand, by and for the caller of ctx.
type Captures interface {
	// Capture asks for captures; cancel stops what it began, whatever the caller may do by then.
	Capture(ctx context.Context, m gopprof.Manual) (op gopprof.Operation, cancel func(context.Context) error, err error)
	// SeesWhatItTakes is an error when the caller may not see what Capture would take.
	SeesWhatItTakes(ctx context.Context, m gopprof.Manual) error
	Operation(ctx context.Context, id string) (gopprof.Operation, error)
	Operations(ctx context.Context) ([]gopprof.Operation, error)
	// Follow shows an operation whenever it changes, the first time at once, until it has
	// ended, show returns false or ctx ends.
	Follow(ctx context.Context, id string, show func(gopprof.Operation) bool) error
	Cancel(ctx context.Context, id string) (gopprof.Operation, error)
	// Merged makes one of what is stored of an operation.
	Merged(ctx context.Context, id string) (api.Merged, error)
	MergedProfile(ctx context.Context, id string, k gopprof.Kind) ([]byte, error)
	// Pause is the switch that stops all profiling.
	Pause(ctx context.Context) (api.PauseState, error)
	SetPause(ctx context.Context, p gopprof.Pause) (api.PauseState, error)
}

// Alerts ask for captures because of alerts, by and for the caller of ctx. One answer comes
// for each alert of the notification.
type Alerts interface {
	Alerts(ctx context.Context, n api.AlertNotification) []api.AlertAnswer
}

// Telling is who is told of reports, by and for the caller of ctx.
type Telling interface {
	Silences(ctx context.Context) ([]api.Silence, error)
	Silence(ctx context.Context, s api.Silence) (api.Silence, error)
	EndSilence(ctx context.Context, id string) (api.Silence, error)
	TestReceiver(ctx context.Context, name string) (api.ReceiverTest, error)
}

// Deps are what the API shows.
type Deps struct {
	Reports    Reports
	Captures   Captures
	Alerts     Alerts
	Telling    Telling
	Nodes      func(ctx context.Context) ([]gopprof.NodeState, error) // those targets that the caller may see
	StaleAfter time.Duration                                          // silence after which a node is called stale
	RetryAfter time.Duration                                          // what a caller is told who asked for too much
	Now        func() time.Time
	Stopping   <-chan struct{} // closed when the server stops: answers that take their time end then; may be nil
	Prefix     string          // path that the server is mounted at, without trailing slash
	Log        *zap.Logger
}

type handlers struct{ Deps }

// New returns the API, for all paths below /api/.
func New(d Deps) http.Handler {
	mux := http.NewServeMux()
	a := humago.New(mux, config(d.Prefix))
	h := handlers{d}
	h.registerReports(a)
	h.registerFiles(a)
	h.registerCaptures(a)
	h.registerMerged(a)
	h.registerPause(a)
	h.registerTargets(a)
	h.registerTelling(a)
	h.registerAlerts(a)
	describeStreams(a)
	mux.HandleFunc("GET "+api.PathEvents("{id}"), h.events)
	mux.HandleFunc("GET "+freshPath, h.fresh)
	mux.HandleFunc("GET "+bundlePath, h.bundle)
	document, err := json.Marshal(a.OpenAPI())
	if err != nil {
		panic(fmt.Errorf("writing the OpenAPI document: %w", err)) // of our own types
	}
	mux.HandleFunc("GET "+api.PathOpenAPI, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(document)
	})
	mux.HandleFunc("/", elsewhere(mux))
	return mux
}

func config(prefix string) huma.Config {
	c := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "gopprof", Version: ops.Version(),
				Description: "Profiles of Go services, taken while something happened, and what they say."},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token":    {Type: "http", Scheme: "bearer"},
					"password": {Type: "http", Scheme: "basic", Description: "Any user name; the password is the token."},
				},
			},
			Security: []map[string][]string{{"token": {}}, {"password": {}}, {}},
		},
		Formats:                      map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	}
	if prefix != "" {
		c.Servers = []*huma.Server{{URL: prefix}}
	}
	return c
}

// operation completes what all operations have in common.
func operation(a huma.API, o huma.Operation) huma.Operation {
	problem := a.OpenAPI().Components.Schemas.Schema(problemType, true, "Problem")
	o.MaxBodyBytes = maxBodyBytes
	if o.Responses == nil {
		o.Responses = map[string]*huma.Response{}
	}
	o.Responses["default"] = &huma.Response{
		Description: "What went wrong",
		Content:     map[string]*huma.MediaType{api.ContentTypeProblem: {Schema: problem}},
	}
	return o
}

// elsewhere answers paths and methods that the API does not have.
func elsewhere(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			try := r.Clone(r.Context())
			try.Method = m
			if _, pattern := mux.Handler(try); pattern != "/" && pattern != "" {
				allowed = append(allowed, m)
			}
		}
		if len(allowed) == 0 {
			WriteProblem(w, api.Problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("there is nothing at this path; see %s", api.PathOpenAPI)})
			return
		}
		for _, m := range allowed {
			w.Header().Add("Allow", m)
		}
		WriteProblem(w, api.Problem{Status: http.StatusMethodNotAllowed, Detail: fmt.Sprintf("method %s is not for this path: %v", r.Method, allowed)})
	}
}
