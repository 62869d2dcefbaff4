package notify

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Bounds of what is told of one report, in characters.
const (
	maxName    = 253
	maxSummary = 1000
	maxLine    = 400
	mostLinks  = 8
	mostHeat   = 60
	mostLabels = 64
	maxLabel   = 317 // name of a label: 253 of a domain, a slash and 63
)

const linkReport = "Report"

// ItemOf returns what is told of a report.
func ItemOf(r gopprof.Report) Item {
	c, t := r.Capture, r.Capture.Target
	i := Item{
		Report: Clean(r.ID, 64), Incident: Clean(c.Incident, 64),
		Cluster: Clean(t.Cluster, maxName), Node: Clean(t.Node, maxName), Namespace: Clean(t.Namespace, maxName),
		Workload: Clean(t.Workload.String(), maxName), Pod: Clean(t.Pod, maxName), Container: Clean(t.Container, maxName),
		Owner: Clean(t.Owner, maxName), Labels: podLabels(c.Labels), Trigger: Clean(string(c.Trigger.Kind), 50), Agreement: Clean(string(c.Agreement.Result), 50),
		What: Clean(what(c), 200), Summary: Clean(r.Explanation.Summary, maxSummary),
		Warnings: cleanAll(r.Explanation.Warnings, 8, maxLine), Taken: c.Start.UTC(),
		Facts: facts(r), Top: topFunctions(r), Links: links(r), Files: files(r),
	}
	if gopprof.CheckID(r.ID) == nil {
		i.Command = "kubectl gopprof open " + r.ID
	}
	if v := r.Explanation.Verdict; v != nil {
		i.Scope, i.Causes = Clean(string(v.Scope), 50), causes(v.Causes)
	}
	if e := c.Trigger.Evidence; e != nil {
		ratio, _ := e.Newest().Ratio(e.Resource)
		i.Rule, i.Threshold, i.Ratio = Clean(e.Rule, maxName), finite(e.Threshold), finite(ratio)
		i.Heat = heat(c.History, e.Resource)
	}
	return i
}

// podLabels are the pod's labels as they may be shown.
func podLabels(all map[string]string) map[string]string {
	var out map[string]string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if shown := Clean(key, maxLabel); shown != "" && len(out) < mostLabels {
			if out == nil {
				out = map[string]string{}
			}
			out[shown] = Clean(all[key], maxName)
		}
	}
	return out
}

// what says what happened.
func what(c gopprof.Capture) string {
	e := c.Trigger.Evidence
	if a := c.Trigger.Alert; a != nil {
		return "asked by alert " + a.Name
	}
	if e == nil {
		return fmt.Sprintf("profiled (%s)", c.Trigger.Kind)
	}
	ratio, ok := e.Newest().Ratio(e.Resource)
	switch {
	case !ok:
		return string(e.Resource)
	case e.Resource == gopprof.ResourceThrottled:
		return fmt.Sprintf("throttled %.0f %% of the time", ratio*100)
	}
	return fmt.Sprintf("%s at %.0f %% of %s", e.Resource, ratio*100, e.Yardstick())
}

func causes(all []gopprof.Cause) []Cause {
	var out []Cause
	for _, c := range all[:min(len(all), 3)] {
		out = append(out, Cause{Clean(string(c.Kind), 50), Clean(string(c.Confidence), 50), Clean(c.Line, maxLine)})
	}
	return out
}

// facts are the figures beside the text.
func facts(r gopprof.Report) []Fact {
	c, t := r.Capture, r.Capture.Target
	all := []Fact{
		{"Workload", t.Workload.String() + ", container " + t.Container},
		{"Where", "node " + t.Node + ", cluster " + t.Cluster},
		{"Taken", c.Start.UTC().Format("2006-01-02 15:04:05 UTC")},
	}
	if t.Owner != "" {
		all = append(all, Fact{"Owner", t.Owner})
	}
	if e := c.Trigger.Evidence; e != nil {
		all = append(all, Fact{"Rule", rule(*e)})
	}
	if a := c.Trigger.Alert; a != nil {
		all = append(all, Fact{"Alert", a.Name + ", since " + a.StartsAt.UTC().Format("2006-01-02 15:04:05 UTC")})
	}
	if q := c.Trigger.Request; q != nil && q.Who != "" {
		all = append(all, Fact{"Asked for by", q.Who})
	}
	if a := c.Agreement; a.Result != "" {
		all = append(all, Fact{"Second witness", agreement(a)})
	}
	if f := r.Fleet; f != nil && f.Pods > 0 {
		all = append(all, Fact{"Pods", fmt.Sprintf("%d of %d hot, %d quiet", f.Hot, f.Pods, f.Quiet)})
	}
	return said(all)
}

