// Package dingtalk writes a message for a DingTalk group's custom robot
// (https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages): an action
// card with the links as buttons, or markdown where there are none. A letter enters, a POST
// leaves; it does no I/O.
//
// The robot's access token is in its URL, so that the URL is a secret; the signing secret
// ("SEC…", sign_file) is another. DingTalk's markdown has no escape character: what could be
// markup in a foreign text is replaced by look-alikes. It must never say "at" anybody.
package dingtalk

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
)

// Bounds: a body may have 20,000 bytes; titles and buttons are cut by the client.
const (
	maxBytes    = 20_000
	maxTitle    = 100
	mostButtons = 5
)

type message struct {
	Type     string    `json:"msgtype"`
	Markdown *markdown `json:"markdown,omitempty"`
	Card     *card     `json:"actionCard,omitempty"`
}

type markdown struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

type card struct {
	Title       string   `json:"title"`
	Text        string   `json:"text"`
	Orientation string   `json:"btnOrientation"` // "0": one below the other
	Buttons     []button `json:"btns"`
}

type button struct {
	Title string `json:"title"`
	URL   string `json:"actionURL"`
}

// Channel is the channel.
type Channel struct{}

// Write implements notify.Poster.
func (Channel) Write(l notify.Letter) (notify.Post, error) {
	p, err := notify.JSONPost(l.Message, maxBytes, func(o notify.Outline) any { return lay(o) })
	p.Query = signed(l)
	return p, err
}

// signed returns what a signed robot wants behind its URL: the time in milliseconds, and the
// HMAC-SHA256 of the time and the secret under the secret
// (https://open.dingtalk.com/document/orgapp/customize-robot-security-settings).
func signed(l notify.Letter) url.Values {
	if l.Sign.Empty() {
		return nil
	}
	at := strconv.FormatInt(l.Now.UnixMilli(), 10)
	return url.Values{"timestamp": {at}, "sign": {Signature(l.Sign.Reveal(), at)}}
}

// Signature returns the signature of a time in milliseconds.
func Signature(secret, timestamp string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "\n" + secret))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func lay(o notify.Outline) message {
	title, text := notify.Neutral(o.Title, maxTitle), body(o)
	if len(o.Links) == 0 {
		return message{Type: "markdown", Markdown: &markdown{title, text}}
	}
	c := &card{Title: title, Text: text, Orientation: "0"}
	for _, l := range o.Links[:min(len(o.Links), mostButtons)] {
		c.Buttons = append(c.Buttons, button{notify.Neutral(l.Name, 40), l.URL})
	}
	return message{Type: "actionCard", Card: c}
}

// body is the text in DingTalk's markdown; an empty line ends a paragraph.
func body(o notify.Outline) string {
	lines := []string{"### " + notify.Neutral(o.Title, 200)}
	add := func(before string, all []string) {
		lines = append(lines, notify.NeutralLines(all, 500, before, "")...)
	}
	add("> Warning: ", o.Warnings)
	add("", o.Lines)
	add("– ", o.Pods)
	for _, f := range o.Facts {
		lines = append(lines, "**"+notify.Neutral(f.Name, 40)+"** "+notify.Neutral(f.Value, 300))
	}
	add("> ", o.Top)
	add("", []string{o.Command, o.Foot})
	return strings.Join(lines, "\n\n")
}

// Read implements notify.Poster. DingTalk answers 200 with a code in the body
// (https://open.dingtalk.com/document/orgapp/custom-bot-error-codes): more than 20 messages in a
// minute block a robot for ten.
func (Channel) Read(a notify.Answer, said notify.Outcome) notify.Outcome {
	return notify.Codes{Fast: []int{130101, 410100}, Pause: 10 * time.Minute, Busy: []int{-1}}.Read(a, said)
}

// Pace implements notify.Poster: 20 a minute, beyond which a robot is blocked for ten. One
// is left for the clocks to differ.
func (Channel) Pace() notify.Pace { return notify.Pace{Messages: 19, Per: time.Minute} }
