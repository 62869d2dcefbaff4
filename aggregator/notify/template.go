package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"
	"time"
)

// Bounds of a receiver's template.
const (
	maxTemplateBytes = 16 << 10
	maxTemplateText  = 64 << 10
	templateTime     = time.Second
)

var (
	errTemplateLong = fmt.Errorf("writes more than %d bytes", maxTemplateText)
	errTemplateSlow = fmt.Errorf("does not end within %s", templateTime)
)

// view is what a template sees: Title and Lines as they would stand without it, and the
// message itself.
type view struct {
	Message
	Title string
	Lines []string
	Links []Link
	Test  bool
}

func viewOf(m Message) view {
	o := m.Outline(MostNamed)
	return view{m, o.Title, append(append([]string(nil), o.Lines...), o.Pods...), o.Links, len(m.Parts) == 0}
}

// parseTemplate reads a template; "" is none.
func parseTemplate(text string) (*template.Template, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxTemplateBytes {
		return nil, fmt.Errorf("is longer than %d bytes", maxTemplateBytes)
	}
	return template.New("template").Option("missingkey=error").Funcs(template.FuncMap{
		"json": func(v any) (string, error) {
			b, err := json.Marshal(v)
			return string(b), err
		},
		"join": func(sep string, list []string) string { return strings.Join(list, sep) },
	}).Parse(text)
}

// checkTemplate tries a template on messages of every kind.
func checkTemplate(text string) error {
	t, err := parseTemplate(text)
	if err != nil || t == nil {
		return err
	}
	for _, m := range samples() {
		if _, err := execute(t, m); err != nil {
			return err
		}
	}
	return nil
}

// execute runs a template over a message, for so long and to so many bytes at most.
func execute(t *template.Template, m Message) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		w := &bounded{until: time.Now().Add(templateTime)}
		defer func() { // nobody else can catch it
			if p := recover(); p != nil {
				done <- result{err: fmt.Errorf("it panicked: %v", p)}
			}
		}()
		err := t.Execute(w, viewOf(m))
		done <- result{w.text.String(), err}
	}()
	limit := time.NewTimer(2 * templateTime)
	defer limit.Stop()
	select {
	case r := <-done:
		return r.text, r.err
	case <-limit.C:
		return "", errTemplateSlow
	}
}

// bounded is a writer that refuses too much, or too late.
type bounded struct {
	text  bytes.Buffer
	until time.Time
}

func (b *bounded) Write(p []byte) (int, error) {
	switch {
	case b.text.Len()+len(p) > maxTemplateText:
		return 0, errTemplateLong
	case time.Now().After(b.until):
		return 0, errTemplateSlow
	}
	return b.text.Write(p)
}

// templateLines makes what a template wrote lines of clean text, without those that are empty at
// its ends.
func templateLines(s string) string {
	var out []string
	for line := range strings.SplitSeq(s, "\n") {
		out = append(out, Clean(line, maxSummary))
	}
	return strings.Trim(strings.Join(out[:min(len(out), 200)], "\n"), "\n ")
}

// samples are messages of every kind, as a template may meet them.
func samples() []Message {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const id = "019aabba-5a00-7b3c-8d4e-0123456789ab"
	item := Item{
		Report: id, Incident: id, Cluster: "prod", Node: "node-a", Namespace: "shop", Workload: "Deployment/web", Pod: "web-1", Container: "web",
		Owner: "team-shop", Trigger: "rule", Rule: "cpu", Agreement: "confirmed", What: "cpu at 93 % of its limit", Summary: "main.price burns 61 % of the CPU",
		Labels: map[string]string{"app.kubernetes.io/name": "web"}, Warnings: []string{"few samples"}, Causes: []Cause{{"code_hot", "sure", "main.price burns 61 % of the CPU"}}, Scope: "pod", Ratio: 0.93, Taken: at,
		Facts: []Fact{{"Workload", "Deployment/web"}}, Top: []string{"61% main.price"}, Links: []Link{{linkReport, "https://gopprof.example/reports/" + id}},
		Command: "kubectl gopprof open " + id, Threshold: 0.8,
	}
	bare := Item{Report: id, Namespace: "shop", Workload: "Deployment/web", Pod: "web-2", Trigger: "manual", What: "profiled (manual)", Taken: at}
	many := Part{Kind: KindMore, Pods: 3 * mostItems, Reports: 4 * mostItems, Since: at, Last: at}
	for range mostItems {
		many.Items = append(many.Items, item)
	}
	ended := many
	ended.Kind, ended.Ended = KindEnded, true
	return []Message{One(item, at), One(bare, at), {ID: id, Parts: []Part{many}}, {ID: id, Parts: []Part{ended}}, {ID: id, Parts: []Part{many, ended}}, {ID: id, Who: "ada"}}
}
