package resolve

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	ktest "k8s.io/client-go/testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

type words = map[string]string

func pod(annotations, labels words) *v1.Pod {
	return &v1.Pod{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: "web-0", UID: "u1", Annotations: annotations, Labels: labels}}
}

func namespace(annotations, labels words) *v1.Namespace {
	return &v1.Namespace{ObjectMeta: meta.ObjectMeta{Name: "shop", Annotations: annotations, Labels: labels}}
}

func target() gopprof.Target {
	return gopprof.Target{
		Cluster: "prod", Node: "n1", Namespace: "shop", Pod: "web-0", PodUID: "u1", Container: "web",
		Workload: gopprof.Workload{Kind: "StatefulSet", Name: "web"},
	}
}

func resolver(c Config, objects ...runtime.Object) (*Resolver, *fake.Clientset) {
	k := fake.NewClientset(objects...)
	return newResolver(c, "prod", k.CoreV1(), zap.NewNop(), prometheus.NewRegistry()), k
}

func TestOwner(t *testing.T) {
	owned := func(s string) words { return words{annotationOwner: s} }
	c := DefaultConfig()
	c.OwnerLabels = []string{"team", "squad"}
	c.Workloads = []WorkloadOwner{
		{Namespace: "bank", Owner: "team-bank"}, {Kind: "Deployment", Owner: "team-deployments"},
		{Namespace: "sh*", Kind: "StatefulSet", Name: "w?b", Owner: "team-workload"},
	}
	without := DefaultConfig()
	cases := map[string]struct {
		c      Config
		pod    *v1.Pod
		ns     *v1.Namespace
		change func(*gopprof.Target)
		want   string
	}{
		"annotation":                  {c, pod(owned("team-pod"), words{"team": "team-label"}), namespace(owned("team-ns"), nil), func(t *gopprof.Target) { t.Owner = "team-agent" }, "team-pod"},
		"as the agent saw it":         {c, pod(nil, words{"team": "team-label"}), nil, func(t *gopprof.Target) { t.Owner = "team-agent" }, "team-agent"},
		"label":                       {c, pod(nil, words{"team": "team-label", "squad": "s"}), nil, nil, "team-label"},
		"second label":                {c, pod(nil, words{"squad": "s"}), nil, nil, "s"},
		"workload":                    {c, pod(nil, nil), namespace(owned("team-ns"), nil), nil, "team-workload"},
		"namespace":                   {without, pod(nil, nil), namespace(owned("team-ns"), words{"gopprof.io/owner": "x"}), nil, "team-ns"},
		"label of the namespace":      {without, pod(nil, nil), namespace(nil, words{"gopprof.io/owner": "x"}), nil, "x"},
		"nobody":                      {without, pod(nil, nil), namespace(nil, nil), nil, ""},
		"the pod is gone":             {without, nil, namespace(owned("team-ns"), nil), nil, "team-ns"},
		"another pod has its name":    {without, pod(owned("team-pod"), nil), namespace(owned("team-ns"), nil), func(t *gopprof.Target) { t.PodUID = "u0" }, "team-ns"},
		"a pod of another cluster":    {without, pod(owned("team-pod"), nil), namespace(owned("team-ns"), nil), func(t *gopprof.Target) { t.Cluster = "test" }, ""},
		"no pod, but a known host":    {c, pod(owned("team-pod"), nil), nil, func(t *gopprof.Target) { t.PodUID, t.Owner = "", "team-host" }, "team-host"},
		"an owner of two lines":       {without, pod(owned("a\nb"), nil), namespace(owned("team-ns"), nil), nil, "team-ns"},
		"an owner as long as a novel": {without, pod(owned(strings.Repeat("a", 254)), nil), namespace(owned("team-ns"), nil), nil, "team-ns"},
	}
	for name, tc := range cases {
		var objects []runtime.Object
		if tc.pod != nil {
			objects = append(objects, tc.pod)
		}
		if tc.ns != nil {
			objects = append(objects, tc.ns)
		}
		r, _ := resolver(tc.c, objects...)
		x := target()
		if tc.change != nil {
			tc.change(&x)
		}
		if got, _ := r.Owner(t.Context(), x); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestLinks(t *testing.T) {
	c := DefaultConfig()
	c.Links = []Link{{"dashboard", "https://grafana/d/x?var-ns={namespace}&var-pod={pod}"}, {"logs", "https://logs/{cluster}/{kind}/{workload}/{container}/{node}"}}
	r, _ := resolver(c,
		pod(words{
			"gopprof.io/link-runbook": "https://wiki/web", "gopprof.io/link-evil": "javascript:alert(1)", "gopprof.io/link-": "https://x",
			"gopprof.io/link-user": "https://a:b@host/", "gopprof.io/link-local": "/etc/passwd", "gopprof.io/link-long": "https://x/" + strings.Repeat("a", 2000),
		}, nil),
		namespace(words{"gopprof.io/link-runbook": "https://wiki/shop", "gopprof.io/link-logs": "http://mine/"}, nil))
	x := target()
	x.Pod, x.Workload.Name = "web-0", "a&b={pod}/.."
	_, got := r.Owner(t.Context(), x)
	want := words{"dashboard": "https://grafana/d/x?var-ns=shop&var-pod=web-0", "logs": "http://mine/", "runbook": "https://wiki/web"}
	if !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	x.Cluster = "test" // nothing is looked up
	_, got = r.Owner(t.Context(), x)
	if got["logs"] != "https://logs/test/StatefulSet/a%26b%3D%7Bpod%7D%2F../web/n1" {
		t.Errorf("%v", got)
	}
}

func TestTooManyLinks(t *testing.T) {
	annotations := words{}
	for i := range 100 {
		annotations[fmt.Sprintf("gopprof.io/link-%03d", i)] = "https://x/"
	}
	r, _ := resolver(DefaultConfig(), pod(annotations, nil))
	if _, got := r.Owner(t.Context(), target()); len(got) != maxLinks || got["000"] == "" {
		t.Errorf("%d links", len(got))
	}
}

// TestRemembered: one question for many reports of a pod, another when the answer is old;
// nothing but reading single objects is ever done.
func TestRemembered(t *testing.T) {
	r, k := resolver(DefaultConfig(), pod(words{annotationOwner: "one"}, nil), namespace(nil, nil))
	at := time.Now()
	r.now = func() time.Time { return at }
	for range 10 {
		r.Owner(t.Context(), target())
	}
	if n := len(k.Actions()); n != 2 {
		t.Errorf("%d questions", n)
	}
	if err := k.Tracker().Update(v1.SchemeGroupVersion.WithResource("pods"), pod(words{annotationOwner: "two"}, nil), "shop"); err != nil {
		t.Fatal(err)
	}
	at = at.Add(5 * time.Minute)
	if owner, _ := r.Owner(t.Context(), target()); owner != "two" {
		t.Errorf("%q after the annotation was changed", owner)
	}
	for _, a := range k.Actions() {
		if a.GetVerb() != "get" {
			t.Errorf("did %v", a)
		}
	}
}

// TestAPIServerAway: the agent's owner stays, what was known stays, and the API server is
// not asked for every report.
func TestAPIServerAway(t *testing.T) {
	r, k := resolver(DefaultConfig(), pod(words{annotationOwner: "one"}, nil), namespace(nil, nil))
	at := time.Now()
	r.now = func() time.Time { return at }
	r.Owner(t.Context(), target())
	asked, away := 0, true
	k.PrependReactor("get", "*", func(ktest.Action) (bool, runtime.Object, error) {
		asked++
		return away, nil, errors.New("away")
	})
	at = at.Add(time.Hour)
	unknown := target()
	unknown.Pod, unknown.PodUID, unknown.Owner = "web-1", "u2", "as the agent saw it"
	for range 10 {
		if owner, _ := r.Owner(t.Context(), target()); owner != "one" {
			t.Errorf("%q", owner)
		}
		if owner, _ := r.Owner(t.Context(), unknown); owner != "as the agent saw it" {
			t.Errorf("%q", owner)
		}
	}
	if asked != 3 { // two pods and their namespace
		t.Errorf("asked %d times", asked)
	}
	away, at = false, at.Add(failedFor)
	asked = 0
	if owner, _ := r.Owner(t.Context(), target()); owner != "one" || asked != 2 {
		t.Errorf("back: %q, asked %d times", owner, asked)
	}
}

// TestSlowAPIServer: one that never answers holds up a report for the time-out only.
func TestSlowAPIServer(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer s.Close()
	c := DefaultConfig()
	c.Timeout = 20 * time.Millisecond
	r, err := New(c, "prod", &rest.Config{Host: s.URL}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	x := target()
	x.Owner = "as the agent saw it"
	began := time.Now()
	if owner, _ := r.Owner(t.Context(), x); owner != x.Owner || time.Since(began) > 10*time.Second {
		t.Errorf("%q after %s", owner, time.Since(began))
	}
}

func TestBounded(t *testing.T) {
	c := newCache[int](10)
	at := time.Now()
	for i := range 100 {
		c.put(i, facts{}, at.Add(time.Hour))
		c.get(0, at)
		c.put(i, facts{owner: "x"}, at.Add(time.Hour))
	}
	if len(c.known) != 10 || c.order.Len() != 10 {
		t.Errorf("%d, %d", len(c.known), c.order.Len())
	}
	if f, fresh := c.get(0, at); !fresh || f.owner != "x" {
		t.Error("the one that is used was forgotten")
	}
}

func TestCheck(t *testing.T) {
	cases := map[string]struct {
		change func(*Config)
		want   []string
	}{
		"default":  {func(*Config) {}, nil},
		"zero":     {func(c *Config) { *c = Config{} }, []string{"cache_for", "cache_pods", "timeout"}},
		"workload": {func(c *Config) { c.Workloads = []WorkloadOwner{{}, {Namespace: "[", Name: "[", Owner: "a"}} }, []string{"workloads[0].owner", "workloads[1].namespace", "workloads[1].name"}},
		"links": {func(c *Config) {
			c.Links = []Link{{"a b", "https://x"}, {"a", "ftp://x"}, {"b", "https://x/{what}"}, {"c", "https://x/{pod}"}, {"d", "https://{pod}/"}}
		}, []string{"links[0].name", "links[1].url", "links[2].url", "links[4].url"}},
	}
	for name, tc := range cases {
		c := DefaultConfig()
		tc.change(&c)
		var got []string
		c.Check(func(key, _ string) { got = append(got, key) })
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// TestHostileAnnotations: what leaves is a line that names an owner, and addresses that a
// browser opens elsewhere.
func TestHostileAnnotations(t *testing.T) {
	for _, annotations := range hostile.Annotations() {
		r, _ := resolver(DefaultConfig(), pod(annotations, annotations), namespace(annotations, annotations))
		owner, links := r.Owner(t.Context(), target())
		if len(owner) > 253 || strings.ContainsFunc(owner, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%.200q: owner %q", annotations, owner)
		}
		for name, address := range links {
			checkLink(t, annotations, address)
			if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") != "" {
				t.Errorf("%.200q: link %q", annotations, name)
			}
		}
	}
}

func checkLink(t *testing.T, from any, address string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
		strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"<>`", r) }) {
		t.Errorf("%.200q became the link %q, %v", from, address, err)
	}
}

// FuzzLink: what leaves is an address that a browser opens elsewhere, or nothing.
func FuzzLink(f *testing.F) {
	for _, s := range []string{"https://x/y?z#a", "javascript:alert(1)", "//x", "https://", "http:x", "https://a@b", "HTTPS://X", "https://x/\n", "https://[::1]:1/%zz", "http://0\"00", "https://x<y>/"} {
		f.Add(s)
	}
	for _, annotations := range hostile.Annotations() {
		if s := annotations["gopprof.io/link-runbook"]; s != "" {
			f.Add(s)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := validLink(s); got != "" {
			checkLink(t, s, got)
		}
	})
}

// What may be looked up of pods only is said once, not with each report.
func TestNamespacesAreForbidden(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	r, k := resolver(DefaultConfig(), pod(nil, nil))
	r.log = zap.New(core)
	k.PrependReactor("get", "namespaces", func(ktest.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(v1.Resource("namespaces"), "shop", errors.New("no"))
	})
	for n := range 5 {
		x := target()
		x.Namespace, x.Pod = fmt.Sprint("shop-", n), fmt.Sprint("web-", n)
		r.Owner(t.Context(), x)
	}
	if logs.Len() != 1 {
		t.Errorf("logged %v", logs.All())
	}
}
