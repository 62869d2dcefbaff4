// Package teams writes a message for a Microsoft Teams workflow that begins "when a Teams
// webhook request is received"
// (https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using):
// an adaptive card (https://adaptivecards.io/explorer). A letter enters, a POST leaves; it
// does no I/O.
//
// The workflow's URL carries its signature, so that the URL is a secret. Foreign texts stand
// in the runs of rich text blocks, which know no markdown and no mentions; they must never
// stand in a TextBlock or a fact, which do.
package teams

import (
	"bytes"
	"strings"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
)

// maxBytes bounds the body: Teams takes 28 KB, and the workflow adds to what it passes on
// (24,453 bytes were seen to become 28,897).
const maxBytes = 20_000

// mostLinks is how many buttons Teams shows; it hides more behind a menu.
const mostLinks = 6

type message struct {
	Type        string       `json:"type"`
	Attachments []attachment `json:"attachments"`
}

type attachment struct {
	ContentType string  `json:"contentType"`
	ContentURL  *string `json:"contentUrl"` // null
	Content     card    `json:"content"`
}

type card struct {
	Schema  string   `json:"$schema"`
	Type    string   `json:"type"`
	Version string   `json:"version"`
	Teams   width    `json:"msteams"`
	Body    []block  `json:"body"`
	Actions []action `json:"actions,omitempty"`
}

type width struct {
	Width string `json:"width"`
}

// block is a RichTextBlock.
type block struct {
	Type      string `json:"type"`
	Spacing   string `json:"spacing,omitempty"`
	Separator bool   `json:"separator,omitempty"`
	Inlines   []run  `json:"inlines"`
}

// run is a TextRun: plain text with one look.
type run struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Size   string `json:"size,omitempty"`
	Weight string `json:"weight,omitempty"`
	Color  string `json:"color,omitempty"`
	Font   string `json:"fontType,omitempty"`
	Subtle bool   `json:"isSubtle,omitempty"`
}

type action struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// Channel is the channel.
type Channel struct{}

// Write implements notify.Poster.
func (Channel) Write(l notify.Letter) (notify.Post, error) {
	return notify.JSONPost(l.Message, maxBytes, func(o notify.Outline) any {
		return message{"message", []attachment{{"application/vnd.microsoft.card.adaptive", nil, lay(o)}}}
	})
}

func lay(o notify.Outline) card {
	c := card{Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4", Teams: width{"Full"}}
	add := func(r run) { c.Body = append(c.Body, block{Type: "RichTextBlock", Inlines: []run{r}}) }
	add(run{Text: notify.Clean(o.Title, 200), Size: "Large", Weight: "Bolder"})
	for _, w := range o.Warnings {
		add(run{Text: "Warning: " + w, Color: "Warning"})
	}
	for _, line := range append(append([]string(nil), o.Lines...), o.Pods...) {
		add(run{Text: line})
	}
	for _, f := range o.Facts {
		c.Body = append(c.Body, block{Type: "RichTextBlock", Spacing: "None", Inlines: []run{{Text: f.Name + ": ", Weight: "Bolder"}, {Text: f.Value}}})
	}
	for k, line := range o.Top {
		c.Body = append(c.Body, block{Type: "RichTextBlock", Spacing: spacing(k), Separator: k == 0, Inlines: []run{{Text: line, Font: "Monospace"}}})
	}
	if foot := o.Footer(); foot != "" {
		add(run{Text: foot, Size: "Small", Subtle: true})
	}
	c.Body = complete(c.Body)
	for _, l := range o.Links[:min(len(o.Links), mostLinks)] {
		c.Actions = append(c.Actions, action{"Action.OpenUrl", notify.Clean(l.Name, 40), l.URL})
	}
	return c
}

func spacing(k int) string {
	if k == 0 {
		return "Medium"
	}
	return "None"
}

// complete names the type of every run, and leaves out what has no text: a run may not be
// empty.
func complete(all []block) []block {
	var out []block
	for _, b := range all {
		empty := true
		for k := range b.Inlines {
			b.Inlines[k].Type = "TextRun"
			empty = empty && strings.TrimSpace(b.Inlines[k].Text) == ""
		}
		if !empty {
			out = append(out, b)
		}
	}
	return out
}

// Read implements notify.Poster. A workflow answers 202; the older connectors answer 200 and
// "1", or 200 and say in words which status they mean
// (https://github.com/MicrosoftDocs/msteams-docs/issues/7425).
func (Channel) Read(a notify.Answer, said notify.Outcome) notify.Outcome {
	if said.Reason != "" {
		return said
	}
	text := bytes.ToLower(a.Body)
	switch {
	case bytes.Contains(text, []byte("http error 429")), bytes.Contains(text, []byte("http error 5")), bytes.Contains(text, []byte("http error 408")):
		return notify.Busy("200, and delivered later", 15*time.Second)
	case bytes.Contains(text, []byte("delivery failed")), bytes.Contains(text, []byte("http error 4")):
		return notify.Refused("200, and not delivered")
	}
	return said
}

// Pace implements notify.Poster: four a second.
func (Channel) Pace() notify.Pace { return notify.Pace{Messages: 4, Per: time.Second} }
