package serve_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/browser"
	"github.com/gopprof/gopprof/test/hostile"
)

// TestHostileNamesInABrowser: whatever programs, pods and people call themselves, a browser
// shows it as text: nothing runs, nobody else is asked, the menu stays where it is, and no
// page is wider than its screen.
func TestHostileNamesInABrowser(t *testing.T) {
	s, hot, _ := shop(t, false)
	b := browser.Start(t, browser.Options{Hosts: []string{strings.TrimPrefix(s.URL, "http://")}, Viewport: browser.Phone})
	tab := b.Open(s.URL + "/")
	names := append(hostile.Names(), `"><script>document.title="owned"</script><img src=x onerror='document.title="owned"'>`, "\u202e\u2066evil\u2069", strings.Repeat("w", 5000))
	// All of them at once, in turn over the places.
	next := 0
	name := func() string { next++; return names[next%len(names)] }
	for round := range 3 {
		next = round * 7
		r := s.explain(hot.ID, name())
		r.Capture.Target = gopprof.Target{Cluster: name(), Node: name(), Namespace: "shop", Workload: gopprof.Workload{Kind: name(), Name: name()}, Pod: name(), Container: name(), Image: name(), Owner: name()}
		r.Explanation.Summary, r.Explanation.Warnings = name(), []string{name(), name()}
		r.Explanation.Profiles[0].Functions = nil
		for range 10 {
			r.Explanation.Profiles[0].Functions = append(r.Explanation.Profiles[0].Functions, gopprof.Function{Name: name(), File: name(), Cum: 1e9})
		}
		r.Capture.Failures[0].Detail = name()
		s.desk.nodes[0].Targets[0].Target, s.desk.nodes[0].Targets[0].Detail = r.Capture.Target, name()
		s.desk.op.Who, s.desk.op.Asked.Selector, s.desk.op.Asked.Workload = name(), name(), gopprof.Workload{}
		s.desk.op.Captures[1] = gopprof.OperationCapture{Target: r.Capture.Target, State: gopprof.CaptureFailed, Reason: gopprof.Reason(name()), Detail: name()}
		for _, path := range []string{"/", "/reports/" + hot.ID, "/targets", "/operations", "/operations/" + s.desk.op.ID, "/operations/" + s.desk.op.ID + "/merged",
			"/operations/new?" + url.Values{"name": {name()}, "place": {name()}, "container": {name()}}.Encode(), "/reports?" + url.Values{"namespace": {name()}, "cause": {name()}}.Encode()} {
			if strings.HasPrefix(path, "/reports?") {
				b.Expect("422") // a cause that there is not
			}
			tab.Navigate(s.URL + path)
			var seen struct {
				Title         string
				Menu, Scripts int
				Wide          []string
			}
			tab.Eval(`({Title: document.title, Menu: document.querySelectorAll("header nav a").length,
				Scripts: document.querySelectorAll("script:not([src$='live.js']), iframe, object, embed, [onerror], [onload]").length,
				Wide: [...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > screen.width + 1 && !e.closest(".wide, pre, .facts, select, datalist")).map(e => e.tagName)})`, &seen)
			if seen.Title == "owned" || seen.Menu != 3 || seen.Scripts != 0 || len(seen.Wide) > 0 {
				t.Errorf("%.100s: %+v", path, seen)
			}
		}
	}
}
