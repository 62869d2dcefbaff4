package text

import (
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "",
		"web-1":                        "web-1",
		"two\nlines\r\n\tof it ":       "two lines   of it",
		"a\x00b\x1b[31mc":              "ab[31mc",
		"\u202egnp.exe\u2066\u200bx":   "gnp.exex",
		"not\xffUTF-8\xe2\x80":         "notUTF-8",
		"<b>&amp;":                     "<b>&amp;",
		"exactly twenty runes":         "exactly twenty runes",
		"exactly twenty-1 rune":        "exactly twenty-1 ru…",
		strings.Repeat("長", 21):        strings.Repeat("長", 19) + "…",
		strings.Repeat("x", 1<<20):     strings.Repeat("x", 19) + "…",
		"x" + strings.Repeat("é", 1e6): "x" + strings.Repeat("é", 18) + "…",
	} {
		if got := Line(in, 20); got != want {
			t.Errorf("%.40q: %q, want %q", in, got, want)
		}
	}
}
