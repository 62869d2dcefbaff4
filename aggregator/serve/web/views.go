package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/text"
)

// Views are the interactive views of pprof.
type Views interface {
	// Page returns a page of a view as HTML with inline scripts, and opens the view if it is
	// not open. Errors that a person may read are *gopprof.Error.
	Page(ctx context.Context, v View, page, query string) ([]byte, error)
}

// View is a profile, or the difference of two, that somebody looks at.
type View struct {
	Key           string // requests of one key are of one view
	Kind          gopprof.Kind
	Title, Home   string // for the tab, and the report's address relative to the page's
	Graph         bool   // the page graph leads somewhere
	Profile, Base func(ctx context.Context) ([]byte, error)
}

// viewPolicy is that of the views: pprof's pages run scripts of their own beside names from
// a profile. In the sandbox they have no origin: whatever runs there reads nothing of ours,
// asks nobody for anything and submits nothing.
const viewPolicy = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// pathViews is the path of the views of a report's profile.
func pathViews(id string, k gopprof.Kind) string {
	return api.PathPage(id) + "/pprof/" + string(k) + "/"
}

// routeViews adds the views' pages. All that leads from one to another is relative: it works
// behind whatever prefix.
func (p *pages) routeViews(mux *http.ServeMux) {
	if p.Views == nil {
		return
	}
	const of, against = "GET /reports/{id}/pprof/{kind}", "/against/{other}"
	for _, pattern := range []string{of, of + against} {
		mux.HandleFunc(pattern, p.viewHome)
		mux.HandleFunc(pattern+"/{$}", func(w http.ResponseWriter, _ *http.Request) { redirect(w, "flamegraph") })
		mux.HandleFunc(pattern+"/{page...}", p.viewPage)
	}
}

// redirect leads to an address relative to the request's, made of nothing that the request
// says unchecked.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", "./"+to)
	w.WriteHeader(http.StatusFound)
}

// viewHome answers the address of a view that lacks its last slash.
func (p *pages) viewHome(w http.ResponseWriter, r *http.Request) {
	v, err := p.viewOf(r)
	if err != nil {
		p.fail(w, r, "showing a view", err)
		return
	}
	redirect(w, v.Key[strings.LastIndexByte(v.Key, '/')+1:]+"/flamegraph")
}

func (p *pages) viewPage(w http.ResponseWriter, r *http.Request) {
	v, err := p.viewOf(r)
	page := r.PathValue("page")
	if err == nil && v.Graph && page == "graph" {
		redirect(w, levels(r)+strings.TrimPrefix(api.PathDrawing(r.PathValue("id"), v.Kind), "/"))
		return
	}
	var html []byte
	if err == nil {
		html, err = p.Views.Page(r.Context(), v, page, r.URL.RawQuery)
	}
	if err != nil {
		p.fail(w, r, "showing a view", err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", viewPolicy)
	_, _ = w.Write(html)
}

// levels leads from a view's page to where the server is mounted.
func levels(r *http.Request) string { return strings.Repeat("../", levelOf(r)) }

// viewOf returns what a request looks at, of reports that its caller may see. Errors that a
// person may read are *gopprof.Error.
func (p *pages) viewOf(r *http.Request) (View, error) {
	kind, err := gopprof.ParseKind(r.PathValue("kind"))
	if err != nil {
		return View{}, &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "there is no such kind of profile"}
	}
	if kind == gopprof.KindTrace {
		return View{}, &gopprof.Error{Reason: gopprof.ReasonBadInput, Detail: "an execution trace has no views of pprof: go tool trace opens it"}
	}
	report, file, err := p.profile(r, r.PathValue("id"), kind)
	if err != nil {
		return View{}, err
	}
	v := View{
		Key: report.ID + "/" + string(kind), Kind: kind, Title: name(report) + ": " + string(kind),
		Home: levels(r) + strings.TrimPrefix(api.PathPage(report.ID), "/"), Graph: file.Drawing != "",
		Profile: p.reader(file),
	}
	id := r.PathValue("other")
	if id == "" {
		return v, nil
	}
	other, base, err := p.profile(r, id, kind)
	if err != nil {
		return View{}, err
	}
	v.Key, v.Title, v.Graph = v.Key+"/against/"+other.ID, v.Title+", against "+name(other), false
	v.Base = p.reader(base)
	return v, nil
}

// name is how a report is called in a title.
func name(r gopprof.Report) string {
	t := r.Capture.Target
	return text.Line(fmt.Sprintf("%s/%s %s", t.Namespace, t.Pod, r.Capture.Start.UTC().Format("15:04:05")), 100)
}

// profile returns a report that the caller may see and its file of a kind.
func (p *pages) profile(r *http.Request, id string, k gopprof.Kind) (gopprof.Report, gopprof.File, error) {
	report, err := p.find(r, id)
	if err != nil {
		return report, gopprof.File{}, err
	}
	f, ok := report.File(k)
	if !ok || f.Profile == "" {
		return report, f, &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: fmt.Sprintf("the report has no %s profile", k)}
	}
	return report, f, nil
}

// reader reads a stored profile when it is needed.
func (p *pages) reader(f gopprof.File) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		data, err := p.Reports.Read(ctx, f.Profile)
		if gopprof.ReasonOf(err) == gopprof.ReasonUnknown {
			err = &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: fmt.Sprintf("the %s profile is not in the store any more", f.Kind), Err: err}
		}
		return data, err
	}
}
