// Package web is the pages for people: the list of reports and a report. Requests enter,
// HTML leaves: plain, without a script, readable in a terminal's browser.
//
// Names and texts come from profiled programs: they are shown as text, on one line and
// bounded, whatever they hold. Nothing that the request's caller may not see is shown; its
// Reports know who that is.
package web

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"net/http"

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

// Deps are what the pages show.
type Deps struct {
	Reports  Reports
	Views    Views  // nil: not offered
	Prefix   string // path that the server is mounted at, without trailing slash
	External string // URL at which people reach the server; empty: where the request came to
	Token    bool   // callers need a token, so commands must bring one
	Log      *zap.Logger
}

// policy allows the pages their own style sheet, pictures of the API, and a form that comes
// back here.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

//go:embed templates/*.html templates/style.css
var files embed.FS

type pages struct {
	Deps
	templates *template.Template
	style     []byte
}

// New returns the pages: /, /reports/{id}, its views and their style sheet.
func New(d Deps) http.Handler {
	style, err := files.ReadFile("templates/style.css")
	if err != nil {
		panic(err) // it is embedded
	}
	p := &pages{Deps: d, style: style, templates: template.Must(template.New("").Funcs(functions(d)).ParseFS(files, "templates/*.html"))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.list)
	mux.HandleFunc("GET /reports/{id}", p.report)
	mux.HandleFunc("GET /style.css", p.styleSheet)
	p.routeViews(mux)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		p.message(w, http.StatusNotFound, "There is no page at this address.")
	})
	return mux
}

// show writes a page. It is made in memory first: a page that fails halfway must not look
// like a whole one.
func (p *pages) show(w http.ResponseWriter, status int, page string, data any) {
	var b bytes.Buffer
	if err := p.templates.ExecuteTemplate(&b, page, data); err != nil {
		p.Log.Error("page could not be made", zap.String("page", page), zap.Error(err))
		http.Error(w, "this page could not be made; the aggregator's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// message shows a page that says one thing.
func (p *pages) message(w http.ResponseWriter, status int, text string) {
	p.show(w, status, "message.html", map[string]any{"Title": http.StatusText(status), "Text": text})
}

func (p *pages) styleSheet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "private, max-age=3600")
	_, _ = w.Write(p.style)
}
