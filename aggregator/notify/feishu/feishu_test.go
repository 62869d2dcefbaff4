package feishu_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/feishu"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
)

type text struct {
	Tag     string `json:"tag"`
	Content string `json:"content"`
}

type message struct {
	Timestamp string `json:"timestamp"`
	Sign      string `json:"sign"`
	Type      string `json:"msg_type"`
	Card      struct {
		Config struct {
			Wide bool `json:"wide_screen_mode"`
		} `json:"config"`
		Header struct {
			Title    text   `json:"title"`
			Template string `json:"template"`
		} `json:"header"`
		Elements []element `json:"elements"`
	} `json:"card"`
}

type element struct {
	Tag    string `json:"tag"`
	Text   *text  `json:"text"`
	Fields []struct {
		Short bool `json:"is_short"`
		Text  text `json:"text"`
	} `json:"fields"`
	Actions []struct {
		Tag  string `json:"tag"`
		Text text   `json:"text"`
		URL  string `json:"url"`
		Type string `json:"type"`
	} `json:"actions"`
	Elements []text `json:"elements"`
}

// texts are all texts of a card.
func (m message) texts() []text {
	all := []text{m.Card.Header.Title}
	for _, e := range m.Card.Elements {
		if e.Text != nil {
			all = append(all, *e.Text)
		}
		for _, f := range e.Fields {
			all = append(all, f.Text)
		}
		for _, a := range e.Actions {
			all = append(all, a.Text)
		}
		all = append(all, e.Elements...)
	}
	return all
}

func check(r notifytest.Request) error {
	var m message
	err := errors.Join(notifytest.JSON(r, 20_000), notifytest.Decode(r.Body, &m), signature(r, m))
	if m.Type != "interactive" || len(m.Card.Elements) == 0 {
		err = errors.Join(err, fmt.Errorf("msg_type %q, %d elements", m.Type, len(m.Card.Elements)))
	}
	for _, e := range m.Card.Elements {
		full := map[string]bool{"div": e.Text != nil || len(e.Fields) > 0, "hr": true, "action": len(e.Actions) > 0, "note": len(e.Elements) > 0}
		if !full[e.Tag] {
			err = errors.Join(err, fmt.Errorf("element %q", e.Tag))
		}
		for _, a := range e.Actions {
			err = errors.Join(err, notifytest.Link(a.URL))
		}
	}
	for _, t := range m.texts() {
		err = errors.Join(err, notifytest.OneLine("text", t.Content, 20_000))
	}
	return err
}

// signature is what Feishu checks: within an hour, and of its secret.
func signature(r notifytest.Request, m message) error {
	at, err := strconv.ParseInt(m.Timestamp, 10, 64)
	if err != nil || r.Now.Sub(time.Unix(at, 0)).Abs() > time.Hour {
		return fmt.Errorf("timestamp %q", m.Timestamp)
	}
	if m.Sign == "" || m.Sign != feishu.Signature(notifytest.SignSecret, m.Timestamp) {
		return fmt.Errorf("sign %q", m.Sign)
	}
	return nil
}

// markup: no text is in a markup at all.
func markup(body string) error {
	var m message
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return err
	}
	for _, t := range m.texts() {
		if t.Tag != "plain_text" {
			return fmt.Errorf("a text of tag %q: %q", t.Tag, t.Content)
		}
	}
	if strings.Contains(body, "lark_md") && !strings.Contains(body, "plain_text") {
		return errors.New("markup")
	}
	return nil
}

var double = notifytest.Double{
	Channel: notify.ChannelFeishu, Poster: feishu.Channel{}, OK: `{"code":0,"msg":"success","data":{}}`, Signed: true, Check: check, Markup: markup,
	Answers: []notifytest.Said{
		{Status: 200, Body: `{"code":0,"msg":"success"}`, Told: true}, {Status: 200, Body: `{"StatusCode":0,"StatusMessage":"success"}`, Told: true},
		{Status: 200, Body: `{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}`},
		{Status: 200, Body: `{"code":19024,"msg":"Key Words Not Found"}`}, {Status: 400, Body: `{"code":9499,"msg":"Bad Request"}`},
		{Status: 200, Body: `{"StatusCode":19001}`},
		{Status: 200, Body: `{"code":11232,"msg":"frequency limited"}`, Retry: true, After: time.Minute},
		{Status: 400, Body: `{"code":11232,"msg":"frequency limited"}`, Retry: true, After: time.Minute},
		{Status: 200, Body: `{"code":9499,"msg":"too many request"}`, Retry: true, After: time.Minute},
		{Status: 200, Body: `{"code":2200,"msg":"internal error"}`, Retry: true},
		{Status: 200, Body: `hello`, Retry: true}, {Status: 200, Body: `{}`, Retry: true}, {Status: 404, Body: `{}`},
		{Status: 503, Body: `{"code":1,"msg":"x"}`, Retry: true},
		{Status: 429, Body: `{"code":11232}`, Header: map[string][]string{"Retry-After": {"90"}}, Retry: true, After: 90 * time.Second},
	},
}

func TestFeishu(t *testing.T) { notifytest.RunPoster(t, double) }

func FuzzMessage(f *testing.F) { notifytest.FuzzPoster(f, double) }

// As Python's hmac has it, of the secret in Feishu's documentation.
func TestSignature(t *testing.T) {
	if got, want := feishu.Signature("demo", "1599360473"), "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}
