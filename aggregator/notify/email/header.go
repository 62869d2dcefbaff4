package email

import (
	"fmt"
	"net/mail"
	"strings"
)

// Bounds of a header's lines, in bytes.
const (
	maxWord = 69 // of an encoded word, behind "From: " too: it may have 75, its line 76 (RFC 2047, 2)
	maxLine = 78 // that a line should have (RFC 5322, 2.1.1); 998 is what it must not exceed
)

// folded is a text as it stands in a header behind a first word: in further lines if it is
// long, and in encoded words if it is not plain ASCII, or might be read as such words.
func folded(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) || strings.Contains(text, "=?") {
		return "\r\n " + strings.Join(encodedWords(text), "\r\n ")
	}
	var b strings.Builder
	length := len("Subject: [gopprof]")
	for word := range strings.FieldsSeq(text) {
		if length += 1 + len(word); length > maxLine {
			b.WriteString("\r\n")
			length = 1 + len(word)
		}
		b.WriteString(" " + word)
	}
	return b.String()
}

// encodedWords are a text as RFC 2047 has it, each with whole characters.
func encodedWords(text string) []string {
	const before, after = "=?utf-8?q?", "?="
	all, word := []string(nil), ""
	for _, r := range text {
		c := qEncoded(r)
		if len(before)+len(word)+len(c)+len(after) > maxWord {
			all, word = append(all, before+word+after), ""
		}
		word += c
	}
	return append(all, before+word+after)
}

// qEncoded is a character of an encoded word that may stand everywhere (RFC 2047, 5).
func qEncoded(r rune) string {
	switch {
	case r == ' ':
		return "_"
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return string(r)
	}
	s := ""
	for _, b := range []byte(string(r)) {
		s += fmt.Sprintf("=%02X", b)
	}
	return s
}

// mailbox is an address with its name, as a header has it.
func mailbox(s string) string {
	a, err := mail.ParseAddress(s)
	if err != nil { // the configuration was checked
		return ""
	}
	if a.Name == "" || !strings.ContainsFunc(a.Name, func(r rune) bool { return r < ' ' || r > '~' }) && !strings.Contains(a.Name, "=?") {
		return a.String()
	}
	return strings.Join(encodedWords(a.Name), "\r\n ") + "\r\n <" + a.Address + ">"
}
