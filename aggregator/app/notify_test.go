package app

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/test/poll"
)

// Every channel that a configuration may name is there.
func TestEveryChannelIsThere(t *testing.T) {
	all := channels(nil)
	for _, name := range notify.ChannelNames() {
		if all.Posters[name] == nil && all.Senders[name] == nil {
			t.Errorf("nobody brings messages by %s", name)
		}
	}
	if len(all.Posters)+len(all.Senders) != len(notify.ChannelNames()) {
		t.Error("a channel that no configuration may name")
	}
}

// titles is a channel in memory.
type titles struct {
	mu  sync.Mutex
	all []string
}

func (c *titles) Send(_ context.Context, l notify.Letter) notify.Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, l.Message.Outline(1).Title)
	return notify.Outcome{}
}

// await waits for a message and finds it told once.
func (c *titles) await(t *testing.T, want string) {
	t.Helper()
	told := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return strings.Count(strings.Join(c.all, "\n"), want)
	}
	poll.Until(t, want, func() bool { return told() > 0 })
	if n := told(); n != 1 {
		t.Errorf("%q was told %d times", want, n)
	}
}

// Groups over the real bucket: two replicas, one of which ends and comes again, tell each
// message once.
func TestGroupsOverTheBus(t *testing.T) {
	told, err := bustest.Start(t, bustest.Options{}).Aggregator().Bucket(t.Context(), bus.BucketTold)
	if err != nil {
		t.Fatal(err)
	}
	c := &titles{}
	config := notify.DefaultConfig()
	config.Receivers = []notify.Receiver{{Name: "ops", Channel: notify.ChannelSlack, URL: "http://127.0.0.1:1"}}
	config.Default.Receivers = []string{"ops"}
	config.Default.GroupWait, config.Default.GroupInterval, config.Default.EndAfter = time.Millisecond, time.Second, 8*time.Second
	replica := func() *notify.Notifier {
		return notify.New(config, notify.Deps{Told: told, Channels: notify.Channels{Senders: map[string]notify.Sender{notify.ChannelSlack: c}}}, zap.NewNop(), prometheus.NewRegistry())
	}
	run := func(n *notify.Notifier) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- n.Run(ctx) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	one, two := replica(), replica()
	late := notifytest.Report()
	late.Capture.Target.Pod = "late"
	var all sync.WaitGroup
	for k := range 20 {
		r := notifytest.Report()
		r.Capture.Incident, r.Capture.Target.Pod = late.Capture.Incident, fmt.Sprint("web-", k)
		all.Go(func() {
			if err := []*notify.Notifier{one, two}[k%2].Handle(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	stopOne := run(one)
	defer run(two)()
	c.await(t, "20 pods of shop/Deployment/web")
	if err := one.Handle(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	stopOne()
	c.await(t, "Further: shop/late")
	defer run(replica())()
	c.await(t, "Over: shop/Deployment/web, 21 pods, 21 reports")
	if len(c.all) != 3 {
		t.Errorf("%q", c.all)
	}
}
