package alertmanager_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/alertmanager"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
)

// standing is what an Alertmanager knows after what it was posted: when each pod's alert ends.
type standing struct {
	ends map[string]time.Time
	read int // posts
}

func (k *standing) look(t *testing.T, s *notifytest.Scene) {
	t.Helper()
	posts := s.Posts()
	for _, p := range posts[k.read:] {
		var all []alert
		if err := json.Unmarshal([]byte(p.Body), &all); err != nil {
			t.Fatal(err)
		}
		for _, a := range all {
			k.ends[a.Labels["pod"]] = a.EndsAt
		}
	}
	k.read = len(posts)
}

// An alert stands as long as the incident does, whichever pods it is reported of and however
// seldom messages are due, and no longer.
func TestAlertsStandAsLongAsTheIncident(t *testing.T) {
	for name, x := range map[string]struct {
		pod      func(k int) string
		interval time.Duration
	}{
		"the same pod":                   {func(int) string { return "web-0" }, 5 * time.Minute},
		"further pods":                   {func(k int) string { return fmt.Sprint("web-", k%15) }, 5 * time.Minute},
		"further pods, a long interval":  {func(k int) string { return fmt.Sprint("web-", k%15) }, 24 * time.Hour},
		"the first one, then one by one": {func(k int) string { return fmt.Sprint("web-", k/3) }, time.Minute},
	} {
		s := notifytest.Start(t, notify.ChannelAlertmanager, notify.Channels{Posters: map[string]notify.Poster{notify.ChannelAlertmanager: alertmanager.Channel{}}})
		s.Config.Default.GroupInterval = x.interval
		s.Restart()
		id, began, known := notifytest.Report().Capture.Incident, s.Now(), standing{ends: map[string]time.Time{}}
		for k := range 6 * 60 {
			if k%14 == 0 { // just within end_after, which is 15m
				r := notifytest.Report()
				r.Capture.Incident, r.Capture.Target.Pod = id, x.pod(k/14)
				if err := s.Handle(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			s.Turn(t.Context())
			if known.look(t, s); k > 0 && !known.ends["web-0"].After(s.Now()) {
				t.Fatalf("%s: resolved after %v: %v", name, s.Now().Sub(began), known.ends)
			}
			s.Wait(time.Minute)
		}
		s.Wait(15 * time.Minute)
		s.Turn(t.Context())
		known.look(t, s)
		for pod, end := range known.ends {
			if end.After(s.Now()) {
				t.Errorf("%s: %s stands on until %v", name, pod, end)
			}
		}
		if n := len(s.Posts()); n > 60 {
			t.Errorf("%s: %d posts in six hours", name, n)
		}
	}
}

// What is refused for good is not said again and again, nor is one that goes on.
func TestRenewalThatIsRefused(t *testing.T) {
	s := notifytest.Start(t, notify.ChannelAlertmanager, notify.Channels{Posters: map[string]notify.Poster{notify.ChannelAlertmanager: alertmanager.Channel{}}})
	id := notifytest.Report().Capture.Incident
	for k := range 60 {
		if k == 5 {
			s.Answer(notifytest.Status(400))
		}
		r := notifytest.Report()
		r.Capture.Incident, r.Capture.Target.Pod = id, "web-0"
		if err := s.Handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		s.Turn(t.Context())
		s.Wait(time.Minute)
	}
	if n := len(s.Posts()); n < 3 || n > 8 {
		t.Errorf("%d posts in an hour", n)
	}
}
