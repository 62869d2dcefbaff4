package web

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

type reportPage struct {
	gopprof.Report
	Profiles []profileView
	Evidence *gopprof.Evidence
	Image    image // of the evidence
}

// image is a picture and the words that stand for it.
type image struct {
	Address string // empty: there is none
	Words   string
}

// profileView is one kind of a report with everything about it.
type profileView struct {
	Kind     gopprof.Kind
	Seconds  float64
	Size     int64
	Download string // address
	Drawing  string // address, or empty
	NoGraph  string // why there is no drawing
	Views    string // address of the views of pprof, or empty
	Command  string
	Top      *gopprof.TopFunctions
}

func (p *pages) report(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	var report gopprof.Report
	err := error(&gopprof.Error{Reason: gopprof.ReasonUnknown})
	if gopprof.CheckID(id) == nil {
		report, err = p.Reports.Report(r.Context(), id)
	}
	switch {
	case gopprof.ReasonOf(err) == gopprof.ReasonUnknown:
		p.message(w, http.StatusNotFound, "There is no such report: it was never stored, is older than what is kept, or is not for you to see.")
	case err != nil:
		p.Log.Error("request failed", zap.String("request", "reading report "+id), zap.Error(err))
		p.message(w, http.StatusInternalServerError, "The report could not be read; the aggregator's log says why.")
	default:
		p.show(w, http.StatusOK, "report.html", p.view(report, p.base(r)))
	}
}

// base is the absolute URL that commands on the page begin with.
func (p *pages) base(r *http.Request) string {
	if p.External != "" {
		return trimSlash(p.External)
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host + p.Prefix
}

func (p *pages) view(r gopprof.Report, base string) reportPage {
	page := reportPage{Report: r, Evidence: r.Capture.Trigger.Evidence}
	if r.Picture != "" {
		page.Image = image{p.Prefix + api.PathPicture(r.ID), pictured(r.Capture)}
	}
	for _, f := range r.Files {
		v := profileView{
			Kind: f.Kind, Download: p.Prefix + api.PathProfile(r.ID, f.Kind),
			Command: command(base+api.PathProfile(r.ID, f.Kind), f.Kind, p.Token),
		}
		if taken, ok := r.Capture.Profile(f.Kind); ok {
			v.Seconds, v.Size = taken.Seconds, taken.SizeBytes
		}
		if f.Drawing != "" {
			v.Drawing = p.Prefix + api.PathDrawing(r.ID, f.Kind)
		} else if f.Reason != "" {
			v.NoGraph = string(f.Reason)
			if f.Detail != "" {
				v.NoGraph += ": " + f.Detail
			}
		}
		if p.Views != nil && f.Kind != gopprof.KindTrace {
			v.Views = p.Prefix + pathViews(r.ID, f.Kind)
		}
		for i, top := range r.Explanation.Profiles {
			if top.Kind == f.Kind {
				v.Top = &r.Explanation.Profiles[i]
				if top.Reason != "" { // there is nothing to look at
					v.Views = ""
				}
			}
			if top.Kind == f.Kind && top.Reason == f.Reason { // said there already
				v.NoGraph = ""
			}
		}
		page.Profiles = append(page.Profiles, v)
	}
	return page
}

// command returns what to type to look at a profile.
func command(url string, k gopprof.Kind, token bool) string {
	file := string(k) + k.Extension()
	fetch := "curl -fsS -o " + file + " "
	if token {
		fetch += `-H "Authorization: Bearer $GOPPROF_TOKEN" `
	}
	switch {
	case k == gopprof.KindTrace:
		return fetch + quote(url) + " && go tool trace " + file
	case token:
		return fetch + quote(url) + " && go tool pprof -http=localhost:0 " + file
	}
	return "go tool pprof " + quote(url)
}
