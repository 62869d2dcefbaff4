package web

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/text"
)

// maxForm bounds a form, in bytes.
const maxForm = 16 << 10

// mostNames is how many names a field of the form offers.
const mostNames = 500

// What may be profiled.
const (
	whatPod      = "pod"
	whatWorkload = "workload"
	whatLabels   = "labels"
)

// askPage is the form to profile something now.
type askPage struct {
	frame
	Places    []choice // where the caller may profile
	What      []choice
	Name      string
	Names     []string // to choose from
	Container string
	Kinds     []choice
	Seconds   string
	MaxPods   string
	Merge     bool
	Key       string // makes the form one request, however often it is sent
	Problem   string
}

type choice struct {
	Value, Label string
	Chosen       bool
}

// form shows the form, filled in with what its address says.
func (p *pages) form(w http.ResponseWriter, r *http.Request) {
	p.showForm(w, r, http.StatusOK, r.URL.Query(), "")
}

// ask asks for what the form says, and leads to its progress.
func (p *pages) ask(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		p.message(w, r, http.StatusBadRequest, "This form cannot be read: "+err.Error())
		return
	}
	m, problem := manual(r.PostForm)
	if problem != "" {
		p.showForm(w, r, http.StatusUnprocessableEntity, r.PostForm, problem)
		return
	}
	op, _, err := p.Captures.Capture(r.Context(), m)
	if err != nil {
		status, said := p.said(r, "asking for captures", err)
		p.showForm(w, r, status, r.PostForm, said)
		return
	}
	seeOther(w, "operations/"+url.PathEscape(op.ID))
}

func (p *pages) showForm(w http.ResponseWriter, r *http.Request, status int, v url.Values, problem string) {
	nodes, err := p.Nodes(r.Context())
	if err != nil {
		p.fail(w, r, "listing what may be profiled", err)
		return
	}
	page := askPage{
		frame: p.frame(r, "Profile now", "operations"), Problem: problem,
		Name: v.Get("name"), Container: v.Get("container"), Seconds: v.Get("seconds"), MaxPods: v.Get("max_pods"), Merge: v.Get("merge") != "", Key: uuid.NewString(),
		What: choices(cmp.Or(v.Get("what"), whatPod), choice{Value: whatPod, Label: "one pod"},
			choice{Value: whatWorkload, Label: "all pods of a workload: Deployment/web"}, choice{Value: whatLabels, Label: "pods by their labels: app=web"}),
	}
	asked := v["kinds"]
	if len(asked) == 0 {
		asked = []string{string(gopprof.KindCPU), string(gopprof.KindHeap), string(gopprof.KindGoroutine)}
	}
	for _, k := range gopprof.Kinds() {
		page.Kinds = append(page.Kinds, choice{string(k), string(k), slices.Contains(asked, string(k))})
	}
	if page.Places, page.Names, err = p.offered(r.Context(), nodes, v.Get("place")); err != nil {
		p.fail(w, r, "asking what you may profile", err)
		return
	}
	p.show(w, r, status, "ask.html", page)
}

// offered lists where the caller may profile, and the names of what is in the place chosen;
// in all of them when none is.
func (p *pages) offered(ctx context.Context, nodes []gopprof.NodeState, chosen string) ([]choice, []string, error) {
	may, places, names := p.MayProfile(ctx), map[string]choice{}, map[string]bool{}
	for _, n := range nodes {
		for _, s := range n.Targets {
			t := s.Target
			ok, err := may(t.Cluster, t.Namespace)
			if err != nil {
				return nil, nil, err
			}
			if !ok {
				continue
			}
			at := placeText(t.Cluster, t.Namespace)
			places[at] = choice{at, placeLabel(t), at == chosen}
			if chosen == "" || chosen == at {
				names[t.Pod] = true
				if t.Workload.Name != "" {
					names[t.Workload.String()] = true
				}
			}
		}
	}
	sorted := slices.Sorted(maps.Keys(names))
	byLabel := func(a, b choice) int { return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.Value, b.Value)) }
	return slices.SortedFunc(maps.Values(places), byLabel), sorted[:min(len(sorted), mostNames)], nil
}

func choices(chosen string, all ...choice) []choice {
	for i := range all {
		all[i].Chosen = all[i].Value == chosen
	}
	return all
}

// placeText is a namespace of a cluster as one word of a form.
func placeText(cluster, namespace string) string {
	return url.PathEscape(cluster) + "/" + url.PathEscape(namespace)
}

func placeLabel(t gopprof.Target) string {
	return cmp.Or(t.Namespace, "hosts") + " (cluster " + cmp.Or(t.Cluster, "without a name") + ")"
}

func readPlace(s string) (cluster, namespace string, err error) {
	c, n, ok := strings.Cut(s, "/")
	if cluster, err = url.PathUnescape(c); err == nil {
		namespace, err = url.PathUnescape(n)
	}
	if !ok || err != nil {
		return "", "", fmt.Errorf("%q is no namespace of a cluster", text.Line(s, 100))
	}
	return cluster, namespace, nil
}

// manual reads the form, or says what is wrong with it.
func manual(v url.Values) (m gopprof.Manual, problem string) {
	var err error
	if m.Cluster, m.Namespace, err = readPlace(v.Get("place")); err != nil {
		return m, "Namespace: " + err.Error()
	}
	name := strings.TrimSpace(v.Get("name"))
	if name == "" {
		return m, "Name: say which pod, workload or labels"
	}
	switch v.Get("what") {
	case whatPod:
		m.Pod = name
	case whatWorkload:
		kind, of, ok := strings.Cut(name, "/")
		if !ok || kind == "" || of == "" {
			return m, "Name: a workload is written kind/name, such as Deployment/web"
		}
		m.Workload = gopprof.Workload{Kind: kind, Name: of}
	case whatLabels:
		m.Selector = name
	default:
		return m, "What: one pod, a workload, or pods by their labels"
	}
	for _, k := range v["kinds"] {
		kind, err := gopprof.ParseKind(k)
		if err != nil {
			return m, "Profiles: " + err.Error()
		}
		m.Kinds = append(m.Kinds, kind)
	}
	if len(m.Kinds) == 0 {
		return m, "Profiles: choose one at least"
	}
	if s := v.Get("seconds"); s != "" {
		if m.CPUSeconds, err = strconv.ParseFloat(s, 64); err != nil || !(m.CPUSeconds > 0 && m.CPUSeconds <= 600) {
			return m, "Seconds: must be a number above 0 and at most 600"
		}
	}
	if s := v.Get("max_pods"); s != "" {
		if m.MaxPods, err = strconv.Atoi(s); err != nil || m.MaxPods < 1 || m.MaxPods > 1000 {
			return m, "Most pods: must be from 1 to 1000"
		}
	}
	m.Container, m.Merge = strings.TrimSpace(v.Get("container")), v.Get("merge") != "" && m.Group()
	if m.Key = v.Get("key"); len(m.Key) > 100 {
		return m, "This form was changed on its way: open it again"
	}
	return m, ""
}
