package notify

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Whoever is told of a report that an alert asked for reads which alert that was, and can
// follow it back.
func TestItemOfAnAlert(t *testing.T) {
	r := gopprof.Report{ID: "019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071"}
	r.Capture.Trigger = gopprof.Trigger{Kind: gopprof.TriggerAlert, Request: &gopprof.Request{Who: "alertmanager"},
		Alert: &gopprof.Alert{Name: "CartIsHot\n<b>", StartsAt: time.Date(2026, 11, 28, 3, 4, 5, 0, time.UTC), GeneratorURL: "https://prometheus.example/graph"}}
	i := ItemOf(r)
	if want := "asked by alert " + Clean("CartIsHot\n<b>", maxName); i.What != want {
		t.Errorf("what: %q, want %q", i.What, want)
	}
	if want := (Link{"Alert", "https://prometheus.example/graph"}); !slices.Contains(i.Links, want) {
		t.Errorf("links %v", i.Links)
	}
	if want := (Fact{"Alert", Clean("CartIsHot\n<b>, since 2026-11-28 03:04:05 UTC", maxLine)}); !slices.Contains(i.Facts, want) {
		t.Errorf("facts %v", i.Facts)
	}
	r.Capture.Trigger.Alert.GeneratorURL = "javascript:alert(1)"
	if i := ItemOf(r); slices.ContainsFunc(i.Links, func(l Link) bool { return l.Name == "Alert" }) {
		t.Errorf("links %v", i.Links)
	}
}

// What a pod's annotations link to never goes by the name of a link of ours, however it is
// spelt: a reader could not tell them apart, and a channel that has one of each name would show
// the pod's.
func TestOwnersLinksAreNotOurs(t *testing.T) {
	const id, evil = "019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071", "https://evil.example/"
	r := gopprof.Report{ID: id, Page: "https://gopprof.example/reports/" + id, Links: map[string]string{}}
	for _, name := range []string{"Report", "rEport-", "Evidence", "alert", "Call.graph.cpu", "call_graph"} {
		r.Links[name] = evil + name
	}
	r.Links["Runbook"] = "https://wiki.example/"
	want := []Link{{"Report", r.Page}, {"Link: Call.graph.cpu", evil + "Call.graph.cpu"}, {"Link: Evidence", evil + "Evidence"}, {"Link: Report", evil + "Report"},
		{"Runbook", "https://wiki.example/"}, {"Link: alert", evil + "alert"}, {"Link: call_graph", evil + "call_graph"}, {"Link: rEport-", evil + "rEport-"}}
	if got := ItemOf(r).Links; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	r.Page = ""
	if page := ItemOf(r).Page(); page != "" {
		t.Errorf("its page is %s", page)
	}
}

// A pod's labels are lines, by their names in Kubernetes, and few; a pod that is named by
// a line alone has none.
func TestItemsLabels(t *testing.T) {
	r := gopprof.Report{}
	if i := ItemOf(r); i.Labels != nil {
		t.Errorf("of none: %v", i.Labels)
	}
	longest := strings.Repeat("d", 253) + "/" + strings.Repeat("n", 63)
	r.Capture.Labels = map[string]string{"app.kubernetes.io/name": "web", "a\u202eb": "x\ny\x1b[0m", "\u200b": "unseen", "long": strings.Repeat("v", 5000), longest: ""}
	i := ItemOf(r)
	want := map[string]string{"app.kubernetes.io/name": "web", "ab": "x y[0m", "long": strings.Repeat("v", maxName-1) + "…", longest: ""}
	if !maps.Equal(i.Labels, want) {
		t.Errorf("%q", i.Labels)
	}
	if i.short().Labels != nil || i.Labels == nil {
		t.Errorf("in short %v, in full %v", i.short().Labels, i.Labels)
	}
	for k := range 1000 {
		r.Capture.Labels[fmt.Sprint(k)] = "x"
	}
	if n := len(ItemOf(r).Labels); n != mostLabels {
		t.Errorf("%d labels", n)
	}
}
