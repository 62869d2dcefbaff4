package notify_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/pkg/bus/buckettest"
)

// told returns the pods that messages told of.
func told(messages []notify.Message) map[string]bool {
	pods := map[string]bool{}
	for _, m := range messages {
		for _, p := range m.Parts {
			for _, i := range p.Items {
				pods[i.Pod] = true
			}
		}
	}
	return pods
}

// Nothing is given up earlier than give_up_after after it came, though it joined a message
// that has failed for long.
func TestReportsThatJoinAFailingMessage(t *testing.T) {
	for name, pod := range map[string]string{"another pod": "web-2", "the same pod": "web-1"} {
		s, c := chatting(t)
		s.Config.Default.EndAfter = 23 * time.Hour
		s.Restart()
		id := incident()
		c.answer(notify.Busy("503", 0))
		handle(t, s, of(id, "web-1"))
		s.Pass(23*time.Hour + 50*time.Minute)
		handle(t, s, of(id, pod))
		s.Pass(12 * time.Hour)
		c.answer(notify.Outcome{})
		s.Pass(time.Hour)
		c.mu.Lock()
		got := told(c.got)
		c.mu.Unlock()
		if !got[pod] {
			t.Errorf("%s: %v told, given up %v", name, got, s.Count("gave_up_total"))
		}
	}
}

// A report that comes while its pod's message is refused for good is told by another one.
func TestReportDuringTheLastAttempt(t *testing.T) {
	s, c := chatting(t)
	id := incident()
	c.answer(notify.Refused("404"))
	c.during = func(notify.Message) {
		c.during = nil
		handle(t, s, of(id, "web-1"))
	}
	handle(t, s, of(id, "web-1"))
	s.Pass(30 * time.Second)
	c.answer(notify.Outcome{})
	s.Pass(time.Minute)
	wants(t, "then", c.took(), "shop/web-1: cpu at 93 % of its limit")
}

// Of groups that are told together, each is given up in its own time, counted and logged.
func TestGroupsAreGivenUpEachInItsTime(t *testing.T) {
	s, c := chatting(t)
	c.answer(notify.Busy("503", 0))
	handle(t, s, of(incident(), "web-1"))
	s.Pass(12 * time.Hour)
	handle(t, s, of(incident(), "web-2"))
	s.Pass(13 * time.Hour)
	if n := s.Logs.FilterMessage("group given up").Len(); n != 1 || s.Count("gave_up_total") != 1 {
		t.Errorf("given up %d times after a day", n)
	}
	s.Pass(12 * time.Hour)
	if n := s.Logs.FilterMessage("group given up").Len(); n != 2 || s.Count("gave_up_total") != 2 {
		t.Errorf("given up %d times after another", n)
	}
}

// orphanage runs a notifier whose receivers are not those of the records.
func orphanage(t *testing.T, kv *buckettest.KV, c *chat, now func() time.Time, receiver notify.Receiver) (*observer.ObservedLogs, *prometheus.Registry, func()) {
	t.Helper()
	cfg := notify.DefaultConfig()
	cfg.Receivers = []notify.Receiver{receiver}
	cfg.Default.Receivers = []string{receiver.Name}
	core, logs := observer.New(zapcore.DebugLevel)
	reg := prometheus.NewRegistry()
	deps := notify.Deps{Told: kv, Now: now, Channels: notify.Channels{Senders: map[string]notify.Sender{notify.ChannelSlack: c, notify.ChannelWebhook: c}}}
	n := notify.New(cfg, deps, zap.New(core), reg)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = n.Run(ctx) }()
	return logs, reg, func() { stop(); <-done }
}

// What waits for a receiver that is not there any more, or takes no groups any more, is given
// up, once, and somebody is told why.
func TestReceiverThatIsGone(t *testing.T) {
	for name, x := range map[string]struct {
		before, after notify.Receiver
		why           string
	}{
		"renamed": {
			notify.Receiver{Name: "ops", Channel: notify.ChannelSlack, URL: "http://127.0.0.1:1"},
			notify.Receiver{Name: "sre", Channel: notify.ChannelSlack, URL: "http://127.0.0.1:1"}, "no receiver of that name",
		},
		"a webhook that lost its template": {
			notify.Receiver{Name: "ops", Channel: notify.ChannelWebhook, URL: "http://127.0.0.1:1", Template: "{{.Title}}"},
			notify.Receiver{Name: "ops", Channel: notify.ChannelWebhook, URL: "http://127.0.0.1:1"}, "without template",
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, kv := &chat{}, buckettest.NewKV()
			cfg := notify.DefaultConfig()
			cfg.Receivers = []notify.Receiver{x.before}
			cfg.Default.Receivers = []string{x.before.Name}
			old := notify.New(cfg, notify.Deps{Told: kv}, zap.NewNop(), prometheus.NewRegistry())
			for _, id := range []string{incident(), incident()} {
				if err := old.Handle(t.Context(), of(id, "web-1")); err != nil {
					t.Fatal(err)
				}
			}
			logs, reg, stop := orphanage(t, kv, c, time.Now, x.after)
			time.Sleep(30 * time.Minute)
			if n := logs.FilterMessage("group given up").Len(); n != 0 {
				t.Errorf("%s: given up while another replica may still know the receiver", name)
			}
			time.Sleep(24 * time.Hour)
			synctest.Wait()
			stop()
			_, again, stop := orphanage(t, kv, c, time.Now, x.after)
			time.Sleep(24 * time.Hour)
			synctest.Wait()
			stop()
			all := logs.FilterMessage("group given up").All()
			if len(all) != 2 || c.tries != 0 {
				t.Fatalf("%s: logged %v", name, logs.All())
			}
			if m := all[0].ContextMap(); m["receiver"] != "ops" || m["reason"] != "gone" || !strings.Contains(fmt.Sprint(m["error"]), x.why) {
				t.Errorf("%s: %v", name, m)
			}
			if first, second := counted(t, reg, "gave_up_total"), counted(t, again, "gave_up_total"); first != 2 || second != 0 {
				t.Errorf("%s: counted %v, then %v", name, first, second)
			}
		})
	}
}

// What a replica with another configuration tells is not given up by one that does not know
// the receiver.
func TestReceiverOfAnotherReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kv := &chat{}, buckettest.NewKV()
		knows := notifytest.Bare(notify.Deps{Told: kv, Channels: notify.Channels{Senders: map[string]notify.Sender{notify.ChannelSlack: c}}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = knows.Run(ctx) }()
		logs, _, stop := orphanage(t, kv, c, time.Now, notify.Receiver{Name: "sre", Channel: notify.ChannelSlack, URL: "http://127.0.0.1:1"})
		if err := knows.Handle(t.Context(), of(incident(), "web-1")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		stop()
		cancel()
		<-done
		wants(t, "in three hours", c.took(), "shop/web-1: cpu at 93 % of its limit", "Over: shop/Deployment/web, 1 pod, 1 report")
		if n := logs.FilterMessage("group given up").Len(); n != 0 {
			t.Errorf("%v", logs.All())
		}
	})
}

func counted(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == "gopprof_aggregator_notify_"+name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
