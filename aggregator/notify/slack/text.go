package slack

import (
	"strings"

	"github.com/gopprof/gopprof/aggregator/notify"
)

// escape makes a foreign text harmless in Slack's mrkdwn: one line, bounded, without
// control and direction characters, and with the three characters escaped by which links
// and mentions begin (https://docs.slack.dev/messaging/formatting-message-text#escaping).
func escape(s string, most int) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(notify.Clean(s, most))
}

// code is escape without the character that ends code. Blanks that lead a table's line stay.
func code(s string, most int) string {
	blanks := len(s) - len(strings.TrimLeft(s, " "))
	return strings.Repeat(" ", min(blanks, 20)) + escape(strings.ReplaceAll(s, "`", "'"), most)
}
