package siblings

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// A sibling whose report is stored did come, also where that could not be written down: the
// records were away for a moment, or its agent's answer was lost.
func TestSiblingThatCameUnrecorded(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		l.reply = func(q gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
			return gopprof.CaptureReply{Accepted: q.Pod == "web-2"}, map[bool]error{true: bus.ErrAway}[q.Pod == "web-3"]
		}
		r := l.replica()
		hot := r.fires("web-1")
		r.expect(hot, "45s web-2 asked, web-3 failed no_answer")
		for _, pod := range []string{"web-2", "web-3"} {
			c := l.taken(pod)
			l.stored[c.ID] = gopprof.Report{ID: c.ID, Capture: c}
		}
		time.Sleep(45 * time.Second) // synctest's time
		late := testutil.ToFloat64(r.metrics.late)
		r.expect(hot, "0s web-2 stored, web-3 stored")
		if n := testutil.ToFloat64(r.metrics.late); n != late {
			t.Errorf("%v counted as late", n-late)
		}
	})
}

// What stands in a sibling's place and is not what was asked for is not believed, and who keeps
// the reports is not waited for.
func TestReportThatIsNoSiblings(t *testing.T) {
	for name, change := range map[string]func(*lab, *gopprof.Capture){
		"another node's":     func(_ *lab, c *gopprof.Capture) { c.Target.Node = "n3" },
		"another cluster's":  func(_ *lab, c *gopprof.Capture) { c.Target.Cluster = "d" },
		"another incident's": func(_ *lab, c *gopprof.Capture) { c.Incident = newID() },
		"made by hand":       func(_ *lab, c *gopprof.Capture) { c.Trigger.Kind = gopprof.TriggerManual },
		"nobody knows":       func(l *lab, _ *gopprof.Capture) { l.away = bus.ErrAway },
	} {
		t.Run(name, func(t *testing.T) {
			in(t, quiet, func(t *testing.T, l *lab) {
				r := l.replica()
				hot := r.fires("web-1")
				c := l.taken("web-2")
				change(l, &c)
				l.stored[l.taken("web-2").ID] = gopprof.Report{ID: c.ID, Capture: c}
				r.expect(hot, "45s web-2 asked, web-3 asked")
			})
		})
	}
}
