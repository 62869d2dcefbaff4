// Package text makes what strangers wrote fit to be shown. Any bytes enter; one bounded line
// of printable characters leaves. It escapes nothing: how a page or a channel does that is
// theirs to know.
package text

import (
	"strings"
	"unicode"
)

// Line makes a foreign text one line of at most so many characters, without any that do
// something: control characters, those that are not seen, and those that turn the direction
// of writing. What is longer ends in "…".
func Line(s string, most int) string {
	if len(s) > 8*most+64 { // no rune is longer than four bytes, and most of what is dropped comes seldom
		s = s[:8*most+64]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.TrimSpace(s)
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}
