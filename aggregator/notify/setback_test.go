package notify_test

import (
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
)

// A clock that is set back an hour holds up nothing that was written down before.
func TestClockThatIsSetBackBeforeAGroupIsTold(t *testing.T) {
	for name, failing := range map[string]bool{"nobody was told of it": false, "the receiver was away": true} {
		s, c := chatting(t)
		handle(t, s, of(incident(), "web-1"))
		if failing {
			c.answer(notify.Busy("503", 0))
			s.Pass(s.Config.Default.GroupWait)
			c.answer(notify.Outcome{})
		}
		s.Turn(t.Context())
		s.Wait(-time.Hour)
		s.Pass(time.Minute)
		if got := c.took(); len(got) != 1 {
			t.Errorf("%s: told %q within a minute", name, got)
		}
	}
}
