package alertmanager_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/alertmanager"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
)

type alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
}

var name = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// check is what Alertmanager checks (api/v2 and types.Alert.Validate).
func check(r notifytest.Request) error {
	var all []alert
	err := errors.Join(notifytest.JSON(r, 1<<20), notifytest.Decode(r.Body, &all))
	if !strings.HasSuffix(r.Path, "/api/v2/alerts") {
		err = errors.Join(err, fmt.Errorf("path %q", r.Path))
	}
	if len(all) == 0 && !strings.HasPrefix(r.Body, "[]") {
		err = errors.Join(err, errors.New("no list"))
	}
	seen := map[string]bool{}
	for _, a := range all {
		if a.Labels["alertname"] == "" || a.StartsAt.IsZero() || a.EndsAt.Before(a.StartsAt) {
			err = errors.Join(err, fmt.Errorf("alert %v from %v to %v", a.Labels, a.StartsAt, a.EndsAt))
		}
		for n, v := range a.Labels {
			if !name.MatchString(n) || v == "" {
				err = errors.Join(err, fmt.Errorf("label %q=%q", n, v))
			}
		}
		for n := range a.Annotations {
			if !name.MatchString(n) {
				err = errors.Join(err, fmt.Errorf("annotation %q", n))
			}
		}
		id, _ := json.Marshal(a.Labels)
		if seen[string(id)] {
			err = errors.Join(err, fmt.Errorf("twice: %s", id))
		}
		seen[string(id)] = true
	}
	return err
}

func markup(body string) error {
	var all []alert
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		return err
	}
	for _, a := range all {
		for n, v := range a.Annotations {
			if strings.HasSuffix(n, "_url") {
				if err := notifytest.Link(v); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

var double = notifytest.Double{
	Channel: notify.ChannelAlertmanager, Poster: alertmanager.Channel{}, Check: check, Markup: markup,
	Answers: []notifytest.Said{{Status: 200, Told: true}, {Status: 400, Body: `"invalid label set"`}, {Status: 500, Body: "x", Retry: true}},
}

func TestAlertmanager(t *testing.T) { notifytest.RunPoster(t, double) }

func FuzzMessage(f *testing.F) { notifytest.FuzzPoster(f, double) }

// An alert keeps its labels from its first message to its end, which resolves it.
func TestAnAlertIsResolved(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	first := notify.One(notify.ItemOf(notifytest.Report()), now)
	first.Parts[0].Until = now.Add(15 * time.Minute)
	ended := first
	ended.Parts = []notify.Part{first.Parts[0]}
	ended.Parts[0].Kind, ended.Parts[0].Ended, ended.Parts[0].Last = notify.KindEnded, true, now.Add(time.Minute)
	fires, ends := alertOf(t, first, now), alertOf(t, ended, now.Add(16*time.Minute))
	if fmt.Sprint(fires.Labels) != fmt.Sprint(ends.Labels) || !fires.StartsAt.Equal(ends.StartsAt) {
		t.Errorf("another alert: %v, %v", fires, ends)
	}
	if !fires.EndsAt.Equal(now.Add(15*time.Minute)) || !ends.EndsAt.Equal(now.Add(time.Minute)) {
		t.Errorf("ends at %v, then at %v", fires.EndsAt, ends.EndsAt)
	}
}

func alertOf(t *testing.T, m notify.Message, now time.Time) alert {
	t.Helper()
	p, err := alertmanager.Channel{}.Write(notify.Letter{Message: m, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	var all []alert
	if err := json.Unmarshal(p.Body, &all); err != nil || len(all) != 1 {
		t.Fatalf("%v: %s", err, p.Body)
	}
	return all[0]
}
