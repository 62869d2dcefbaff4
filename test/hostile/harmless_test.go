package hostile

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// What may stand before a person, written down apart from the code that sees to it.
var (
	htmlElements = strings.Fields("html head meta title link body header main footer nav h1 h2 p a bdi small table caption thead tbody tr th td time section pre code ul li form label input button span div dl dt dd strong em br h3 img select option")
	htmlTag      = regexp.MustCompile(`<\s*/?\s*([^\s/>]+)([^>]*)>`)
	// The addresses of our pages: relative, so that none can lead to another host, and each of
	// a place that there is.
	htmlAddress   = regexp.MustCompile(`^(#main|\?[^\s"]*|(\.\./)*(icon\.svg|style\.css|(reports|targets|operations|api/v1/reports)([/?][^\s"\\]*)?))$`)
	htmlPicture   = regexp.MustCompile(`^(\.\./)*api/v1/reports/[0-9a-f-]{36}/(drawings/[a-z]+|evidence\.svg)$`)
	htmlAttribute = regexp.MustCompile(`([^\s=]+)="([^"]*)"`)
)

// checkSVG holds that a drawing can do nothing but be looked at.
func checkSVG(t *testing.T, svg []byte) {
	t.Helper()
	texts, err := CheckSVG(svg)
	if err != nil {
		t.Error(err)
	}
	for _, text := range texts {
		checkText(t, text)
	}
}

// checkHTML holds that a page consists of our own elements, that its links stay here, and
// that nothing in it runs.
func checkHTML(t *testing.T, page []byte) {
	t.Helper()
	if !bytes.Contains(page, []byte("</html>")) {
		t.Errorf("not a page: %.500s", page)
	}
	checkText(t, string(page))
	tags := htmlTag.FindAllSubmatch(page, -1)
	if strings.Count(string(page), "<") != len(tags) {
		t.Errorf("%d times <, %d tags", strings.Count(string(page), "<"), len(tags))
	}
	for _, tag := range tags {
		name := strings.ToLower(string(tag[1]))
		if name != "!doctype" && !slices.Contains(htmlElements, name) {
			t.Errorf("element %q", tag[0])
		}
		for _, a := range htmlAttribute.FindAllSubmatch(tag[2], -1) {
			checkHTMLAttribute(t, strings.ToLower(string(a[1])), string(a[2]))
		}
	}
}

func checkHTMLAttribute(t *testing.T, name, value string) {
	t.Helper()
	if strings.HasPrefix(name, "on") || slices.Contains([]string{"style", "srcdoc", "http-equiv"}, name) || name == "src" && !htmlPicture.MatchString(value) {
		t.Errorf("attribute %s=%q", name, value)
	}
	if (name == "href" || name == "action") && !htmlAddress.MatchString(value) {
		t.Errorf("attribute %s=%q leads away", name, value)
	}
}

// TestWhatLeadsAway: the check of addresses lets none through that leads to another host, or
// to what is no place of ours.
func TestWhatLeadsAway(t *testing.T) {
	for _, bad := range []string{"", "/", "//evil.example", "https://evil.example/", "javascript:alert(1)", "../javascript:alert(1)", "..//evil.example", "../../evil", "reportsx", "reports\\evil", "data:,x",
		"reports:x", "/reports", "#x", "api/v2/x", "../../../etc/passwd"} {
		if htmlAddress.MatchString(bad) {
			t.Errorf("%q is let through", bad)
		}
		if htmlPicture.MatchString(bad) {
			t.Errorf("%q is let through as a picture", bad)
		}
	}
	if !htmlAddress.MatchString("../reports/x?y=z") || !htmlPicture.MatchString("../api/v1/reports/01938f00-0000-7000-8000-000000000001/drawings/cpu") {
		t.Error("our own addresses lead away")
	}
}

// checkJSON holds that a document is one, and that each of its strings may be printed.
func checkJSON(t *testing.T, document []byte) {
	t.Helper()
	var v any
	if err := json.Unmarshal(document, &v); err != nil {
		t.Fatalf("not JSON: %v", err)
	}
	checkText(t, string(document))
	eachString(v, func(s string) { checkText(t, s) })
}

func eachString(v any, visit func(string)) {
	switch v := v.(type) {
	case string:
		visit(v)
	case []any:
		for _, e := range v {
			eachString(e, visit)
		}
	case map[string]any:
		for k, e := range v {
			visit(k)
			eachString(e, visit)
		}
	}
}

// checkSlack holds that a message mentions nobody and links to nothing but the report.
func checkSlack(t *testing.T, message []byte) {
	t.Helper()
	checkJSON(t, message)
	var m struct {
		Text   string
		Blocks []struct{ Text struct{ Type, Text string } }
	}
	if err := json.Unmarshal(message, &m); err != nil {
		t.Fatal(err)
	}
	texts := []string{m.Text}
	for _, b := range m.Blocks {
		if b.Text.Type == "mrkdwn" {
			texts = append(texts, b.Text.Text)
		}
	}
	for _, s := range texts {
		blocks := strings.Split(s, "```") // every other one is code, where Markdown's links are text
		if strings.Contains(strings.ReplaceAll(s, "<https://gopprof.example/", ""), "<") || len(blocks)%2 == 0 {
			t.Errorf("a link, a mention or an open block: %q", s)
		}
		for i := 0; i < len(blocks); i += 2 {
			if strings.Contains(blocks[i], "](") {
				t.Errorf("a link in Markdown: %q", s)
			}
		}
	}
	if strings.Contains(m.Text, "@everyone") || strings.Contains(m.Text, "@here") {
		t.Errorf("a mention: %q", m.Text)
	}
}

// checkText holds that a text does nothing to a terminal, and does not turn or hide what
// is written. It may have several lines.
func checkText(t *testing.T, s string) {
	t.Helper()
	for i, r := range s {
		if r == utf8.RuneError || r == '\n' || r == '\t' || unicode.IsPrint(r) || r == '\u00a0' || r == '\u200b' {
			continue
		}
		t.Errorf("character %U in %.200q", r, s[max(0, i-20):])
		return
	}
	if !utf8.ValidString(s) {
		t.Errorf("not UTF-8: %.200q", s)
	}
}

// checkLine holds that a text is one bounded line that may be printed.
func checkLine(t *testing.T, s string) {
	t.Helper()
	checkText(t, s)
	if strings.Contains(s, "\n") || len(s) > 2000 {
		t.Errorf("not a line: %.300q", s)
	}
}
