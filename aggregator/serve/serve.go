// Package serve lets people and programs see what was stored and ask for captures: the
// HTTP API (api), pages (web), and who may see what (auth).
//
// Requests enter; answers leave. It never decides what is captured and keeps nothing. It
// must never show a caller what belongs to a namespace that is not theirs: everything that
// api and web can reach goes through scope.go, which knows the caller of each request.
package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	serveapi "github.com/gopprof/gopprof/aggregator/serve/api"
	"github.com/gopprof/gopprof/aggregator/serve/auth"
	"github.com/gopprof/gopprof/aggregator/serve/web"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Reports are the stored reports. What is not there is a *gopprof.Error with reason
// unknown; a cursor that makes no sense one with reason bad_input.
type Reports interface {
	List(ctx context.Context, q api.ReportQuery) (api.ReportPage, error)
	Report(ctx context.Context, id string) (gopprof.Report, error)
	Read(ctx context.Context, key string) ([]byte, error)
}

// Captures are captures by hand, and the nodes as their agents told them.
// Errors that a caller may read are *gopprof.Error.
type Captures interface {
	Capture(ctx context.Context, m gopprof.Manual) (gopprof.Operation, error)
	// CaptureOnce is Capture that also tells whether it was asked for before under the same key.
	CaptureOnce(ctx context.Context, m gopprof.Manual) (op gopprof.Operation, before bool, err error)
	Operation(ctx context.Context, id string) (gopprof.Operation, error)
	Operations() []gopprof.Operation // the newest, newest first
	// Follow shows an operation whenever it changes, the first time at once, until it has
	// ended, show returns false or ctx ends.
	Follow(ctx context.Context, id string, show func(gopprof.Operation) bool) error
	Cancel(ctx context.Context, id string) (gopprof.Operation, error)
	Pause(ctx context.Context) (api.PauseState, error)
	SetPause(ctx context.Context, p gopprof.Pause) (api.PauseState, error)
	Nodes() []gopprof.NodeState
	StaleAfter() time.Duration
	RetryAfter() time.Duration // what a caller is told who asked for too much
}

// Alerts say what is to be captured because of alerts.
type Alerts interface {
	// Asks returns what is to be captured because of a firing alert; Who is not set. The error
	// is a *gopprof.Error.
	Asks(receiver string, a api.NotifiedAlert) (gopprof.Manual, error)
	MostAtOnce() int // alerts of one notification that are acted on
}

// Groups make one of the captures of an operation.
type Groups interface {
	Merged(ctx context.Context, op gopprof.Operation) (api.Merged, error)
	MergedProfile(ctx context.Context, op gopprof.Operation, k gopprof.Kind) ([]byte, error)
}

// Telling is who is told of reports. Errors that a caller may read are *gopprof.Error.
type Telling interface {
	// Silences are those that hold, the next to end first.
	Silences(ctx context.Context) ([]api.Silence, error)
	Silence(ctx context.Context, s api.Silence) (api.Silence, error)
	EndSilence(ctx context.Context, id string) error
	// TestReceiver sends a test message in somebody's name and says what came of it.
	TestReceiver(ctx context.Context, name, who string) (api.ReceiverTest, error)
}

// Views are the interactive views of pprof.
type Views = web.Views

// Deps are what is served.
type Deps struct {
	Reports  Reports
	Captures Captures
	Groups   Groups
	Telling  Telling          // nil: nobody is told anything
	Views    Views            // nil: not offered
	Alerts   Alerts           // nil: all are refused
	Now      func() time.Time // nil is time.Now

	// AlertSecret lets its bearer tell of alerts, and AlertNamespaces are where pods are profiled
	// because of them; all without any.
	AlertSecret     config.SecretFile
	AlertNamespaces []string

	Tokens    auth.Finder // knows what callers bring with cfg.TokenReview
	APIServer APIServer   // brings its users with cfg.APIService
}

// Server is the HTTP server. It is a http.Handler by itself, too.
type Server struct {
	cfg      Config
	log      *zap.Logger
	metrics  *metrics
	held     *held // stored files
	whole    *held // reports
	followed *held // operations
	handler  http.Handler
	listener listener
	stopping chan struct{} // closed when it is told to stop
}

