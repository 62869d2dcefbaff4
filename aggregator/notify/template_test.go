package notify

import (
	"strings"
	"testing"
	"time"
)

func TestTemplatesThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"{{.Title":                   "unclosed action",
		"{{.Titel}}":                 "can't evaluate field Titel",
		"{{nosuch .Title}}":          "function \"nosuch\" not defined",
		"{{(index .Parts 0).Owner}}": "Owner",
		"{{range .Parts}}{{range .Items}}{{.Labels.app}}{{end}}{{end}}": "no entry for key", // most pods have another
		"{{index .Parts 0 | len}}":                                      "len of type",
		"{{(index .Parts 0).Pods}}":                                     "index out of range", // of a test message, which has no part
		strings.Repeat("x", 20_000):                                     "longer than",
		`{{printf "%70000d" 1}}`:                                        "writes more than",
		`{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`:         "", // too deep, or too slow
	} {
		if err := checkTemplate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, not %q", text, err, want)
		}
	}
}

func TestTemplateThatNeverEnds(t *testing.T) {
	p, err := parseTemplate(`{{range $i := .Parts}}{{range 2000000}}{{print "" ""}}{{end}}{{end}}`)
	if err != nil {
		t.Fatal(err)
	}
	m := samples()[0]
	for range 1000 {
		m.Parts = append(m.Parts, m.Parts[0])
	}
	start := time.Now()
	if _, err := execute(p, m); err == nil || time.Since(start) > 30*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestTemplatesThatAreTaken(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "{{.Title}}": "shop/web-1: cpu at 93 % of its limit",
		`{{range .Parts}}{{range .Items}}{{index .Labels "app.kubernetes.io/name"}}{{index .Labels "nosuch"}}{{end}}{{end}}`: "web",
		"{{range .Parts}}{{range .Items}}{{.Owner}} {{.Cause.Line}}{{end}}{{end}}":                                           "team-shop main.price burns 61 % of the CPU",
		"{{if .Test}}test{{else}}{{join \" / \" .Lines}}{{end}}":                                                             "main.price burns 61 % of the CPU / Cause: code_hot, sure",
		`{"t": {{json .Title}}}`: `{"t": "shop/web-1: cpu at 93 % of its limit"}`,
	} {
		if err := checkTemplate(text); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		r := newReceiver(Receiver{Name: "ops", Channel: ChannelSlack, Template: text}, 1, Pace{})
		m, err := r.write(samples()[0])
		if err != nil || m.Text != want {
			t.Errorf("%s: %q, %v", text, m.Text, err)
		}
	}
}

func TestPace(t *testing.T) {
	r := newReceiver(Receiver{Name: "ops", Channel: ChannelDingTalk}, 1, Pace{Messages: 2, Per: time.Minute})
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for k, want := range []time.Duration{0, 0, 40 * time.Second, 40 * time.Second} {
		now := at.Add(time.Duration(k) * 10 * time.Second)
		if left := max(r.paused(now), 0); left != want {
			t.Errorf("message %d: to wait %v, not %v", k, left, want)
		}
		if k < 2 {
			r.used(now)
		}
		if k == 2 {
			r.used(at.Add(20 * time.Second))
		}
	}
}

func TestSafeURL(t *testing.T) {
	for raw, want := range map[string]string{
		"https://a.example/x y": "https://a.example/x%20y", "https://a.example/(x)|<y>'*`": "https://a.example/%28x%29%7C%3Cy%3E%27%2A%60",
		"https://a.example?q=<x>&b=\"": "https://a.example?b=%22&q=%3Cx%3E", "http://[::1]:80/": "http://[::1]:80/",
		"javascript:alert(1)": "", "//a.example": "", "https://": "", "https://u:p@a.example/": "", "https://a|b.example/": "", "https://a.example/" + strings.Repeat("x", 900): "",
	} {
		if got, ok := SafeURL(raw); got != want || ok != (want != "") {
			t.Errorf("%s: %q", raw, got)
		}
	}
}
