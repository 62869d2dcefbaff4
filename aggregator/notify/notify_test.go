package notify_test

import (
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/aggregator/notify/webhook"
)

func TestReports(t *testing.T) { notifytest.Run(t, notify.ChannelWebhook, channels()) }

func channels() notify.Channels {
	return notify.Channels{Posters: map[string]notify.Poster{notify.ChannelWebhook: webhook.Channel{}}}
}

// A receiver that fails holds up no other, and the others are not told again with it.
func TestReceiversAreApart(t *testing.T) {
	s := notifytest.Start(t, notify.ChannelWebhook, channels())
	other := notifytest.Start(t, notify.ChannelWebhook, channels())
	well := s.Config.Receivers[0]
	well.Name, well.URLFile = "well", other.Config.Receivers[0].URLFile
	s.Config.Receivers = append(s.Config.Receivers, well)
	s.Config.Default.Receivers = []string{"ops", "well"}
	s.Restart()
	s.Answer(notifytest.Status(500))
	r := notifytest.Report()
	if err := s.Handle(t.Context(), r); err == nil {
		t.Fatal("500 is not told")
	}
	s.Answer(notifytest.Status(200))
	s.Wait(time.Minute)
	if err := s.Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if a, b := len(s.Posts()), len(other.Posts()); a != 2 || b != 1 {
		t.Errorf("posted %d times to the one that failed, %d times to the other", a, b)
	}
}