// New returns a server that does not listen yet. It fails when the tokens or the
// certificate cannot be read.
func New(cfg Config, deps Deps, log *zap.Logger, reg prometheus.Registerer) (*Server, error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	s := &Server{
		cfg: cfg, log: log, metrics: newMetrics(reg), stopping: make(chan struct{}),
		held: newHeld(heldMost, heldShare, heldUnread), whole: newHeld(wholeMost, wholeShare, 1), followed: newHeld(followMost, followShare, 1),
	}
	guard := auth.Options{Hosts: cfg.hosts(), Origins: cfg.origins(), Log: log, Refuse: s.refuse}
	if cfg.TokenReview {
		if guard.Reviews = deps.Tokens; guard.Reviews == nil {
			return nil, errors.New("serving token_review: there is nobody who knows tokens")
		}
	}
	if cfg.TokensFile != "" {
		tokens, err := auth.OpenTokens(string(cfg.TokensFile), deps.Now, log)
		if err != nil {
			return nil, err
		}
		guard.Tokens = tokens
	}
	if deps.AlertSecret != "" {
		secret, err := auth.OpenAlertSecret(deps.AlertSecret, deps.AlertNamespaces, log)
		if err != nil {
			return nil, err
		}
		guard.Alerts = secret
	}
	if err := s.loadCertificate(); err != nil {
		return nil, err
	}
	noBase := func(*http.Request) string { return "" }
	if err := s.openBack(deps.APIServer, scope{deps, s.metrics, s.held}, s.rooms(deps, "", noBase), deps.Now); err != nil {
		return nil, err
	}
	s.handler = s.outermost(below(cfg.PathPrefix, auth.Guard(guard, s.rooms(deps, cfg.PathPrefix, cfg.baseOf))))
	return s, nil
}

// below mounts a handler at a prefix.
func below(prefix string, h http.Handler) http.Handler {
	if prefix == "" {
		return h
	}
	mux := http.NewServeMux()
	mux.Handle(prefix+"/", http.StripPrefix(prefix, h))
	mux.Handle(prefix, http.RedirectHandler(prefix+"/", http.StatusPermanentRedirect))
	return mux
}

// rooms returns the API and the pages as they stand at a prefix. base is the absolute URL
// that commands on a page begin with.
func (s *Server) rooms(deps Deps, prefix string, base func(*http.Request) string) http.Handler {
	see := scope{deps, s.metrics, s.held}
	mux := http.NewServeMux()
	programs, pages := s.api(deps, prefix), web.New(web.Deps{
		Reports: see, Captures: see, Views: deps.Views, Nodes: see.Nodes, MayProfile: see.MayProfile, Who: signedIn,
		StaleAfter: deps.Captures.StaleAfter(), Now: deps.Now, Base: base, Token: s.cfg.TokensFile != "" || s.cfg.TokenReview, Log: s.log,
	})
	mux.Handle("/api/", programs)
	mux.Handle("GET "+api.PathReport("{id}"), s.whole.one(s.refuse, programs))
	mux.Handle("GET "+api.PathBundle("{id}"), s.whole.one(s.refuse, programs))
	mux.Handle("GET "+api.PathEvents("{id}"), s.followed.one(s.refuse, programs))
	mux.Handle("/", pages)
	mux.Handle("GET /reports/{id}", s.whole.one(s.refuse, pages))
	return s.held.within(mux)
}

// signedIn is how a page calls its caller.
func signedIn(ctx context.Context) string {
	if name := auth.From(ctx).Name; name != auth.Anonymous.Name {
		return name
	}
	return ""
}

// api returns the API as it stands at a prefix.
func (s *Server) api(deps Deps, prefix string) http.Handler {
	see := scope{deps, s.metrics, s.held}
	return serveapi.New(serveapi.Deps{
		Reports: see, Captures: see, Alerts: see, Telling: see, Nodes: see.Nodes, StaleAfter: deps.Captures.StaleAfter(), RetryAfter: deps.Captures.RetryAfter(),
		Now: deps.Now, Stopping: s.stopping, Prefix: prefix, Log: s.log,
	})
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// outermost is around everything: headers that every answer has, counting, and a panic of
// one request that must not be a mystery.
func (s *Server) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		counted := &countedWriter{ResponseWriter: w}
		defer s.metrics.requestEnded(counted, r, time.Now())
		defer s.recover(counted, r)
		next.ServeHTTP(counted, r)
	})
}

func (s *Server) recover(w *countedWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.log.Error("request panicked", zap.String("path", r.URL.Path), zap.String("error", fmt.Sprint(p)), zap.Stack("stack"))
	if w.status == 0 {
		serveapi.WriteProblem(w, api.Problem{Status: http.StatusInternalServerError, Detail: "internal error; the aggregator's log says why"})
	}
}

// refuse answers what auth does not let through.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, p api.Problem) {
	s.metrics.refused.WithLabelValues(string(p.Reason)).Inc()
	if strings.HasPrefix(r.URL.Path, "/api/") {
		serveapi.WriteProblem(w, p)
		return
	}
	http.Error(w, p.Detail, p.Status)
}
