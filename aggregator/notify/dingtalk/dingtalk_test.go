package dingtalk_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/dingtalk"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
)

type message struct {
	Type     string `json:"msgtype"`
	Markdown *struct {
		Title string `json:"title"`
		Text  string `json:"text"`
	} `json:"markdown"`
	Card *struct {
		Title       string `json:"title"`
		Text        string `json:"text"`
		Orientation string `json:"btnOrientation"`
		Buttons     []struct {
			Title string `json:"title"`
			URL   string `json:"actionURL"`
		} `json:"btns"`
	} `json:"actionCard"`
}

// parts returns title and text, whichever kind of message it is.
func (m message) parts() (title, text string, err error) {
	switch {
	case m.Type == "markdown" && m.Markdown != nil && m.Card == nil:
		return m.Markdown.Title, m.Markdown.Text, nil
	case m.Type == "actionCard" && m.Card != nil && m.Markdown == nil && len(m.Card.Buttons) > 0:
		return m.Card.Title, m.Card.Text, nil
	}
	return "", "", fmt.Errorf("msgtype %q without what belongs to it", m.Type)
}

func check(r notifytest.Request) error {
	var m message
	err := errors.Join(notifytest.JSON(r, 20_000), notifytest.Decode(r.Body, &m), signature(r))
	title, text, wrong := m.parts()
	err = errors.Join(err, wrong, notifytest.OneLine("title", title, 100), notifytest.OneLine("text", text, 20_000))
	if m.Card != nil {
		for _, b := range m.Card.Buttons {
			err = errors.Join(err, notifytest.OneLine("button", b.Title, 40), notifytest.Link(b.URL))
		}
	}
	return err
}

// signature is what DingTalk checks: within an hour, and of its secret.
func signature(r notifytest.Request) error {
	at := r.Query.Get("timestamp")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil || r.Now.Sub(time.UnixMilli(ms)).Abs() > time.Hour {
		return fmt.Errorf("timestamp %q", at)
	}
	if got := r.Query.Get("sign"); got != dingtalk.Signature(notifytest.SignSecret, at) || got == "" {
		return fmt.Errorf("sign %q", got)
	}
	if r.Query.Get("k") == "" {
		return errors.New("the token of the URL is lost")
	}
	return nil
}

// markup finds what our own words cannot have.
func markup(body string) error {
	var m message
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return err
	}
	title, text, _ := m.parts()
	for line := range strings.SplitSeq(title+"\n"+text, "\n") {
		line = strings.TrimPrefix(strings.TrimPrefix(line, "### "), "> ")
		line = regexp.MustCompile(`^\*\*[A-Z][A-Za-z ]*\*\* `).ReplaceAllString(line, "")
		if strings.ContainsAny(line, "*[]<>`#@|\\") || strings.Contains(line, "://") || strings.HasPrefix(line, "- ") {
			return fmt.Errorf("markup: %q", line)
		}
	}
	return nil
}

var double = notifytest.Double{
	Channel: notify.ChannelDingTalk, Poster: dingtalk.Channel{}, OK: `{"errcode":0,"errmsg":"ok"}`, Signed: true, Check: check, Markup: markup,
	Answers: []notifytest.Said{
		{Status: 200, Body: `{"errcode":0,"errmsg":"ok"}`, Told: true},
		{Status: 200, Body: `{"errcode":310000,"errmsg":"sign not match"}`},
		{Status: 200, Body: `{"errcode":300001,"errmsg":"token is not exist"}`}, {Status: 200, Body: `{"errcode":400013,"errmsg":"group disbanded"}`},
		{Status: 200, Body: `{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}`, Retry: true, After: 10 * time.Minute},
		{Status: 200, Body: `{"errcode":410100}`, Retry: true, After: 10 * time.Minute},
		{Status: 200, Body: `{"errcode":-1,"errmsg":"system busy"}`, Retry: true},
		{Status: 200, Body: `<html>a proxy</html>`, Retry: true}, {Status: 200, Body: "", Retry: true}, {Status: 200, Body: `{}`, Retry: true},
		{Status: 429, Header: map[string][]string{"Retry-After": {"30"}}, Retry: true, After: 30 * time.Second},
	},
}

func TestDingTalk(t *testing.T) { notifytest.RunPoster(t, double) }

func FuzzMessage(f *testing.F) { notifytest.FuzzPoster(f, double) }

// As Python's hmac has it, of the secret in DingTalk's documentation.
func TestSignature(t *testing.T) {
	if got, want := dingtalk.Signature("this is secret", "1577262236757"), "hmPWwU+7lVdm3ZZz0r9tSfx0L4Q26jWOZr9+Gs6EZQM="; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}
