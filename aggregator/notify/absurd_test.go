package notify_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/buckettest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// narrow is a bucket that takes no larger values than NATS does.
type narrow struct{ *buckettest.KV }

func (n narrow) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return n.Update(ctx, key, value, 0)
}

func (n narrow) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if len(value) > 1<<20 {
		return 0, fmt.Errorf("%w: %d bytes", bus.ErrTooLarge, len(value))
	}
	return n.KV.Update(ctx, key, value, revision)
}

// absurd is a report of a pod of which everything is as long as it may be.
func absurd(incident string, k int) gopprof.Report {
	const long = 2000
	angles := strings.Repeat("<", long) // JSON makes it six times as long
	r := of(incident, fmt.Sprintf("%s-%d", strings.Repeat("p", 200), k))
	r.Explanation.Summary, r.Explanation.Verdict = angles, &gopprof.Verdict{}
	r.Links, r.Capture.Labels = map[string]string{}, map[string]string{}
	for range 3 {
		r.Explanation.Verdict.Causes = append(r.Explanation.Verdict.Causes, gopprof.Cause{Kind: gopprof.CauseCodeHot, Confidence: gopprof.ConfidenceSure, Line: angles})
	}
	for i := range 64 {
		r.Explanation.Warnings = append(r.Explanation.Warnings, angles)
		r.Links[fmt.Sprint(i)] = "https://x.example/?" + strings.Repeat("a&", 380)
		r.Capture.Labels[fmt.Sprintf("%s.example/%d", strings.Repeat("a", 240), i)] = strings.Repeat("v", 63)
	}
	return r
}

// Pods with absurd names keep nobody from being told of them: their record has room in NATS, with
// less of each in it, however much comes while the receiver is away.
func TestAbsurdNames(t *testing.T) {
	for _, channel := range []string{notify.ChannelSlack, notify.ChannelAlertmanager} {
		s, c := chatting(t)
		s.Config.Receivers[0].Channel = channel
		s.Notifier = notify.New(s.Config, notify.Deps{Told: narrow{s.KV}, Channels: notify.Channels{Senders: map[string]notify.Sender{channel: c}}, Now: s.Now}, zap.NewNop(), prometheus.NewRegistry())
		id, pods, reports := incident(), 0, 0
		for _, away := range []bool{false, true, true, true, false} {
			c.answer(notify.Outcome{})
			if away {
				c.answer(notify.Busy("503", 0))
			}
			for range 20 {
				pods++
				if err := s.Handle(t.Context(), absurd(id, pods)); err != nil {
					t.Fatalf("%s, report %d: %v", channel, pods, err)
				}
			}
			s.Pass(10 * time.Minute)
		}
		for _, m := range c.got {
			reports += m.Parts[0].Reports
			if first := m.Parts[0].Items[0]; !strings.HasPrefix(first.Summary, "<<<") || first.Page() == "" {
				t.Errorf("%s: told of %+v", channel, first)
			}
		}
		if reports != pods {
			t.Errorf("%s: told of %d reports of %d", channel, reports, pods)
		}
	}
}
