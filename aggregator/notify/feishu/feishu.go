// Package feishu writes a message for a custom bot of a Feishu or Lark group
// (https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot,
// https://open.larksuite.com/document/client-docs/bot-v3/add-custom-bot): an interactive
// card with the links as buttons. A letter enters, a POST leaves; it does no I/O.
//
// The bot's URL is a secret, and so is its signing secret (sign_file). Every foreign text
// stands in a plain_text element, which knows no markup and no mentions; it must never
// stand in lark_md.
package feishu

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
)

// Bounds: a body may have 20 KB.
const (
	maxBytes    = 20_000
	mostButtons = 5
)

type message struct {
	Timestamp string `json:"timestamp,omitempty"`
	Sign      string `json:"sign,omitempty"`
	Type      string `json:"msg_type"`
	Card      card   `json:"card"`
}

type card struct {
	Config   config    `json:"config"`
	Header   header    `json:"header"`
	Elements []element `json:"elements"`
}

type config struct {
	Wide bool `json:"wide_screen_mode"`
}

type header struct {
	Title    text   `json:"title"`
	Template string `json:"template"`
}

// text is a text object; ours are all plain_text.
type text struct {
	Tag     string `json:"tag"`
	Content string `json:"content"`
}

type element struct {
	Tag      string   `json:"tag"`
	Text     *text    `json:"text,omitempty"`
	Fields   []field  `json:"fields,omitempty"`
	Actions  []button `json:"actions,omitempty"`
	Elements []text   `json:"elements,omitempty"`
}

type field struct {
	Short bool `json:"is_short"`
	Text  text `json:"text"`
}

type button struct {
	Tag  string `json:"tag"`
	Text text   `json:"text"`
	URL  string `json:"url"`
	Type string `json:"type"`
}

// Channel is the channel.
type Channel struct{}

// Write implements notify.Poster.
func (Channel) Write(l notify.Letter) (notify.Post, error) {
	return notify.JSONPost(l.Message, maxBytes, func(o notify.Outline) any {
		m := message{Type: "interactive", Card: lay(o, colour(l.Message))}
		if !l.Sign.Empty() {
			m.Timestamp = strconv.FormatInt(l.Now.Unix(), 10)
			m.Sign = Signature(l.Sign.Reveal(), m.Timestamp)
		}
		return m
	})
}

// Signature returns the signature of a time in seconds: the time and the secret are the key,
// and nothing is what is signed.
func Signature(secret, timestamp string) string {
	mac := hmac.New(sha256.New, []byte(timestamp+"\n"+secret))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func lay(o notify.Outline, colour string) card {
	c := card{Config: config{Wide: true}, Header: header{plain(notify.Clean(o.Title, 200)), colour}}
	for _, lines := range [][]string{warnings(o), o.Lines, o.Pods} {
		if s := strings.TrimSpace(strings.Join(lines, "\n")); s != "" {
			c.Elements = append(c.Elements, element{Tag: "div", Text: ptr(plain(s))})
		}
	}
	if len(o.Facts) > 0 {
		c.Elements = append(c.Elements, element{Tag: "div", Fields: fields(o.Facts)})
	}
	if len(o.Top) > 0 {
		c.Elements = append(c.Elements, element{Tag: "hr"}, element{Tag: "div", Text: ptr(plain(strings.Join(o.Top, "\n")))})
	}
	if len(o.Links) > 0 {
		c.Elements = append(c.Elements, element{Tag: "action", Actions: buttons(o.Links)})
	}
	if foot := o.Footer(); foot != "" {
		c.Elements = append(c.Elements, element{Tag: "note", Elements: []text{plain(foot)}})
	}
	return c
}

// colour of the card's head: red for what is new, green for what is over.
func colour(m notify.Message) string {
	if len(m.Parts) == 0 {
		return "blue"
	}
	for _, p := range m.Parts {
		if !p.Ended && p.Kind != notify.KindEnded {
			return "red"
		}
	}
	return "green"
}

func warnings(o notify.Outline) []string {
	var all []string
	for _, w := range o.Warnings {
		all = append(all, "Warning: "+w)
	}
	return all
}

func fields(facts []notify.Fact) []field {
	var all []field
	for _, f := range facts {
		all = append(all, field{true, plain(f.Name + ": " + f.Value)})
	}
	return all
}

func buttons(links []notify.Link) []button {
	var all []button
	for k, l := range links[:min(len(links), mostButtons)] {
		kind := "default"
		if k == 0 {
			kind = "primary"
		}
		all = append(all, button{"button", plain(notify.Clean(l.Name, 40)), l.URL, kind})
	}
	return all
}

func plain(s string) text { return text{"plain_text", s} }

func ptr(t text) *text { return &t }

// Read implements notify.Poster. The bot answers 200, sometimes 400, with a code in the body,
// by one of two names: 0 is told.
func (Channel) Read(a notify.Answer, said notify.Outcome) notify.Outcome {
	var answer struct {
		Code    *int   `json:"code"`
		Old     *int   `json:"StatusCode"`
		Message string `json:"msg"`
	}
	err := json.Unmarshal(a.Body, &answer)
	code := answer.Code
	if code == nil {
		code = answer.Old
	}
	switch {
	case err != nil || code == nil:
		if said.Reason == "" {
			return notify.Busy(fmt.Sprintf("%d without a code", a.Status), 0)
		}
		return said
	case *code == 0:
		return said
	}
	detail := fmt.Sprintf("%d, code %d", a.Status, *code)
	switch *code {
	case 11232, 99991400: // more than 100 a minute, or 5 a second
		return notify.Busy(detail, max(said.After, time.Minute))
	case 9499: // "too many request", and every other bad request
		if strings.Contains(strings.ToLower(answer.Message), "too many") {
			return notify.Busy(detail, max(said.After, time.Minute))
		}
	case 2200: // an error of theirs
		return notify.Busy(detail, said.After)
	}
	if said.Retry {
		return notify.Busy(detail, said.After)
	}
	return notify.Refused(detail)
}

// Pace implements notify.Poster: 100 a minute, and 5 a second. One after the other they do
// not come faster than that.
func (Channel) Pace() notify.Pace { return notify.Pace{Messages: 95, Per: time.Minute} }
