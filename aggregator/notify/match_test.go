package notify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

func TestMatchersThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"": "must be", "shop": "must be", "=x": "must be", "nosuch=x": "is none of", "label_=x": "is none of", "labels_app=x": "is none of",
		`label_app.kubernetes.io/name="web"`: "must be written label_app_kubernetes_io_name", `label_app=~"("`: "regular expression",
		`namespace="x`: "quotes", `namespace=~"("`: "regular expression", "a b=c": "must be",
	} {
		if _, err := parseMatcher(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

const tree = `
receivers:
- {name: ops, channel: slack, url_file: /secrets/ops}
- {name: shop, channel: dingtalk, url_file: /secrets/shop, sign_file: /secrets/sign}
- {name: gc, channel: feishu, url_file: /secrets/gc}
- {name: all, channel: webhook, url: "http://all"}
default: {receivers: [ops], group_wait: 1m}
routes:
- {matchers: ['cluster=~".*"'], receivers: [all], continue: true, triggers: [rule, manual]}
- owner: team-shop
  receivers: [shop]
  group_by: [namespace]
  routes:
  - {matchers: ['cause="gc_bound"', 'confidence!="unsure"'], receivers: [gc, shop], end_after: 1h}
  - {matchers: ['workload="noise"']}
- {matchers: ['agreement="contradicted"'], receivers: [gc], contradicted: true}
`

// Who is told of which report, by a tree as it stands in a file.
func TestTree(t *testing.T) {
	c := DefaultConfig()
	if err := config.Parse("a.yaml", []byte(tree), &c); err != nil {
		t.Fatal(err)
	}
	root := newTree(c)
	report := func(change func(*gopprof.Report)) gopprof.Report {
		r := gopprof.Report{}
		r.Capture.Target.Cluster, r.Capture.Target.Workload.Name, r.Capture.Trigger.Kind = "prod", "web", gopprof.TriggerRule
		change(&r)
		return r
	}
	caused := func(kind gopprof.CauseKind, sure gopprof.Confidence) *gopprof.Verdict {
		return &gopprof.Verdict{Causes: []gopprof.Cause{{Kind: kind, Confidence: sure}, {Kind: gopprof.CauseTraffic}}}
	}
	for name, x := range map[string]struct {
		r       gopprof.Report
		want    []string
		silence string
	}{
		"of nobody":        {report(func(*gopprof.Report) {}), []string{"all"}, ""},
		"of another owner": {report(func(r *gopprof.Report) { r.Capture.Target.Owner = "x" }), []string{"all"}, ""},
		"of the shop":      {report(func(r *gopprof.Report) { r.Capture.Target.Owner = "team-shop" }), []string{"all", "shop"}, ""},
		"of the shop, by hand": {report(func(r *gopprof.Report) {
			r.Capture.Target.Owner, r.Capture.Trigger.Kind = "team-shop", gopprof.TriggerManual
		}), []string{"all"}, ""},
		"of the shop, garbage": {report(func(r *gopprof.Report) {
			r.Capture.Target.Owner = "team-shop"
			r.Explanation.Verdict = caused("gc_bound", "sure")
		}), []string{"all", "gc", "shop"}, ""},
		"of the shop, unsure": {report(func(r *gopprof.Report) {
			r.Capture.Target.Owner = "team-shop"
			r.Explanation.Verdict = caused("gc_bound", "unsure")
		}), []string{"all", "shop"}, ""},
		"of the shop, just noise": {report(func(r *gopprof.Report) { r.Capture.Target.Owner, r.Capture.Target.Workload.Name = "team-shop", "noise" }), []string{"all"}, ""},
		"contradicted":            {report(func(r *gopprof.Report) { r.Capture.Agreement.Result = gopprof.AgreementContradicted }), []string{"gc"}, ""},
		"a sibling":               {report(func(r *gopprof.Report) { r.Capture.Trigger.Kind = gopprof.TriggerSibling }), nil, silentTrigger},
	} {
		ways, silence := root.route(x.r)
		var got []string
		for _, w := range ways {
			got = append(got, w.receiver)
		}
		if !slices.Equal(got, x.want) || silence != x.silence {
			t.Errorf("%s: %v %q", name, got, silence)
		}
	}
}

// A pod's labels, from an agent's target through the report's message to who is told and what
// is told together.
func TestRouteByPodLabels(t *testing.T) {
	c := DefaultConfig()
	if err := config.Parse("a.yaml", []byte(`
receivers: [{name: ops, channel: slack, url_file: /u}, {name: shop, channel: slack, url_file: /u}, {name: edge, channel: slack, url_file: /u}]
default: {receivers: [ops]}
routes:
- {matchers: ['label_app_kubernetes_io_name="web"', 'label_canary!="yes"'], receivers: [shop], group_by: [namespace, label_team]}
- {matchers: ['label_tier=~"front|edge"'], receivers: [edge], group_by: [label_app_kubernetes_io_name]}
`), &c); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		labels          map[string]string
		receiver, group string
	}{
		"the application":     {map[string]string{"app.kubernetes.io/name": "web", "team": "cart"}, "shop", "namespace=shop, label_team=cart"},
		"without a team":      {map[string]string{"app.kubernetes.io/name": "web"}, "shop", "namespace=shop, label_team="},
		"kept out":            {map[string]string{"app.kubernetes.io/name": "web", "canary": "yes"}, "ops", "incident=019a2b3c-0000-7abc-9def-000000000001"},
		"expression":          {map[string]string{"tier": "edge", "app.kubernetes.io/name": "proxy"}, "edge", "label_app_kubernetes_io_name=proxy"},
		"half an expression":  {map[string]string{"tier": "edges"}, "ops", "incident=019a2b3c-0000-7abc-9def-000000000001"},
		"written alike":       {map[string]string{"app_kubernetes_io_name": "proxy", "app.kubernetes.io/name": "web"}, "shop", "namespace=shop, label_team="},
		"alike, one is empty": {map[string]string{"app_kubernetes_io_name": "web", "app.kubernetes.io/name": ""}, "shop", "namespace=shop, label_team="},
		"of another case":     {map[string]string{"Tier": "edge"}, "ops", "incident=019a2b3c-0000-7abc-9def-000000000001"},
		"none":                {nil, "ops", "incident=019a2b3c-0000-7abc-9def-000000000001"},
		"a known name":        {map[string]string{"namespace": "pay", "owner": "shop"}, "ops", "incident=019a2b3c-0000-7abc-9def-000000000001"},
	} {
		joined, ok := gopprof.JoinLabels(x.labels)
		target := gopprof.Target{Node: "n", Namespace: "shop", Pod: "web-1", Labels: joined}
		const id = "019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071"
		data, err := wire.EncodeReport(gopprof.Report{Version: gopprof.ReportVersion, ID: id, Capture: gopprof.Capture{
			ID: id, Incident: "019a2b3c-0000-7abc-9def-000000000001", Target: target, Labels: gopprof.SplitLabels(target.Labels), Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule},
		}})
		if err != nil || !ok {
			t.Fatal(name, ok, err)
		}
		r, err := wire.DecodeReport(data)
		if err != nil {
			t.Fatal(name, err)
		}
		ways, silence := newTree(c).route(r)
		if len(ways) != 1 || ways[0].receiver != x.receiver {
			t.Errorf("%s: %v %q, want %s", name, ways, silence, x.receiver)
		} else if got := ways[0].route.group(labelsOf(r)); got != x.group {
			t.Errorf("%s: grouped by %q, want %q", name, got, x.group)
		}
	}
}

