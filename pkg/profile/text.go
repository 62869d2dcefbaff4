package profile

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText is the longest name or path of a profile, in bytes, that leaves this package.
const maxText = 512

// Printable makes a foreign string safe to print: it is cut at limit bytes, and what
// is not printable (control characters, terminal escapes, characters that turn the
// direction of writing, broken UTF-8) becomes U+FFFD.
func Printable(s string, limit int) string {
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit] + "…"
	}
	return strings.Map(printable, s)
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return utf8.RuneError
}
