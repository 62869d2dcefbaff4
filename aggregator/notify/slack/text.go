package slack

import (
	"strings"
	"unicode"
)

// escape makes a foreign text harmless in Slack's mrkdwn: one line, bounded, without
// control and direction characters, and with the three characters escaped by which links
// and mentions begin (https://docs.slack.dev/messaging/formatting-message-text#escaping).
func escape(s string, most int) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(clean(s, most))
}

// clean makes a foreign text one bounded line.
func clean(s string, most int) string {
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

// code is escape without the character that ends code.
func code(s string, most int) string {
	return escape(strings.ReplaceAll(s, "`", "'"), most)
}
