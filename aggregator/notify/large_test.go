package notify_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/pkg/bus/buckettest"
)

// long is a template that has no room for many groups with many pods.
const long = `{{range .Parts}}group {{.Group}};{{range .Items}}{{printf "%100d" 1}}{{end}}{{end}}`

// many hands in 50 incidents of 20 pods each.
func many(t *testing.T, s *notifytest.Scene) (incidents []string) {
	for range 50 {
		id := incident()
		incidents = append(incidents, id)
		for k := range 20 {
			handle(t, s, of(id, fmt.Sprint("web-", k)))
		}
	}
	return incidents
}

// A chat whose template fails on a large message gets it in our words, and that is said once.
func TestTemplateThatFailsOnALargeMessage(t *testing.T) {
	s, c := chatting(t)
	s.Config.Receivers[0].Template = long
	s.Restart()
	for range 2 {
		many(t, s)
		s.Pass(time.Minute)
	}
	if len(c.got) != 2 || len(c.got[0].Parts) != 50 || c.got[0].Text != "" || s.Count("gave_up_total") != 0 {
		t.Fatalf("%d messages, %v given up", len(c.got), s.Count("gave_up_total"))
	}
	if n := s.Logs.FilterMessage("template failed: told in our own words").Len(); n != 1 || s.Count("template_failures_total") != 2 {
		t.Errorf("said %d times, counted %v", n, s.Count("template_failures_total"))
	}
	handle(t, s, of(incident(), "web-1"))
	s.Pass(time.Minute)
	if len(c.got) != 3 || !strings.HasPrefix(c.got[2].Text, "group ") {
		t.Errorf("then: %+v", c.got[len(c.got)-1])
	}
}

// A webhook whose template has no room for all groups is told of fewer at a time, and of all
// of them once.
func TestWebhookIsToldOfFewerGroups(t *testing.T) {
	s := notifytest.Start(t, notify.ChannelWebhook, channels())
	s.Config.Receivers[0].Template = long
	s.Restart()
	incidents := many(t, s)
	s.Pass(time.Minute)
	bodies := ""
	for _, p := range s.Posts() {
		bodies += p.Body
	}
	for _, id := range incidents {
		if n := strings.Count(bodies, "group incident="+id+";"); n != 1 {
			t.Fatalf("%s was told %d times in %d posts, %v given up", id, n, len(s.Posts()), s.Count("gave_up_total"))
		}
	}
	if n := len(s.Posts()); n > 4 || s.Count("gave_up_total") != 0 || s.Count("failures_total") != 0 {
		t.Errorf("%d posts", n)
	}
}

// A webhook that even one group has no room in is told of the others, and that is counted.
func TestWebhookWithoutRoomForOneGroup(t *testing.T) {
	s := notifytest.Start(t, notify.ChannelWebhook, channels())
	s.Config.Receivers[0].Template = `{{range .Parts}}group {{.Group}};{{if eq .Pods 2}}{{printf "%70000d" 1}}{{end}}{{end}}`
	s.Restart()
	large := incident()
	handle(t, s, of(large, "web-1"))
	handle(t, s, of(large, "web-2"))
	for range 9 {
		handle(t, s, of(incident(), "web-1"))
	}
	s.Pass(time.Minute)
	bodies := ""
	for _, p := range s.Posts() {
		bodies += p.Body
	}
	if n := strings.Count(bodies, "group "); n != 9 || strings.Contains(bodies, large) || s.Count("gave_up_total") != 1 || s.Count("template_failures_total") == 0 {
		t.Errorf("told of %d groups, %v given up", n, s.Count("gave_up_total"))
	}
}

// slow is a bucket that takes its time.
type slow struct {
	*buckettest.KV
	takes func() time.Duration
}

func (s slow) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	time.Sleep(s.takes())
	return s.KV.Get(ctx, key)
}

func (s slow) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	time.Sleep(s.takes())
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return s.KV.Update(ctx, key, value, revision)
}

// However slow NATS is, two replicas tell fifty groups once.
func TestSlowNATS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, takes := range map[string]func(since time.Duration) time.Duration{
			"at once": func(time.Duration) time.Duration { return 0 }, "100ms": func(time.Duration) time.Duration { return 100 * time.Millisecond },
			"400ms": func(time.Duration) time.Duration { return 400 * time.Millisecond }, "1s": func(time.Duration) time.Duration { return time.Second },
			"12s for two minutes": func(since time.Duration) time.Duration {
				if since > 2*time.Minute {
					return 0
				}
				return 12 * time.Second
			},
		} {
			c, kv, start := &chat{}, buckettest.NewKV(), time.Now()
			c.during = func(notify.Message) { time.Sleep(9 * time.Second) }
			ctx, stop := context.WithCancel(t.Context())
			var all sync.WaitGroup
			for range 2 {
				n := notifytest.Bare(notify.Deps{Told: slow{kv, func() time.Duration { return takes(time.Since(start)) }}, Channels: notify.Channels{Senders: map[string]notify.Sender{notify.ChannelSlack: c}}})
				all.Go(func() { _ = n.Run(ctx) })
			}
			writer := notifytest.Bare(notify.Deps{Told: kv})
			for k := range 50 {
				if err := writer.Handle(ctx, of(incident(), fmt.Sprint("web-", k))); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			stop()
			all.Wait()
			times := map[string]int{}
			for _, m := range c.got {
				for _, p := range m.Parts {
					times[p.Items[0].Pod]++
				}
			}
			if len(times) != 50 || slices.ContainsFunc(mapValues(times), func(n int) bool { return n != 1 }) {
				t.Errorf("%s: %v", name, times)
			}
		}
	})
}

func mapValues(m map[string]int) (all []int) {
	for _, n := range m {
		all = append(all, n)
	}
	return all
}
