package email_test

import (
	"mime"
	"net/mail"
	"regexp"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
)

var word = regexp.MustCompile(`=\?[^?\s]*\?[qb]\?[^?\s]*\?=`)

// However long a title is, and in whatever script, no line of a header is longer than RFC 5322
// allows, no encoded word than RFC 2047 does, and readers see the title as it was.
func TestHeadersAreFolded(t *testing.T) {
	s := startServer(t, func(*server) {})
	scene := scene(t, s, func(e *notify.Email) {
		e.From = "Überwachung der gesamten Fertigungsstraße in Düsseldorf <gopprof@example.com>"
		e.To = []string{strings.Repeat("漢", 100) + " <ada@example.com>", "bob@example.com"}
	})
	for _, name := range []string{"web", strings.Repeat("漢", 200), strings.Repeat("é", 200), strings.Repeat("web-", 50), "a b " + strings.Repeat("👩‍🚀 ", 60), "=?utf-8?q?x?=", strings.Repeat("w ", 90), "a=?b"} {
		m := one(notifytest.Hostile(name))
		if out := send(t, scene, m); out.Reason != "" {
			t.Fatalf("%.20q: %+v", name, out)
		}
		data := s.got()[len(s.got())-1].data
		head, _, _ := strings.Cut(data, "\r\n\r\n")
		for line := range strings.SplitSeq(head, "\r\n") {
			words := word.FindAllString(line, -1)
			if len(line) > 998 || len(words) > 0 && len(line) > 76 || strings.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
				t.Errorf("%.20q: a line of %d bytes: %s", name, len(line), line)
			}
			for _, w := range words {
				if len(w) > 75 {
					t.Errorf("%.20q: a word of %d bytes", name, len(w))
				}
			}
		}
		header, _ := parts(t, data)
		want := "[gopprof] " + notify.Clean(m.Outline(0).Title, 150)
		if got, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject")); got != want || err != nil {
			t.Errorf("%.20q: subject %q, not %q, %v", name, got, want, err)
		}
		from, err := header.AddressList("From")
		if err != nil || len(from) != 1 || *from[0] != (mail.Address{Name: "Überwachung der gesamten Fertigungsstraße in Düsseldorf", Address: "gopprof@example.com"}) {
			t.Errorf("from %v, %v", from, err)
		}
		if to, err := header.AddressList("To"); err != nil || len(to) != 2 || to[0].Name != strings.Repeat("漢", 100) {
			t.Errorf("to %v, %v", to, err)
		}
	}
}
