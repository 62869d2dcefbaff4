package notify_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/bus/buckettest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// What waits for a receiver when a silence is made is told: only what comes after it is not.
func TestSilenceHoldsForWhatComes(t *testing.T) {
	for _, channel := range []string{notify.ChannelWebhook, notify.ChannelSlack} {
		c := &chat{}
		s := notifytest.Start(t, channel, notify.Channels{Posters: channels().Posters, Senders: map[string]notify.Sender{notify.ChannelSlack: c}})
		told := func() int { return len(s.Posts()) + c.tries }
		deps := notify.Deps{Told: s.KV, Silences: buckettest.NewKV(), Now: s.Now, Channels: notify.Channels{Posters: channels().Posters, Senders: map[string]notify.Sender{notify.ChannelSlack: c}}}
		n := notify.New(s.Config, deps, zap.NewNop(), prometheus.NewRegistry())
		s.Answer(notifytest.Status(503))
		failed, paused, after := of(incident(), "web-1"), of(incident(), "web-2"), of(incident(), "web-3")
		failed.MadeAt, paused.MadeAt = s.Now(), s.Now()
		if err := n.Handle(t.Context(), failed); (err != nil) != (channel == notify.ChannelWebhook) {
			t.Fatal(err)
		}
		s.Wait(time.Second)
		if _, err := n.Silence(t.Context(), api.Silence{Namespace: "shop", Workload: "web", Who: "ada", Why: "test", Until: s.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		s.Answer(notifytest.Status(200))
		s.Wait(time.Minute)
		after.MadeAt = s.Now()
		for _, r := range []gopprof.Report{failed, paused, after} {
			if err := n.Handle(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		s.Wait(time.Minute)
		n.Turn(t.Context())
		want := map[string]int{notify.ChannelWebhook: 3, notify.ChannelSlack: 2}[channel] // of these one in vain
		if got := told(); got != want {
			t.Errorf("%s: %d attempts, not %d", channel, got, want)
		}
	}
}
