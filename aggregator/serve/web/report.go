package web

import (
	"cmp"
	"net/http"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/text"
)

type reportPage struct {
	frame
	gopprof.Report
	Profiles []profileView
	Evidence *gopprof.Evidence
	Image    image // of the evidence
	Beside   []beside
	History  history
	Commands []command
	Again    string // address of the form that asks for the same again
	Bundle   string // address
}

// image is a picture and the words that stand for it.
type image struct {
	Address string // path; empty: there is none
	Words   string
}

// profileView is one kind of a report with everything about it.
type profileView struct {
	Kind     gopprof.Kind
	Seconds  float64
	Size     int64
	Download string // path
	Drawing  string // path, or empty
	NoGraph  string // why there is no drawing
	Views    string // path of the views of pprof, or empty
	Against  []link // their differences to other pods
	Commands []command
	Top      *gopprof.TopFunctions
}

// link is a path and how it is called.
type link struct{ Path, Text string }

// command is what somebody may copy into a shell, and what it is for.
type command struct{ For, Line string }

func (p *pages) report(w http.ResponseWriter, r *http.Request) {
	report, err := p.find(r, r.PathValue("id"))
	if err != nil {
		p.fail(w, r, "reading the report", err)
		return
	}
	p.show(w, r, http.StatusOK, "report.html", p.view(r, report))
}

// find returns a report that the caller may see.
func (p *pages) find(r *http.Request, id string) (gopprof.Report, error) {
	if gopprof.CheckID(id) != nil {
		return gopprof.Report{}, &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "no such report: its address holds no ID"}
	}
	return p.Reports.Report(r.Context(), id)
}

func (p *pages) view(r *http.Request, report gopprof.Report) reportPage {
	t := report.Capture.Target
	page := reportPage{
		frame:  p.frame(r, text.Line(t.Namespace+"/"+t.Pod, 300), "reports"),
		Report: report, Evidence: report.Capture.Trigger.Evidence, Bundle: api.PathBundle(report.ID),
		History: p.history(r, report), Commands: p.commands(report),
	}
	if may, err := p.MayProfile(r.Context())(t.Cluster, t.Namespace); err == nil && may {
		page.Again = formFor(t)
	}
	if report.Picture != "" {
		page.Image = image{api.PathPicture(report.ID), pictured(report.Capture)}
	}
	siblings := p.siblings(r, report)
	for _, f := range report.Files {
		page.Profiles = append(page.Profiles, p.profileView(r, report, f, siblings))
		if b, ok := besideOf(report, siblings, f.Kind); ok {
			page.Beside = append(page.Beside, b)
		}
	}
	return page
}

func (p *pages) profileView(r *http.Request, report gopprof.Report, f gopprof.File, siblings []gopprof.Report) profileView {
	v := profileView{Kind: f.Kind, Download: api.PathProfile(report.ID, f.Kind), Commands: p.profileCommands(r, report, f.Kind, siblings)}
	if taken, ok := report.Capture.Profile(f.Kind); ok {
		v.Seconds, v.Size = taken.Seconds, taken.SizeBytes
	}
	if f.Drawing != "" {
		v.Drawing = api.PathDrawing(report.ID, f.Kind)
	} else if f.Reason != "" {
		v.NoGraph = string(f.Reason)
		if f.Detail != "" {
			v.NoGraph += ": " + f.Detail
		}
	}
	if p.Views != nil && f.Profile != "" && f.Kind != gopprof.KindTrace {
		v.Views = pathViews(report.ID, f.Kind)
		for _, s := range siblings {
			if _, ok := s.File(f.Kind); ok {
				v.Against = append(v.Against, link{v.Views + "against/" + s.ID + "/", s.Capture.Target.Pod})
			}
		}
	}
	for i, top := range report.Explanation.Profiles {
		if top.Kind != f.Kind {
			continue
		}
		v.Top = &report.Explanation.Profiles[i]
		if top.Reason != "" { // there is nothing to look at
			v.Views, v.Against = "", nil
		}
		if top.Reason == f.Reason { // said there already
			v.NoGraph = ""
		}
	}
	return v
}

// commands are those about a report as a whole.
func (p *pages) commands(r gopprof.Report) []command {
	t := r.Capture.Target
	all := []command{{"Look at it from a terminal", "kubectl gopprof open " + quote(r.ID)}}
	again := "kubectl gopprof capture " + quote(text.Line("pod/"+t.Pod, 300))
	if t.Namespace != "" {
		again += " -n " + quote(text.Line(t.Namespace, 300))
	}
	return append(all, command{"Profile this pod again", again})
}

// profileCommands are those that open a profile, and its difference to a sibling's.
func (p *pages) profileCommands(r *http.Request, report gopprof.Report, k gopprof.Kind, siblings []gopprof.Report) []command {
	base := p.Base(r)
	if base == "" { // by way of the API server only kubectl comes here
		return []command{{"Open", "kubectl gopprof open " + quote(report.ID) + " --kind " + quote(string(k))}}
	}
	url := base + api.PathProfile(report.ID, k)
	all := []command{{"Open", opening(url, k, p.Token)}}
	if k == gopprof.KindTrace || p.Token {
		return all
	}
	for _, s := range siblings {
		if _, ok := s.File(k); ok {
			return append(all, command{"What differs from " + text.Line(s.Capture.Target.Pod, 100),
				"go tool pprof -diff_base " + quote(base+api.PathProfile(s.ID, k)) + " " + quote(url)})
		}
	}
	return all
}

// opening is what to type to look at a profile.
func opening(url string, k gopprof.Kind, token bool) string {
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

// workloadOf names a report's workload for a query, or its pod where it has none.
func workloadOf(t gopprof.Target) (workload, pod string) {
	if t.Workload.Name != "" {
		return cmp.Or(t.Workload.String(), t.Workload.Name), ""
	}
	return "", t.Pod
}
