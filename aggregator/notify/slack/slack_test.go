package slack_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/aggregator/notify/slack"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

var update = flag.Bool("update", false, "write the golden files anew")

const id = "019aabba-5a00-7b3c-8d4e-0123456789ab"

func report() gopprof.Report {
	r := notifytest.Report()
	r.ID, r.Capture.ID, r.Capture.Incident = id, id, id
	r.Page = "https://gopprof.example/reports/" + id
	r.Capture.Agreement.Compared = []gopprof.Comparison{{Local: 0.93, Series: 0.91}}
	r.Links = map[string]string{"runbook": "https://wiki.example/web"}
	r.Picture = "k/evidence.svg"
	return r
}

func TestGolden(t *testing.T) {
	contradicted, manual := report(), report()
	contradicted.Capture.Agreement.Result = gopprof.AgreementContradicted
	contradicted.Explanation.Warnings = []string{"The second witness contradicts: 91 % locally, 12 % in the series", "Few samples"}
	contradicted.Capture.Trigger.Evidence.Resource, contradicted.Capture.Trigger.Evidence.AtOnce = gopprof.ResourceMemory, true
	manual.Capture.Trigger = gopprof.Trigger{Kind: gopprof.TriggerManual, Request: &gopprof.Request{Who: "ada"}}
	manual.Capture.Agreement = gopprof.Agreement{}
	manual.Page, manual.Links, manual.Explanation.Verdict = "", nil, nil
	for name, r := range map[string]gopprof.Report{"rule": report(), "contradicted": contradicted, "manual": manual, "bare": {ID: id}} {
		body, _, err := slack.Message(r)
		if err != nil {
			t.Fatal(err)
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, body, "", "  "); err != nil {
			t.Fatal(err)
		}
		pretty.WriteByte('\n')
		golden(t, filepath.Join("testdata", name+".json"), pretty.Bytes())
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update ./aggregator/notify/slack writes it anew):\n%s", path, got)
	}
}

// text and message are Slack's, as its documentation has them.
type text struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim"`
}

type message struct {
	Text   string `json:"text"`
	Blocks []struct {
		Type     string `json:"type"`
		Text     *text  `json:"text"`
		Fields   []text `json:"fields"`
		Elements []text `json:"elements"`
	} `json:"blocks"`
	UnfurlLinks bool `json:"unfurl_links"`
	UnfurlMedia bool `json:"unfurl_media"`
}

func check(r notifytest.Request) error {
	var m message
	err := errors.Join(notifytest.JSON(r, 40_000), notifytest.Decode(r.Body, &m), notifytest.OneLine("text", m.Text, 4000))
	if n := len(m.Blocks); n == 0 || n > 50 || m.UnfurlLinks || m.UnfurlMedia {
		err = errors.Join(err, fmt.Errorf("%d blocks, or unfurled", n))
	}
	for _, b := range m.Blocks {
		most := map[string]int{"header": 150, "section": 3000, "context": 2000}[b.Type]
		if most == 0 || (b.Text == nil) == (b.Fields == nil && b.Elements == nil) || len(b.Fields) > 10 || len(b.Elements) > 10 {
			err = errors.Join(err, fmt.Errorf("block %q", b.Type))
		}
		if b.Text != nil {
			err = errors.Join(err, notifytest.OneLine(b.Type, b.Text.Text, most))
		}
		for _, f := range append(b.Fields, b.Elements...) {
			err = errors.Join(err, notifytest.OneLine("field", f.Text, 2000))
		}
	}
	return err
}

// markup finds no "<" in mrkdwn that we did not write ourselves.
func markup(body string) error {
	var m message
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return err
	}
	err := mrkdwn(m.Text)
	if rest := strings.ReplaceAll(m.Text, "\u200b", ""); strings.Contains(m.Text, "@c") || rest != m.Text && strings.Contains(m.Text, "](") {
		err = errors.Join(err, fmt.Errorf("a mention or link of another chat: %q", m.Text))
	}
	for _, b := range m.Blocks {
		if b.Text != nil && b.Text.Type == "mrkdwn" {
			err = errors.Join(err, mrkdwn(b.Text.Text))
		}
		for _, f := range append(b.Fields, b.Elements...) {
			if f.Type != "plain_text" {
				err = errors.Join(err, fmt.Errorf("a field of type %s", f.Type))
			}
		}
	}
	return err
}

func mrkdwn(s string) error {
	for rest := s; ; {
		_, after, found := strings.Cut(rest, "<")
		if !found {
			break
		}
		address, behind, ok := strings.Cut(after, "|")
		if _, _, closed := strings.Cut(behind, ">"); !ok || !closed || notifytest.Link(address) != nil {
			return fmt.Errorf("a link or mention that is not ours: %q", s)
		}
		rest = behind
	}
	if n := strings.Count(s, "```"); n != 0 && n != 2 {
		return fmt.Errorf("a code block that ends early: %q", s)
	}
	return nil
}

var double = notifytest.Double{
	Channel: notify.ChannelSlack, Poster: slack.Channel{}, OK: "ok", Check: check, Markup: markup,
	Answers: []notifytest.Said{
		{Status: 200, Body: "ok", Told: true}, {Status: 200, Body: "", Told: true}, {Status: 200, Body: `{"success":true}`, Told: true},
		{Status: 200, Body: `{"ok":false,"error":"no_text"}`}, {Status: 200, Body: `{"success":false}`},
		{Status: 400, Body: "invalid_payload"}, {Status: 403, Body: "action_prohibited"}, {Status: 404, Body: "channel_not_found"}, {Status: 410, Body: "channel_is_archived"},
		{Status: 429, Body: "rate_limited", Retry: true}, {Status: 500, Body: "rollup_error", Retry: true},
		{Status: 429, Header: map[string][]string{"Retry-After": {"30"}}, Retry: true, After: 30 * time.Second},
	},
}

func TestSlack(t *testing.T) { notifytest.RunPoster(t, double) }

func FuzzMessage(f *testing.F) { notifytest.FuzzPoster(f, double) }

func TestHostilePages(t *testing.T) {
	for _, page := range []string{"javascript:alert(1)/reports/" + id, "//evil.example/reports/" + id, "https:///reports/" + id,
		"https://gopprof.example/" + id, "https://gopprof.example/reports/" + id + "?x|y>", ":%", "ftp://x/reports/" + id, "https://a@b.example/reports/" + id} {
		r := report()
		r.Page, r.Links = page, nil
		if l := notify.ItemOf(r).Links; len(l) != 0 {
			t.Errorf("page %q gives %q", page, l)
		}
	}
	r := report()
	r.Page = "https://gopprof.example/a|b>c<!channel>/reports/" + id
	body, _, err := slack.Message(r)
	if err != nil || markup(string(body)) != nil {
		t.Errorf("%v, %v", err, markup(string(body)))
	}
}
