package alerts

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

var since = time.Date(2026, 11, 28, 3, 4, 5, 6000, time.FixedZone("CET", 3600))

// alertWith has labels written as name=value, separated by spaces.
func alertWith(labels string) api.NotifiedAlert {
	a := api.NotifiedAlert{Status: api.AlertFiring, Labels: map[string]string{"alertname": "CartIsHot"}, StartsAt: since, Fingerprint: "b3d2f5a1c0e49786"}
	for pair := range strings.FieldsSeq(labels) {
		name, value, _ := strings.Cut(pair, "=")
		a.Labels[name] = value
	}
	return a
}

func deployment(name string) gopprof.Workload {
	return gopprof.Workload{Kind: "Deployment", Name: name}
}

func TestWhoIsMeant(t *testing.T) {
	for labels, want := range map[string]gopprof.Manual{
		"namespace=shop pod=cart-0":                                                         {Namespace: "shop", Pod: "cart-0"},
		"namespace=shop pod=cart-0 container=cart":                                          {Namespace: "shop", Pod: "cart-0", Container: "cart"},
		"namespace=shop pod=cart-0 container=POD":                                           {Namespace: "shop", Pod: "cart-0"},
		"namespace=shop pod=cart-0 deployment=cart":                                         {Namespace: "shop", Pod: "cart-0"},
		"namespace=monitoring pod=ksm-1 exported_namespace=shop exported_pod=cart-0":        {Namespace: "shop", Pod: "cart-0"},
		"namespace=monitoring exported_namespace=shop deployment=cart":                      {Namespace: "shop", Workload: deployment("cart"), MaxPods: 3},
		"namespace=shop deployment=cart container=kube-state-metrics":                       {Namespace: "shop", Workload: deployment("cart"), MaxPods: 3},
		"namespace=shop statefulset=db":                                                     {Namespace: "shop", Workload: gopprof.Workload{Kind: "StatefulSet", Name: "db"}, MaxPods: 3},
		"namespace=shop daemonset=log":                                                      {Namespace: "shop", Workload: gopprof.Workload{Kind: "DaemonSet", Name: "log"}, MaxPods: 3},
		"namespace=shop workload=cart workload_type=deployment":                             {Namespace: "shop", Workload: gopprof.Workload{Kind: "deployment", Name: "cart"}, MaxPods: 3},
		"namespace=shop workload=cart workload_kind=Job":                                    {Namespace: "shop", Workload: gopprof.Workload{Kind: "Job", Name: "cart"}, MaxPods: 3},
		"namespace=shop deployment=cart statefulset=db workload=x":                          {Namespace: "shop", Workload: deployment("cart"), MaxPods: 3},
		"namespace=shop pod=cart-0 cluster=prod node=n1 instance=10.0.0.1:6060 job=kubelet": {Namespace: "shop", Pod: "cart-0"},
	} {
		m, err := New(DefaultConfig()).Asks("gopprof", alertWith(labels))
		if err != nil {
			t.Errorf("%s: %v", labels, err)
			continue
		}
		if m.Cluster != want.Cluster || m.Namespace != want.Namespace || m.Pod != want.Pod || m.Container != want.Container || m.Workload != want.Workload || m.MaxPods != want.MaxPods || m.Selector != "" || m.AllAtOnce {
			t.Errorf("%s: %+v", labels, m)
		}
	}
}

func TestNobodyIsMeant(t *testing.T) {
	for labels, want := range map[string]struct {
		reason gopprof.Reason
		detail string
	}{
		"":                             {gopprof.ReasonNoTarget, "namespace"},
		"pod=cart-0":                   {gopprof.ReasonNoTarget, "namespace"},
		"namespace= pod=cart-0":        {gopprof.ReasonNoTarget, "namespace"},
		"namespace=shop":               {gopprof.ReasonNoTarget, "pod"},
		"namespace=shop pod=":          {gopprof.ReasonNoTarget, "pod"},
		"namespace=shop container=x":   {gopprof.ReasonNoTarget, "pod"},
		"namespace=shop workload=cart": {gopprof.ReasonBadInput, "workload_type"},
		"namespace=shop pod=cart-0 gopprof_kinds=cpu,cmdline":         {gopprof.ReasonBadInput, "cmdline"},
		"namespace=shop pod=cart-0 gopprof_kinds=,":                   {gopprof.ReasonBadInput, "gopprof_kinds"},
		"namespace=shop pod=cart-0 gopprof_kinds=heap,trace":          {gopprof.ReasonBadInput, "by hand"},
		"alertname=GopprofHot namespace=shop pod=cart-0":              {gopprof.ReasonOwnAlert, "itself"},
		"alertname=GopprofTest":                                       {gopprof.ReasonOwnAlert, "itself"},
		"alertname=GopprofHot namespace=shop pod=a gopprof_kinds=cpu": {gopprof.ReasonOwnAlert, "itself"},
	} {
		_, err := New(DefaultConfig()).Asks("gopprof", alertWith(labels))
		e, ok := errors.AsType[*gopprof.Error](err)
		if !ok || e.Reason != want.reason || !strings.Contains(e.Detail, want.detail) {
			t.Errorf("%q: %v", labels, err)
		}
	}
}