// said are the facts that have something to say.
func said(all []Fact) []Fact {
	var out []Fact
	for _, f := range all {
		if f.Value = Clean(f.Value, maxLine); f.Value != "" {
			out = append(out, f)
		}
	}
	return out
}

func rule(e gopprof.Evidence) string {
	if e.AtOnce {
		return fmt.Sprintf("%s, above %.0f %% at once", e.Rule, e.Threshold*100)
	}
	return fmt.Sprintf("%s, above %.0f %% in %d windows of %.0f s", e.Rule, e.Threshold*100, len(e.Windows), e.WindowSeconds)
}

func agreement(a gopprof.Agreement) string {
	s := string(a.Result)
	if a.Reason != "" {
		s += ", " + string(a.Reason)
	}
	if n := len(a.Compared); n > 0 {
		last := a.Compared[n-1]
		s += fmt.Sprintf(" (%.0f %% locally, %.0f %% in the series)", last.Local*100, last.Series*100)
	}
	return s
}

// topFunctions is a table of the heaviest functions of the first profile that has any.
func topFunctions(r gopprof.Report) []string {
	for _, p := range r.Explanation.Profiles {
		if p.Total <= 0 || len(p.Functions) == 0 {
			continue
		}
		lines := []string{"  flat   cum  of " + Clean(string(p.Kind)+" "+p.SampleType, 40)}
		for _, f := range p.Functions[:min(len(p.Functions), 5)] {
			share := func(v int64) float64 { return 100 * float64(v) / float64(p.Total) }
			lines = append(lines, fmt.Sprintf("%5.1f%% %5.1f%% %s", share(f.Flat), share(f.Cum), Clean(f.Name, 80)))
		}
		return lines
	}
	return nil
}

// links lead to the report's page, its pictures, and what its owner linked to.
func links(r gopprof.Report) []Link {
	base, ok := strings.CutSuffix(r.Page, api.PathPage(r.ID))
	var all []Link
	add := func(name, address string) {
		if safe, ok := SafeURL(address); ok && len(all) < mostLinks {
			all = append(all, Link{Clean(name, 60), safe})
		}
	}
	if ok && r.ID != "" {
		add(linkReport, base+api.PathPage(r.ID))
		for _, f := range r.Files {
			if f.Drawing != "" {
				add("Call graph: "+string(f.Kind), base+api.PathDrawing(r.ID, f.Kind))
			}
		}
		if r.Picture != "" {
			add("Evidence", base+api.PathPicture(r.ID))
		}
	}
	if a := r.Capture.Trigger.Alert; a != nil {
		add("Alert", a.GeneratorURL)
	}
	for _, name := range sortedNames(r.Links) {
		said := name
		if ofOurs(name) {
			said = "Link: " + name
		}
		add(said, r.Links[name])
	}
	return all
}

// ofOurs tells whether an owner's link has the name of one of ours, but for case and signs.
func ofOurs(name string) bool {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	switch name := strings.Join(words, " "); name {
	case "report", "evidence", "alert":
		return true
	default:
		return strings.HasPrefix(name, "call graph")
	}
}

func sortedNames(m map[string]string) []string {
	var names []string
	for name := range m {
		if Clean(name, 60) != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// files are the pictures that a channel may attach.
func files(r gopprof.Report) []Attachment {
	var all []Attachment
	if r.Picture != "" {
		all = append(all, Attachment{"evidence.svg", r.Picture})
	}
	for _, f := range r.Files {
		if f.Drawing != "" && len(all) < 3 {
			all = append(all, Attachment{Clean(string(f.Kind), 30) + ".svg", f.Drawing})
		}
	}
	return all
}

// heat is the use in the last minutes, thinned out.
func heat(h gopprof.History, resource gopprof.Resource) []float64 {
	var all []float64
	for _, p := range h.Local {
		if ratio, ok := p.Ratio(resource); ok {
			all = append(all, finite(ratio))
		}
	}
	if len(all) <= mostHeat {
		return all
	}
	out := make([]float64, 0, mostHeat)
	for k := range mostHeat { // the hottest of each stretch
		out = append(out, slices.Max(all[k*len(all)/mostHeat:(k+1)*len(all)/mostHeat]))
	}
	return out
}

// finite bounds a ratio to what can be true, and written as JSON.
func finite(v float64) float64 {
	if !(v >= 0) { // NaN is neither
		return 0
	}
	return min(v, 1000)
}
