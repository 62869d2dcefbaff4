// Package slack writes a report for a person who reads it in Slack, or in a chat that
// understands the format of Slack's incoming webhooks. A report enters, the body of a POST
// leaves; it does no I/O.
//
// Names and summaries come from profiled programs: every one is bounded and either plain
// text or escaped, so that none can mention anybody, hide a link behind a text or drown
// the channel. Links lead to the report's own page and to nothing else.
package slack

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// message is the body of a post to an incoming webhook.
type message struct {
	// Text is what notifications show, and all that chats show which know no blocks.
	Text        string  `json:"text"`
	Blocks      []block `json:"blocks"`
	UnfurlLinks bool    `json:"unfurl_links"`
	UnfurlMedia bool    `json:"unfurl_media"`
}

// block is a layout block (https://docs.slack.dev/reference/block-kit/blocks).
type block struct {
	Type     string `json:"type"`
	Text     *text  `json:"text,omitempty"`
	Fields   []text `json:"fields,omitempty"`
	Elements []text `json:"elements,omitempty"`
}

// text is a text object. Verbatim keeps Slack from finding links and names in it.
type text struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim,omitempty"`
}

// Slack's bounds, in characters: a message beyond them is refused as a whole.
const (
	maxHeader  = 150
	maxField   = 2000
	maxSection = 3000
)

// Message returns the body for a report and its media type.
func Message(r gopprof.Report) (body []byte, contentType string, err error) {
	m := message{Text: fallback(r)}
	m.Blocks = append(m.Blocks, block{Type: "header", Text: plain(title(r), maxHeader)})
	if s := clean(r.Explanation.Summary, maxSection); s != "" {
		m.Blocks = append(m.Blocks, block{Type: "section", Text: plain(s, maxSection)})
	}
	if w := r.Explanation.Warnings; len(w) > 0 {
		m.Blocks = append(m.Blocks, block{Type: "section", Text: plain("Warning: "+strings.Join(w, ". Warning: "), maxSection)})
	}
	m.Blocks = append(m.Blocks, block{Type: "section", Fields: facts(r)})
	if top := topFunctions(r); top != "" {
		m.Blocks = append(m.Blocks, block{Type: "section", Text: marked(top)})
	}
	if l := links(r); l != "" {
		m.Blocks = append(m.Blocks, block{Type: "section", Text: marked(l)})
	}
	m.Blocks = append(m.Blocks, block{Type: "context", Elements: []text{*plain("Report "+r.ID, maxField)}})
	body, err = json.Marshal(m)
	if err != nil {
		return nil, "", fmt.Errorf("writing report %q for slack: %w", r.ID, err)
	}
	return body, "application/json; charset=utf-8", nil
}

// plain is a text that Slack shows as it is.
func plain(s string, most int) *text { return &text{Type: "plain_text", Text: clean(s, most)} }

// marked is a text in mrkdwn whose foreign parts are escaped already.
func marked(s string) *text { return &text{Type: "mrkdwn", Text: s, Verbatim: true} }

// fallback is the message in one line.
func fallback(r gopprof.Report) string {
	s := code(title(r), 200)
	if summary := code(r.Explanation.Summary, 300); summary != "" {
		s += ": " + summary
	}
	// Chats that know no blocks may know mentions and links in other spellings.
	s = strings.NewReplacer("@", "@\u200b", "](", "]\u200b(").Replace(s)
	if l := links(r); l != "" {
		s += " " + l
	}
	return s
}
