// Package slack writes a message for people who read it in Slack, or in a chat that
// understands the format of Slack's incoming webhooks
// (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks). A letter
// enters, a POST leaves; it does no I/O.
//
// Names and summaries come from profiled programs: every one is bounded and either plain
// text or escaped, so that none can mention anybody, hide a link behind a text or drown
// the channel. Links lead to the report's own page, and to what its owner linked to.
package slack

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gopprof/gopprof/aggregator/notify"
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
	mostFields = 10
	maxBytes   = 40_000 // of the body; far above what ours come to
)

// Channel is the channel.
type Channel struct{}

// Message returns the body for a report and its media type.
func Message(r gopprof.Report) (body []byte, mediaType string, err error) {
	p, err := Channel{}.Write(notify.Letter{Message: notify.One(notify.ItemOf(r), time.Time{})})
	return p.Body, p.ContentType, err
}

// Write implements notify.Poster.
func (Channel) Write(l notify.Letter) (notify.Post, error) {
	return notify.JSONPost(l.Message, maxBytes, func(o notify.Outline) any { return lay(o) })
}

func lay(o notify.Outline) message {
	m := message{Text: fallback(o)}
	add := func(b block) { m.Blocks = append(m.Blocks, b) }
	section := func(t *text) { add(block{Type: "section", Text: t}) }
	add(block{Type: "header", Text: plain(o.Title, maxHeader)})
	if w := o.Warnings; len(w) > 0 {
		section(plain("Warning: "+strings.Join(w, ". Warning: "), maxSection))
	}
	for _, lines := range []string{paragraph(o.Lines), paragraph(o.Pods)} {
		if lines != "" {
			section(&text{Type: "plain_text", Text: lines})
		}
	}
	if len(o.Facts) > 0 {
		add(block{Type: "section", Fields: fields(o.Facts)})
	}
	if len(o.Top) > 0 {
		section(marked(table(o.Top)))
	}
	if s := linked(o.Links); s != "" {
		section(marked(s))
	}
	if foot := o.Footer(); foot != "" {
		add(block{Type: "context", Elements: []text{*plain(foot, maxField)}})
	}
	return m
}

func fields(facts []notify.Fact) []text {
	var all []text
	for _, f := range facts[:min(len(facts), mostFields)] {
		all = append(all, *plain(f.Name+": "+f.Value, 500))
	}
	return all
}

// paragraph is lines as one plain text within Slack's bound.
func paragraph(lines []string) string {
	s := strings.TrimSpace(strings.Join(lines, "\n"))
	if runes := []rune(s); len(runes) > maxSection {
		return string(runes[:maxSection-1]) + "…"
	}
	return s
}

// plain is a text that Slack shows as it is; it may not be empty.
func plain(s string, most int) *text {
	s = notify.Clean(s, most)
	if s == "" {
		s = "-"
	}
	return &text{Type: "plain_text", Text: s}
}

// marked is a text in mrkdwn whose foreign parts are escaped already.
func marked(s string) *text { return &text{Type: "mrkdwn", Text: s, Verbatim: true} }

func table(lines []string) string {
	var all []string
	for _, line := range lines {
		all = append(all, strings.TrimRight(code(line, 120), " "))
	}
	return "```\n" + strings.Join(all, "\n") + "\n```"
}

func linked(links []notify.Link) string {
	s := ""
	for _, l := range links {
		next := link(l)
		if s != "" {
			next = " · " + next
		}
		if utf8.RuneCountInString(s+next) > maxSection {
			break
		}
		s += next
	}
	return s
}

func link(l notify.Link) string {
	return "<" + escape(l.URL, 1000) + "|" + escape(notify.Neutral(l.Name, 100), 100) + ">"
}

// fallback is the message in one line.
func fallback(o notify.Outline) string {
	s := code(o.Title, 200)
	if len(o.Lines) > 0 {
		s += ": " + code(o.Lines[0], 300)
	}
	// Chats that know no blocks may know mentions and links in other spellings.
	s = strings.NewReplacer("@", "@\u200b", "](", "]\u200b(").Replace(s)
	if l := linked(o.Links[:min(len(o.Links), 3)]); l != "" {
		s += " " + l
	}
	return s
}

// Read implements notify.Poster. Slack answers 200 and "ok"; chats that speak its format
// may answer 200 and say no in JSON.
func (Channel) Read(a notify.Answer, said notify.Outcome) notify.Outcome {
	var answer struct {
		OK      *bool `json:"ok"`
		Success *bool `json:"success"`
	}
	if said.Reason != "" || !bytes.HasPrefix(bytes.TrimSpace(a.Body), []byte("{")) || json.Unmarshal(a.Body, &answer) != nil {
		return said
	}
	if answer.OK != nil && !*answer.OK || answer.Success != nil && !*answer.Success {
		return notify.Refused("200, and refused")
	}
	return said
}

// Pace implements notify.Poster: one message a second, and bursts
// (https://docs.slack.dev/apis/web-api/rate-limits).
func (Channel) Pace() notify.Pace { return notify.Pace{Messages: 30, Per: 30 * time.Second} }
