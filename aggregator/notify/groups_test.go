package notify_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/pkg/bus/buckettest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// chat is a channel in memory, in the place of Slack.
type chat struct {
	mu     sync.Mutex
	got    []notify.Message // that it took
	tries  int
	out    notify.Outcome         // what it answers
	during func(m notify.Message) // called while it is told
}

func (c *chat) Send(_ context.Context, l notify.Letter) notify.Outcome {
	c.mu.Lock()
	during, out := c.during, c.out
	c.tries++
	if out.Reason == "" {
		c.got = append(c.got, l.Message)
	}
	c.mu.Unlock()
	if during != nil {
		during(l.Message)
	}
	return out
}

// took returns what was taken since the last call, each in one line.
func (c *chat) took() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, m := range c.got {
		all = append(all, m.Outline(3).Title)
	}
	c.got = nil
	return all
}

func (c *chat) answer(out notify.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = out
}

// chatting is a scene whose receiver is the chat.
func chatting(t *testing.T) (*notifytest.Scene, *chat) {
	c := &chat{}
	s := notifytest.Start(t, notify.ChannelSlack, notify.Channels{Senders: map[string]notify.Sender{notify.ChannelSlack: c}})
	return s, c
}

func of(incident, pod string) gopprof.Report {
	r := notifytest.Report()
	r.Capture.Incident, r.Capture.Target.Pod = incident, pod
	return r
}

func incident() string { return uuid.Must(uuid.NewV7()).String() }

