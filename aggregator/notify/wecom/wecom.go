// Package wecom writes a message for a WeCom (Enterprise WeChat) group robot
// (https://developer.work.weixin.qq.com/document/path/91770): markdown of at most 4096
// bytes. A letter enters, a POST leaves; it does no I/O.
//
// The robot's key is in its URL, so that the URL is a secret; robots have no signature. The
// markdown has no escape character and mentions people by <@name>: what could be markup in a
// foreign text is replaced by look-alikes.
package wecom

import (
	"strings"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
)

// maxText bounds the markdown, in bytes of UTF-8.
const maxText = 4096

type message struct {
	Type     string   `json:"msgtype"`
	Markdown markdown `json:"markdown"`
}

type markdown struct {
	Content string `json:"content"`
}

// Channel is the channel.
type Channel struct{}

// Write implements notify.Poster.
func (Channel) Write(l notify.Letter) (notify.Post, error) {
	content, err := notify.Fit(l.Message, maxText, func(o notify.Outline) ([]byte, error) { return []byte(text(o)), nil })
	if err != nil {
		return notify.Post{}, err
	}
	body, err := notify.JSON(message{"markdown", markdown{string(content)}})
	return notify.Post{Body: body, ContentType: notify.MediaJSON}, err
}

// text is the markdown.
func text(o notify.Outline) string {
	const most = 400
	lines := []string{"### " + notify.Neutral(o.Title, 200)}
	add := func(before string, all []string, after string) {
		lines = append(lines, notify.NeutralLines(all, most, before, after)...)
	}
	add(`<font color="warning">Warning: `, o.Warnings, "</font>")
	add("", o.Lines, "")
	add("– ", o.Pods, "")
	for _, f := range o.Facts {
		lines = append(lines, "> "+notify.Neutral(f.Name, 40)+`: <font color="comment">`+notify.Neutral(f.Value, most)+"</font>")
	}
	add("> ", o.Top, "")
	for _, l := range o.Links {
		lines = append(lines, "["+notify.Neutral(l.Name, 60)+"]("+l.URL+")")
	}
	add("", []string{o.Command, o.Foot}, "")
	return strings.Join(lines, "\n")
}

// Read implements notify.Poster. WeCom answers 200 with a code in the body
// (https://developer.work.weixin.qq.com/document/path/90313): 45009 says that there were more than
// 20 messages in a minute, 45033 that there are too many at the same time.
func (Channel) Read(a notify.Answer, said notify.Outcome) notify.Outcome {
	return notify.Codes{Fast: []int{45009, 45033}, Pause: time.Minute, Busy: []int{-1}}.Read(a, said)
}

// Pace implements notify.Poster: 20 a minute. One is left for the clocks to differ.
func (Channel) Pace() notify.Pace { return notify.Pace{Messages: 19, Per: time.Minute} }
