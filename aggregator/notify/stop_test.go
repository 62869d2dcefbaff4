package notify_test

import (
	"context"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// stopping is a channel that is told while its process is told to stop.
type stopping struct {
	stop func()
	told int
}

func (c *stopping) Send(ctx context.Context, _ notify.Letter) notify.Outcome {
	if c.stop(); ctx.Err() != nil {
		return notify.Outcome{Reason: gopprof.ReasonCancelled, Retry: true}
	}
	c.told++
	return notify.Outcome{}
}

// A message that is on its way when the process is to stop is seen to its end: its fate would
// be unknown else, and another replica would wait before telling it again.
func TestMessageOnItsWayIsSeenToItsEnd(t *testing.T) {
	c := &stopping{stop: func() {}}
	s := notifytest.Start(t, notify.ChannelSlack, notify.Channels{Senders: map[string]notify.Sender{notify.ChannelSlack: c}})
	handle(t, s, of(incident(), "web-1"))
	s.Wait(time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	c.stop = stop
	s.Turn(ctx)
	if c.told != 1 {
		t.Fatalf("told %d times while it was to stop", c.told)
	}
	c.stop = func() {}
	s.Wait(time.Minute)
	if s.Turn(t.Context()); c.told != 1 {
		t.Errorf("told %d times in all", c.told)
	}
}

// A follow-up that is refused for good is said once.
func TestFollowUpThatIsRefused(t *testing.T) {
	s, c := chatting(t)
	handle(t, s, of(incident(), "web-1"))
	s.Pass(time.Minute)
	if got := c.took(); len(got) != 1 {
		t.Fatalf("told %q", got)
	}
	c.answer(notify.Refused("404"))
	before := c.tries
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	s.Wait(24 * time.Hour)
	s.Turn(ctx)
	s.Wait(24 * time.Hour)
	s.Turn(ctx)
	if n := c.tries - before; n != 1 {
		t.Errorf("tried %d times", n)
	}
}