func handle(t *testing.T, s *notifytest.Scene, r gopprof.Report) {
	t.Helper()
	if err := s.Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, when string, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s: told\n  %s\nnot\n  %s", when, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// A message that makes us panic ends that attempt and nothing else: it would be told again at
// each start of the program, and end it each time.
func TestPanicWhileTelling(t *testing.T) {
	s, c := chatting(t)
	handle(t, s, of(incident(), "web-0"))
	c.during = func(notify.Message) { panic("a defect") }
	s.Pass(time.Minute)
	if got := s.Count("failures_total"); c.tries == 0 || got != float64(c.tries) {
		t.Errorf("tried %d times, failed %g times", c.tries, got)
	}
	c.during, c.got = nil, nil
	s.Pass(time.Hour)
	if got := c.took(); len(got) == 0 || got[0] != "shop/web-0: cpu at 93 % of its limit" {
		t.Errorf("told %q", got)
	}
}

// One incident is one message, one more for further pods, and one when it is over.
func TestOneIncident(t *testing.T) {
	s, c := chatting(t)
	id := incident()
	for k := range 30 {
		handle(t, s, of(id, fmt.Sprintf("web-%d", k)))
	}
	if c.tries != 0 {
		t.Error("told at once")
	}
	s.Pass(time.Minute)
	wants(t, "first", c.took(), "30 pods of shop/Deployment/web: cpu at 93 % of its limit")
	handle(t, s, of(id, "web-1")) // known
	handle(t, s, of(id, "web-30"))
	handle(t, s, of(id, "web-31"))
	s.Pass(time.Minute)
	wants(t, "within the interval", c.took())
	s.Pass(5 * time.Minute)
	wants(t, "more", c.took(), "Further: 2 pods of shop/Deployment/web: cpu at 93 % of its limit")
	s.Pass(time.Hour)
	wants(t, "end", c.took(), "Over: shop/Deployment/web, 32 pods, 33 reports")
	if n := s.Turn(t.Context()); !n.IsZero() {
		t.Errorf("something is due at %v", n)
	}
	handle(t, s, of(id, "web-1"))
	s.Pass(time.Minute)
	wants(t, "anew", c.took(), "shop/web-1: cpu at 93 % of its limit")
}

// A report that comes again is not told again, nor after a restart, nor once it is over.
func TestRepeatsOfGroups(t *testing.T) {
	s, c := chatting(t)
	r := of(incident(), "web-1")
	for _, after := range []time.Duration{0, time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		handle(t, s, r)
		s.Restart()
		handle(t, s, r)
		s.Pass(after)
	}
	wants(t, "in a day", c.took(), "shop/web-1: cpu at 93 % of its limit", "Over: shop/Deployment/web, 1 pod, 1 report")
}

// What was written down survives a restart: another process sees it and tells it.
func TestRestart(t *testing.T) {
	s, c := chatting(t)
	handle(t, s, of(incident(), "web-1"))
	s.Restart()
	synctest.Test(t, func(t *testing.T) {
		s := s.Inside(notify.Deps{Channels: notify.Channels{Senders: map[string]notify.Sender{notify.ChannelSlack: c}}})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		wants(t, "after a minute", c.took(), "shop/web-1: cpu at 93 % of its limit")
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		wants(t, "after the end", c.took(), "Over: shop/Deployment/web, 1 pod, 1 report")
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Two replicas tell each message once, whoever wrote it down.
func TestReplicasOfGroups(t *testing.T) {
	c := &chat{}
	synctest.Test(t, func(t *testing.T) {
		deps := notify.Deps{Told: buckettest.NewKV(), Channels: notify.Channels{Senders: map[string]notify.Sender{notify.ChannelSlack: c}}}
		one, two := notifytest.Bare(deps), notifytest.Bare(deps)
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for _, n := range []*notify.Notifier{one, two} {
			all.Go(func() { _ = n.Run(ctx) })
		}
		ids := []string{incident(), incident(), incident()}
		var handed sync.WaitGroup
		for k := range 60 {
			n := []*notify.Notifier{one, two}[k%2]
			handed.Go(func() {
				if err := n.Handle(ctx, of(ids[k%3], fmt.Sprintf("web-%d", k))); err != nil {
					t.Error(err)
				}
			})
		}
		handed.Wait()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		got := c.took()
		pods := 0
		for _, title := range got {
			n := 0
			if _, err := fmt.Sscanf(title, "%d pods", &n); err != nil {
				t.Error(title)
			}
			pods += n
		}
		if len(got) != 3 || pods != 60 {
			t.Errorf("%d pods: %q", pods, got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := c.took(); len(got) != 3 {
			t.Errorf("%q", got)
		}
		stop()
		all.Wait()
	})
}

// A receiver that is away for an hour is not flooded when it is back, and misses nothing.
func TestReceiverIsAway(t *testing.T) {
	s, c := chatting(t)
	c.answer(notify.Busy("503", 0))
	reports := 0
	for range 12 {
		for range 10 {
			handle(t, s, of(incident(), fmt.Sprintf("web-%d", reports)))
			reports++
		}
		s.Pass(5 * time.Minute)
	}
	if c.tries > 40 {
		t.Errorf("asked %d times in an hour", c.tries)
	}
	c.answer(notify.Outcome{})
	seen := map[string]bool{}
	c.during = func(m notify.Message) {
		for _, p := range m.Parts {
			for _, i := range p.Items {
				seen[i.Report] = true
			}
		}
	}
	s.Pass(15 * time.Minute)
	if got := c.took(); len(got) == 0 || len(got) > 5 {
		t.Errorf("%d messages: %q", len(got), got)
	}
	if len(seen) != reports {
		t.Errorf("told of %d reports of %d", len(seen), reports)
	}
	s.Pass(2 * time.Hour)
	if len(c.took()) > 10 || s.Count("gave_up_total") != 0 {
		t.Error("a flood at the end")
	}
}

// A receiver that refuses for good is not asked again about the same, and is about others.
func TestReceiverRefuses(t *testing.T) {
	s, c := chatting(t)
	c.answer(notify.Refused("404"))
	handle(t, s, of(incident(), "web-1"))
	s.Pass(time.Hour)
	if c.tries != 1 || s.Count("gave_up_total") != 1 {
		t.Errorf("%d tries", c.tries)
	}
	c.answer(notify.Outcome{})
	handle(t, s, of(incident(), "web-2"))
	s.Pass(time.Minute)
	wants(t, "then", c.took(), "shop/web-2: cpu at 93 % of its limit")
}

// A message of which nobody knows whether it arrived is sent again, the same, and counted.
func TestUnknownFate(t *testing.T) {
	s, c := chatting(t)
	id := incident()
	var ids []string
	c.during = func(m notify.Message) {
		ids = append(ids, m.ID)
		if len(ids) == 1 {
			s.KV.Break(errors.New("away"))
		}
	}
	handle(t, s, of(id, "web-1"))
	s.Pass(35 * time.Second)
	s.KV.Break(nil)
	s.Restart()
	handle(t, s, of(id, "web-2"))
	s.Pass(2 * time.Minute)
	if len(ids) != 2 || ids[0] != ids[1] || s.Count("possible_duplicates_total") != 1 {
		t.Errorf("%q, counted %v", ids, s.Count("possible_duplicates_total"))
	}
	s.Pass(10 * time.Minute)
	if got := c.took(); len(got) != 3 || got[2] != "Further: shop/web-2: cpu at 93 % of its limit" {
		t.Errorf("%q", got)
	}
}

// A report that comes while its group is being told is told with the next message.
func TestReportsDuringAMessage(t *testing.T) {
	s, c := chatting(t)
	id := incident()
	c.during = func(notify.Message) {
		c.during = nil
		handle(t, s, of(id, "web-2"))
	}
	handle(t, s, of(id, "web-1"))
	s.Pass(10 * time.Minute)
	wants(t, "in ten minutes", c.took(), "shop/web-1: cpu at 93 % of its limit", "Further: shop/web-2: cpu at 93 % of its limit")
}

// Without the bucket nothing is taken, so that it comes again.
func TestBucketIsAway(t *testing.T) {
	s, c := chatting(t)
	s.KV.Break(errors.New("away"))
	r := of(incident(), "web-1")
	if err := s.Handle(t.Context(), r); err == nil {
		t.Fatal("taken without being written down")
	}
	s.KV.Break(nil)
	handle(t, s, r)
	s.Pass(time.Minute)
	wants(t, "then", c.took(), "shop/web-1: cpu at 93 % of its limit")
}

// Many incidents at the same moment are one message; a few are one each.
func TestManyIncidents(t *testing.T) {
	for _, x := range []struct{ incidents, messages int }{{1, 1}, {5, 5}, {6, 1}, {50, 1}, {120, 3}} {
		s, c := chatting(t)
		for k := range x.incidents {
			handle(t, s, of(incident(), fmt.Sprint("web-", k)))
		}
		s.Pass(time.Minute)
		if got := c.took(); len(got) != x.messages {
			t.Errorf("%d incidents: %q", x.incidents, got)
		}
	}
}

// Reports are told by namespace where a route says so, and one by one where it says that.
func TestGroupBy(t *testing.T) {
	for group, messages := range map[string]int{"namespace": 1, "incident": 3, "report": 5, "pod": 2} {
		s, c := chatting(t)
		s.Config.Default.GroupBy = []string{group}
		s.Restart()
		ids := []string{incident(), incident(), incident()}
		for k := range 5 {
			handle(t, s, of(ids[k%3], fmt.Sprint("web-", k%2)))
		}
		s.Pass(time.Minute)
		if got := c.took(); len(got) != messages {
			t.Errorf("by %s: %q", group, got)
		}
	}
}

// Reports without an incident have nothing in common.
func TestReportsWithoutIncident(t *testing.T) {
	s, c := chatting(t)
	handle(t, s, of("", "web-1"))
	handle(t, s, of("", "web-2"))
	s.Pass(time.Minute)
	if got := c.took(); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// Where they are told, what the log and the records say holds no secret.
func TestFailuresAreLogged(t *testing.T) {
	s, c := chatting(t)
	c.answer(notify.Busy("503 Service Unavailable", 0))
	handle(t, s, of(incident(), "web-1"))
	s.Pass(time.Minute)
	if l := s.Logs.FilterMessage("group not told yet"); l.Len() == 0 || !strings.Contains(fmt.Sprint(l.All()[0].ContextMap()), "503") {
		t.Errorf("%v", s.Logs.All())
	}
}
