package slack

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// title says what happened where.
func title(r gopprof.Report) string {
	c := r.Capture
	where := c.Target.Namespace + "/" + c.Target.Pod
	e := c.Trigger.Evidence
	if e == nil {
		return fmt.Sprintf("%s: profiled (%s)", where, c.Trigger.Kind)
	}
	ratio, ok := e.Newest().Ratio(e.Resource)
	switch {
	case !ok:
		return fmt.Sprintf("%s: %s", where, e.Resource)
	case e.Resource == gopprof.ResourceThrottled:
		return fmt.Sprintf("%s: throttled %.0f %% of the time", where, ratio*100)
	}
	return fmt.Sprintf("%s: %s at %.0f %% of %s", where, e.Resource, ratio*100, e.Yardstick())
}

// facts are the fields beside the title.
func facts(r gopprof.Report) []text {
	c := r.Capture
	t := c.Target
	fields := []text{
		fact("Workload", t.Workload.String()+", container "+t.Container),
		fact("Where", "node "+t.Node+", cluster "+t.Cluster),
		fact("Taken", c.Start.UTC().Format("2006-01-02 15:04:05 UTC")),
	}
	if e := c.Trigger.Evidence; e != nil {
		fields = append(fields, fact("Rule", rule(*e)))
	}
	if q := c.Trigger.Request; q != nil && q.Who != "" {
		fields = append(fields, fact("Asked for by", q.Who))
	}
	if a := c.Agreement; a.Result != "" {
		fields = append(fields, fact("Second witness", agreement(a)))
	}
	return fields
}

func fact(name, value string) text { return *plain(name+": "+value, 500) }

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

// topFunctions is a code block of the heaviest functions of the first profile that has
// any.
func topFunctions(r gopprof.Report) string {
	for _, p := range r.Explanation.Profiles {
		if p.Total <= 0 || len(p.Functions) == 0 {
			continue
		}
		lines := []string{"  flat   cum  of " + code(string(p.Kind)+" "+p.SampleType, 40)}
		for _, f := range p.Functions[:min(len(p.Functions), 5)] {
			share := func(v int64) float64 { return 100 * float64(v) / float64(p.Total) }
			lines = append(lines, fmt.Sprintf("%5.1f%% %5.1f%% %s", share(f.Flat), share(f.Cum), code(f.Name, 80)))
		}
		return "```\n" + strings.Join(lines, "\n") + "\n```"
	}
	return ""
}

// links lead to the report's page and its call graphs.
func links(r gopprof.Report) string {
	base, ok := base(r)
	if !ok {
		return ""
	}
	all := []string{link(base+api.PathPage(r.ID), "Report")}
	for _, f := range r.Files {
		if f.Drawing != "" {
			all = append(all, link(base+api.PathDrawing(r.ID, f.Kind), "call graph: "+string(f.Kind)))
		}
	}
	return strings.Join(all, " · ")
}

func link(address, label string) string {
	return "<" + escape(address, 1000) + "|" + escape(strings.ReplaceAll(label, "|", " "), 100) + ">"
}

// base returns the server's URL out of that of the report's page, built anew from its
// parts so that nothing in it can end the link.
func base(r gopprof.Report) (string, bool) {
	before, ok := strings.CutSuffix(r.Page, api.PathPage(r.ID))
	u, err := url.Parse(before)
	if !ok || err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || len(before) > 500 {
		return "", false
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), true
}
