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

// printedBytes is how many bytes, at most, Printable makes of a text, and whether it leaves it as
// it is.
func printedBytes[T string | []byte](s T, limit int) (bytes int, same bool) {
	same = len(s) <= limit
	if !same {
		s, bytes = s[:limit], len("…")
	}
	for i := 0; i < len(s); {
		if ' ' <= s[i] && s[i] <= '~' {
			i, bytes = i+1, bytes+1
			continue
		}
		r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			same, r = false, utf8.RuneError
		}
		i, bytes = i+size, bytes+utf8.RuneLen(r)
	}
	return bytes, same
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return utf8.RuneError
}
