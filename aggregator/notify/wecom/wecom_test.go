package wecom_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/aggregator/notify/wecom"
)

type message struct {
	Type     string `json:"msgtype"`
	Markdown struct {
		Content string `json:"content"`
	} `json:"markdown"`
}

func check(r notifytest.Request) error {
	var m message
	err := errors.Join(notifytest.JSON(r, 64<<10), notifytest.Decode(r.Body, &m), notifytest.OneLine("content", m.Markdown.Content, 4096))
	if n := len(m.Markdown.Content); n > 4096 || m.Type != "markdown" {
		err = errors.Join(err, fmt.Errorf("%q, %d bytes", m.Type, n))
	}
	return err
}

var (
	ours = regexp.MustCompile(`^(### |> )|<font color="(warning|comment)">|</font>`)
	link = regexp.MustCompile(`^\[[^\[\]]*\]\(([^()]*)\)$`)
)

func markup(body string) error {
	var m message
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return err
	}
	for line := range strings.SplitSeq(m.Markdown.Content, "\n") {
		if l := link.FindStringSubmatch(line); l != nil {
			if err := notifytest.Link(l[1]); err != nil {
				return err
			}
			continue
		}
		if rest := ours.ReplaceAllString(line, ""); strings.ContainsAny(rest, "*[]<>`#@|\\") || strings.Contains(rest, "://") {
			return fmt.Errorf("markup: %q", line)
		}
	}
	return nil
}

var double = notifytest.Double{
	Channel: notify.ChannelWeCom, Poster: wecom.Channel{}, OK: `{"errcode":0,"errmsg":"ok"}`, Check: check, Markup: markup,
	Answers: []notifytest.Said{
		{Status: 200, Body: `{"errcode":0,"errmsg":"ok"}`, Told: true},
		{Status: 200, Body: `{"errcode":93000,"errmsg":"invalid webhook url"}`}, {Status: 200, Body: `{"errcode":40058,"errmsg":"markdown.content exceed max length 4096"}`},
		{Status: 200, Body: `{"errcode":45009,"errmsg":"api freq out of limit"}`, Retry: true, After: time.Minute},
		{Status: 200, Body: `{"errcode":45033}`, Retry: true, After: time.Minute}, {Status: 200, Body: `{"errcode":-1}`, Retry: true},
		{Status: 200, Body: "", Retry: true}, {Status: 200, Body: "[]", Retry: true},
		{Status: 429, Header: map[string][]string{"Retry-After": {"30"}}, Retry: true, After: 30 * time.Second},
	},
}

func TestWeCom(t *testing.T) { notifytest.RunPoster(t, double) }

func FuzzMessage(f *testing.F) { notifytest.FuzzPoster(f, double) }