// What routes inherit: how reports are grouped, and nothing else.
func TestInheritance(t *testing.T) {
	c := DefaultConfig()
	if err := config.Parse("a.yaml", []byte(tree), &c); err != nil {
		t.Fatal(err)
	}
	root := newTree(c)
	gc := root.below[1].below[0]
	if got := fmt.Sprint(gc.groupBy, gc.timing); got != fmt.Sprint([]string{"namespace"}, timing{Wait: time.Minute, Interval: 5 * time.Minute, Repeat: 4 * time.Hour, EndAfter: time.Hour}) {
		t.Errorf("%s", got)
	}
	if noise := root.below[1].below[1]; len(noise.Receivers) != 0 {
		t.Errorf("receivers were inherited: %v", noise.Receivers)
	}
	if a, b := newTree(c).below[1].below[0].name, gc.name; a != b || a == root.below[1].name {
		t.Errorf("names %q, %q", a, b)
	}
}

func TestRouteMistakes(t *testing.T) {
	for key, check := range map[string]func(report func(key, problem string)){
		"matchers[0]":     Route{Matchers: []string{"nosuch=x"}}.Check,
		"matchers[1]":     Route{Matchers: []string{"pod=x", `trigger="manual"`}}.Check,
		"matchers[2]":     Route{Matchers: []string{"pod=x", "pod=y", `agreement="contradicted"`}}.Check,
		"group_by[0]":     Telling{GroupBy: []string{"nosuch"}}.Check,
		"group_by[1]":     Telling{GroupBy: []string{"label_app", "label_app.kubernetes.io/name"}}.Check,
		"group_wait":      Telling{GroupWait: 2 * time.Hour}.Check,
		"group_interval":  Telling{GroupInterval: time.Millisecond}.Check,
		"repeat_interval": Telling{RepeatInterval: time.Second}.Check,
		"end_after":       Telling{EndAfter: 48 * time.Hour}.Check,
	} {
		if got := mistakes(check); !slices.Equal(got, []string{key}) {
			t.Errorf("%s: reported %v", key, got)
		}
	}
	for _, r := range []Route{
		{Matchers: []string{`trigger="manual"`}, Telling: Telling{Triggers: []gopprof.TriggerKind{"manual"}}},
		{Matchers: []string{`agreement="contradicted"`}, Telling: Telling{Contradicted: true}},
	} {
		if got := mistakes(r.Check); got != nil {
			t.Errorf("%v: reported %v", r, got)
		}
	}
}

// A mistake deep in the tree is told with its place.
func TestMistakesBelow(t *testing.T) {
	c := DefaultConfig()
	err := config.Parse("a.yaml", []byte("routes:\n- owner: a\n  routes:\n  - {matchers: ['pod=x'], receivers: [nobody]}\n  - {receivers: []}\n"), &c)
	for _, want := range []string{"routes[0].routes[0].receivers[0]", "routes[0].routes[1].owner"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
	}
}