const settings = `
kinds: [goroutine]
rules:
- {matchers: ['alertname=~"Memory.*"', 'severity!="info"'], kinds: [heap, allocs]}
- {matchers: [severity=page], kinds: [cpu]}
- {matchers: ['alertname=~".*"', team=a], kinds: [mutex]}
labels: {pod: [pod_name], cluster: [cluster], deployment: [], kinds: profiles}
`

func configured(t *testing.T, text string) Config {
	t.Helper()
	c := DefaultConfig()
	if err := config.Parse("a.yaml", []byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestKindsAndNamesOfLabels(t *testing.T) {
	r := New(configured(t, settings))
	for labels, want := range map[string]string{
		"alertname=MemoryHigh":                           "heap allocs",
		"alertname=MemoryHigh severity=info":             "goroutine",
		"alertname=MemoryHigh severity=page":             "heap allocs",
		"alertname=Slow severity=page":                   "cpu",
		"alertname=Slow team=a":                          "mutex",
		"alertname=Slow":                                 "goroutine",
		"alertname=MemoryHigh profiles=block,cpu,block":  "block cpu",
		"alertname=MemoryHigh profiles=profile":          "cpu",
		"alertname=MemoryHigh gopprof_kinds=mutex":       "heap allocs",
		"alertname=MemoryHigh profiles= deployment=cart": "heap allocs",
	} {
		m, err := r.Asks("gopprof", alertWith(labels+" namespace=shop pod_name=cart-0 pod=ksm-0 cluster=prod"))
		if err != nil || m.Pod != "cart-0" || m.Cluster != "prod" {
			t.Errorf("%s: %+v, %v", labels, m, err)
		}
		var got []string
		for _, k := range m.Kinds {
			got = append(got, string(k))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: kinds %v", labels, got)
		}
	}
	if _, err := r.Asks("gopprof", alertWith("namespace=shop deployment=cart")); gopprof.ReasonOf(err) != gopprof.ReasonNoTarget {
		t.Errorf("a label that is not looked at: %v", err)
	}
}

// One alert has one key for as long as it fires, however it describes itself; another one,
// another start and another namespace have others.
func TestKeyOfAnAlert(t *testing.T) {
	ask := func(change func(*api.NotifiedAlert)) string {
		a := alertWith("namespace=shop pod=cart-0")
		change(&a)
		m, err := New(DefaultConfig()).Asks("gopprof", a)
		if err != nil {
			t.Fatal(err)
		}
		return m.Key
	}
	same := ask(func(*api.NotifiedAlert) {})
	for name, change := range map[string]func(*api.NotifiedAlert){
		"annotations":    func(a *api.NotifiedAlert) { a.Annotations = map[string]string{"value": "0.97"} },
		"another zone":   func(a *api.NotifiedAlert) { a.StartsAt = a.StartsAt.UTC() },
		"kinds":          func(a *api.NotifiedAlert) { a.Labels["gopprof_kinds"] = "heap" },
		"generator's id": func(a *api.NotifiedAlert) { a.GeneratorURL = "http://prometheus-1/graph" },
	} {
		if ask(change) != same {
			t.Errorf("%s make it another alert", name)
		}
	}
	for name, change := range map[string]func(*api.NotifiedAlert){
		"fingerprint": func(a *api.NotifiedAlert) { a.Fingerprint = "0" },
		"start":       func(a *api.NotifiedAlert) { a.StartsAt = a.StartsAt.Add(time.Nanosecond) },
		"namespace":   func(a *api.NotifiedAlert) { a.Labels["namespace"] = "bank" },
	} {
		if ask(change) == same {
			t.Errorf("another %s is the same alert", name)
		}
	}
}

func TestAlertIsCleaned(t *testing.T) {
	a := alertWith("namespace=shop pod=cart-0")
	a.Labels["alertname"] = "Hot\x00\u202e" + strings.Repeat("x", 5000)
	a.Annotations = map[string]string{"summary": "two\nlines <script>", "": "nameless", "long": strings.Repeat("é", 5000)}
	a.GeneratorURL = "https://prometheus.example/graph?g0.expr=up%3D%3D0&g0.tab=1"
	m, err := New(DefaultConfig()).Asks("team\x1b[0m", a)
	if err != nil {
		t.Fatal(err)
	}
	got := m.Alert
	if got.GeneratorURL != a.GeneratorURL || got.StartsAt != since.UTC() || got.Fingerprint != a.Fingerprint || got.Labels["pod"] != "cart-0" || got.Annotations["summary"] != "two lines <script>" {
		t.Errorf("%+v", got)
	}
	checkBounds(t, got)
	for _, url := range []string{"javascript:alert(1)", "http://user:pw@x/", "//x/y", "http://", "\x00", "https://x/" + strings.Repeat("y", 2000)} {
		a.GeneratorURL = url
		if m, _ := New(DefaultConfig()).Asks("team", a); m.Alert.GeneratorURL != "" {
			t.Errorf("%.40q is kept as %.40q", url, m.Alert.GeneratorURL)
		}
	}
}

// What starts in a year that no message can tell of is refused by name.
func TestAlertOfAYearThatNobodyCanWrite(t *testing.T) {
	for _, at := range []string{"9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"} {
		a := alertWith("namespace=shop pod=cart-0")
		var err error
		if a.StartsAt, err = time.Parse(time.RFC3339, at); err != nil {
			t.Fatal(err)
		}
		if _, err := New(DefaultConfig()).Asks("team", a); gopprof.ReasonOf(err) != gopprof.ReasonBadInput {
			t.Errorf("%s: %v, want bad_input", at, err)
		}
	}
}

// checkBounds is what the wire demands of an alert.
func checkBounds(t *testing.T, a *gopprof.Alert) {
	t.Helper()
	check := func(what, s string, most int) {
		if len(s) > most || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%s of %d bytes: %.80q", what, len(s), s)
		}
	}
	check("name", a.Name, 253)
	check("receiver", a.Receiver, 253)
	check("fingerprint", a.Fingerprint, 64)
	check("generator", a.GeneratorURL, gopprof.MaxAlertText)
	for _, all := range []map[string]string{a.Labels, a.Annotations} {
		size := 0
		for name, text := range all {
			check("name", name, gopprof.MaxAlertName)
			check("text", text, gopprof.MaxAlertText)
			size += len(name) + len(text)
		}
		if len(all) > gopprof.MaxAlertEntries || size > gopprof.MaxAlertBytes {
			t.Errorf("%d entries of %d bytes", len(all), size)
		}
	}
}

func FuzzAlert(f *testing.F) {
	f.Add("CartIsHot", "namespace", "shop", "pod", "cart-0", "http://prometheus/", "b3d2")
	f.Add("\xff\xfe", "namespace", "\x80", "pod", strings.Repeat("\x80", 2000), "http://\x80", strings.Repeat("\xf0", 64))
	f.Add("GopprofHot", "exported_pod", "a", "gopprof_kinds", "cpu,\x00", "https://[::1]:9090/", "")
	for _, name := range hostile.Names() {
		f.Add(name, "namespace", name, "pod", name, name, name)
		f.Add("CartIsHot", name, name, "gopprof_kinds", name, "http://prometheus/"+name, "")
	}
	f.Fuzz(func(t *testing.T, name, label1, value1, label2, value2, generator, fingerprint string) {
		labels := map[string]string{"alertname": name, "namespace": "shop", "pod": "cart-0", label1: value1, label2: value2}
		a := api.NotifiedAlert{Labels: labels, Annotations: maps.Clone(labels), GeneratorURL: generator, Fingerprint: fingerprint, StartsAt: since}
		m, err := New(DefaultConfig()).Asks(name, a)
		if err != nil {
			if reason := gopprof.ReasonOf(err); !slices.Contains([]gopprof.Reason{gopprof.ReasonOwnAlert, gopprof.ReasonNoTarget, gopprof.ReasonBadInput}, reason) {
				t.Fatalf("refused as %q: %v", reason, err)
			}
			return
		}
		if gopprof.OwnAlert(labels) {
			t.Fatal("gopprof's own alert is acted on")
		}
		if m.Namespace == "" || (m.Pod == "" && m.Workload.Name == "") || len(m.Kinds) == 0 || len(m.Key) != 64 || slices.Contains(m.Kinds, gopprof.KindTrace) {
			t.Fatalf("%+v", m)
		}
		checkBounds(t, m.Alert)
	})
}

func TestMistakesOfTheConfiguration(t *testing.T) {
	if err := config.Parse("a.yaml", nil, new(DefaultConfig())); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for text, want := range map[string]string{
		"kinds: []":                                       "kinds: must name",
		"kinds: [trace]":                                  "kinds[0]",
		"kinds: [profile]":                                "kinds[0]",
		"rules: [{kinds: [cpu]}]":                         "rules[0].matchers",
		"rules: [{matchers: [a=b]}]":                      "rules[0].kinds",
		"rules: [{matchers: ['a'], kinds: [cpu]}":         "",
		"rules: [{matchers: ['a=~\"(\"'], kinds: [cpu]}]": "rules[0].matchers[0]",
		"max_pods: 0":                                     "max_pods",
		"max_per_notification: 501":                       "max_per_notification",
		"namespaces: [shop]":                              "namespaces",
		"{secret_file: /s, namespaces: ['*']}":            "namespaces",
		"labels: {pod: ['a b']}":                          "labels.pod[0]",
		"labels: {namespace: []}":                         "labels.namespace",
		"labels: {kinds: 'a-b'}":                          "labels.kinds",
		"labels: {replicaset: [replicaset]}":              "replicaset",
		"{secret_file: /s, namespaces: [a, b]}":           "-",
	} {
		err := config.Parse("a.yaml", []byte(text), new(DefaultConfig()))
		if want == "-" && err != nil || want != "-" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
