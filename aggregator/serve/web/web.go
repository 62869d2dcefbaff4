// Package web is the pages for people: reports, targets, captures by hand. Requests enter,
// HTML leaves: plain, readable in a terminal's browser; one page has a script, which shows
// an operation's progress as it comes, and works without.
//
// Names and texts come from profiled programs: they are shown as text, on one line and
// bounded, whatever they hold. Nothing that the request's caller may not see is shown, and
// nothing that he may not do is done; the Deps know who that is. All addresses on a page are
// relative to it, so that it works behind any prefix and any proxy.
package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Reports are the stored reports that the caller of ctx may see. What is not there, or not
// for this caller, is a *gopprof.Error with reason unknown.
type Reports interface {
	List(ctx context.Context, q api.ReportQuery) (api.ReportPage, error)
	Report(ctx context.Context, id string) (gopprof.Report, error)
	Read(ctx context.Context, key string) ([]byte, error) // a file of a report that the caller was shown
}

// Captures are captures by hand, by and for the caller of ctx.
type Captures interface {
	// Capture asks for captures; cancel is not for pages.
	Capture(ctx context.Context, m gopprof.Manual) (op gopprof.Operation, cancel func(context.Context) error, err error)
	Operation(ctx context.Context, id string) (gopprof.Operation, error)
	Operations(ctx context.Context) ([]gopprof.Operation, error) // newest first
	Cancel(ctx context.Context, id string) (gopprof.Operation, error)
	Merged(ctx context.Context, id string) (api.Merged, error)
}

// Deps are what the pages show.
type Deps struct {
	Reports    Reports
	Captures   Captures
	Views      Views                                                                   // nil: not offered
	Nodes      func(ctx context.Context) ([]gopprof.NodeState, error)                  // those targets that the caller may see
	MayProfile func(ctx context.Context) func(cluster, namespace string) (bool, error) // of the caller of ctx; asks once for each namespace
	Who        func(ctx context.Context) string                                        // the caller's name; empty: nobody was asked who he is
	StaleAfter time.Duration                                                           // silence after which a node is called stale
	Now        func() time.Time
	Base       func(r *http.Request) string // absolute URL that commands begin with; empty: there is none for programs
	Token      bool                         // callers need a token, so commands must bring one
	Log        *zap.Logger
}

// The policies: a page's own style sheet, pictures of the API, and forms that come back here;
// where progress is shown, our own script, which asks this server.
const (
	policy     = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	livePolicy = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

//go:embed templates/*.html templates/style.css templates/live.js templates/icon.svg
var files embed.FS

type pages struct {
	Deps
	// levels are the templates of pages that lie so many levels below the root: all that
	// differs is how their addresses begin.
	levels [deepest + 1]func() *template.Template
}

// deepest is the level of the deepest page.
const deepest = 6

// New returns the pages: reports and their views, targets, operations, and what they are
// made with.
func New(d Deps) http.Handler {
	p := &pages{Deps: d}
	for level := range p.levels {
		p.levels[level] = sync.OnceValue(func() *template.Template {
			return template.Must(template.New("").Funcs(functions(strings.Repeat("../", level))).ParseFS(files, "templates/*.html"))
		})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.list)
	mux.HandleFunc("GET /reports", p.list)
	mux.HandleFunc("GET /reports/{id}", p.report)
	mux.HandleFunc("GET /targets", p.targets)
	mux.HandleFunc("GET /operations", p.operations)
	mux.HandleFunc("POST /operations", p.ask)
	mux.HandleFunc("GET /operations/new", p.form)
	mux.HandleFunc("GET /operations/{id}", p.operation)
	mux.HandleFunc("GET /operations/{id}/merged", p.merged)
	mux.HandleFunc("POST /operations/{id}/cancel", p.cancel)
	p.routeViews(mux)
	mux.HandleFunc("GET /style.css", asset("text/css; charset=utf-8", "style.css"))
	mux.HandleFunc("GET /icon.svg", asset("image/svg+xml", "icon.svg"))
	mux.HandleFunc("GET /favicon.ico", asset("image/svg+xml", "icon.svg")) // what browsers ask for by themselves
	mux.HandleFunc("GET /live.js", asset("text/javascript; charset=utf-8", "live.js"))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		p.message(w, r, http.StatusNotFound, "There is no page at this address.")
	})
	return mux
}

// frame is what all pages have around them.
type frame struct {
	Title  string
	Place  string // the entry of the menu that it belongs to
	Caller string // his name; empty: nobody was asked
	Live   string // address of the events that change it; empty: none
}

func (p *pages) frame(r *http.Request, title, place string) frame {
	return frame{Title: title, Place: place, Caller: p.Who(r.Context())}
}

// show writes a page. It is made in memory first: a page that fails halfway must not look
// like a whole one.
func (p *pages) show(w http.ResponseWriter, r *http.Request, status int, page string, data any) {
	var b bytes.Buffer
	if err := p.levels[levelOf(r)]().ExecuteTemplate(&b, page, data); err != nil {
		p.Log.Error("page could not be made", zap.String("page", page), zap.Error(err))
		http.Error(w, "this page could not be made; the aggregator's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if w.Header().Get("Content-Security-Policy") == "" {
		w.Header().Set("Content-Security-Policy", policy)
	}
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// levelOf is how many levels below the root the page of a request lies.
func levelOf(r *http.Request) int { return min(strings.Count(r.URL.Path, "/")-1, deepest) }

// message shows a page that says one thing.
func (p *pages) message(w http.ResponseWriter, r *http.Request, status int, text string) {
	p.show(w, r, status, "message.html", struct {
		frame
		Text string
	}{p.frame(r, http.StatusText(status), ""), text})
}

// fail shows why there is no page. The reason and detail of an error are the caller's to
// read; its cause is not.
func (p *pages) fail(w http.ResponseWriter, r *http.Request, doing string, err error) {
	if r.Context().Err() != nil {
		return // nobody is there any more
	}
	status, said := p.said(r, doing, err)
	if gopprof.ReasonOf(err) == gopprof.ReasonViewsFull {
		w.Header().Set("Retry-After", "10") // seconds
	}
	p.message(w, r, status, said)
}

// said is what a person reads of an error.
func (p *pages) said(r *http.Request, doing string, err error) (status int, said string) {
	e, ok := errors.AsType[*gopprof.Error](err)
	if !ok {
		e = &gopprof.Error{Reason: gopprof.ReasonInternal}
	}
	if e.Detail != "" {
		return statusOf(e.Reason), string(e.Reason) + ": " + e.Detail
	}
	p.Log.Error("request failed", zap.String("request", doing), zap.Error(err))
	return statusOf(e.Reason), string(e.Reason) + ": this could not be done (" + doing + "); the aggregator's log says why"
}

// statusOf is api.StatusOf, with what the views are refused for.
func statusOf(r gopprof.Reason) int {
	switch r {
	case gopprof.ReasonInvalidProfile, gopprof.ReasonTooLarge:
		return http.StatusUnprocessableEntity
	case gopprof.ReasonViewsFull, gopprof.ReasonCancelled:
		return http.StatusServiceUnavailable
	case gopprof.ReasonTimeout:
		return http.StatusGatewayTimeout
	case gopprof.ReasonViewFailed:
		return http.StatusBadGateway
	}
	return api.StatusOf(r)
}

func asset(contentType, name string) http.HandlerFunc {
	data, err := files.ReadFile("templates/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "private, max-age=3600")
		_, _ = w.Write(data)
	}
}
