package teams_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/aggregator/notify/teams"
)

type message struct {
	Type        string `json:"type"`
	Attachments []struct {
		ContentType string  `json:"contentType"`
		ContentURL  *string `json:"contentUrl"`
		Content     struct {
			Schema  string `json:"$schema"`
			Type    string `json:"type"`
			Version string `json:"version"`
			Teams   struct {
				Width string `json:"width"`
			} `json:"msteams"`
			Body []struct {
				Type      string `json:"type"`
				Spacing   string `json:"spacing"`
				Separator bool   `json:"separator"`
				Inlines   []struct {
					Type   string `json:"type"`
					Text   string `json:"text"`
					Size   string `json:"size"`
					Weight string `json:"weight"`
					Color  string `json:"color"`
					Font   string `json:"fontType"`
					Subtle bool   `json:"isSubtle"`
				} `json:"inlines"`
			} `json:"body"`
			Actions []struct {
				Type  string `json:"type"`
				Title string `json:"title"`
				URL   string `json:"url"`
			} `json:"actions"`
		} `json:"content"`
	} `json:"attachments"`
}

func check(r notifytest.Request) error {
	var m message
	err := errors.Join(notifytest.JSON(r, 20_000), notifytest.Decode(r.Body, &m))
	if m.Type != "message" || len(m.Attachments) != 1 {
		return errors.Join(err, fmt.Errorf("type %q, %d attachments", m.Type, len(m.Attachments)))
	}
	a := m.Attachments[0]
	if a.ContentType != "application/vnd.microsoft.card.adaptive" || a.ContentURL != nil || a.Content.Type != "AdaptiveCard" || a.Content.Version != "1.4" || len(a.Content.Body) == 0 {
		err = errors.Join(err, fmt.Errorf("attachment %+v", a))
	}
	for _, b := range a.Content.Body {
		for _, i := range b.Inlines {
			err = errors.Join(err, notifytest.OneLine("run", i.Text, 3000))
		}
		if len(b.Inlines) == 0 {
			err = errors.Join(err, errors.New("an empty block"))
		}
	}
	if len(a.Content.Actions) > 6 {
		err = errors.Join(err, errors.New("more buttons than are shown"))
	}
	for _, x := range a.Content.Actions {
		err = errors.Join(err, notifytest.Link(x.URL), notifytest.OneLine("button", x.Title, 40))
	}
	return err
}

// markup: every text is in a run of a rich text block, which has no markup.
func markup(body string) error {
	var m message
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return err
	}
	for _, b := range m.Attachments[0].Content.Body {
		for _, i := range b.Inlines {
			if b.Type != "RichTextBlock" || i.Type != "TextRun" {
				return fmt.Errorf("%s in %s", i.Type, b.Type)
			}
		}
	}
	for _, a := range m.Attachments[0].Content.Actions {
		if a.Type != "Action.OpenUrl" {
			return fmt.Errorf("action %s", a.Type)
		}
	}
	return nil
}

const failed = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error "

var double = notifytest.Double{
	Channel: notify.ChannelTeams, Poster: teams.Channel{}, OK: "", Status: http.StatusAccepted, Check: check, Markup: markup,
	Answers: []notifytest.Said{
		{Status: 202, Told: true}, {Status: 200, Body: "1", Told: true},
		{Status: 200, Body: failed + "429 with ContextId tcid=0", Retry: true, After: 15 * time.Second},
		{Status: 200, Body: failed + "503 with ContextId tcid=0", Retry: true, After: 15 * time.Second},
		{Status: 200, Body: failed + "413 with ContextId tcid=0"}, {Status: 200, Body: failed + "400 with ContextId tcid=0"},
		{Status: 400, Body: `{"error":{"code":"TriggerInputSchemaMismatch"}}`}, {Status: 401, Body: `{"error":{"code":"DirectApiAuthorizationRequired"}}`},
		{Status: 429, Header: map[string][]string{"Retry-After": {"3"}}, Retry: true, After: 3 * time.Second},
	},
}

func TestTeams(t *testing.T) { notifytest.RunPoster(t, double) }

func FuzzMessage(f *testing.F) { notifytest.FuzzPoster(f, double) }
