package siblings

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// What takes moments, as a heap profile does, is waited for no longer because the rule names
// the seconds of a CPU profile.
func TestSecondsOfTimedKindsOnly(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		r := l.replica()
		f := firing(gopprof.ResourceCPU, 0.8)
		f.Kinds = []gopprof.Kind{gopprof.KindHeap, gopprof.KindGoroutine}
		d := r.dispatch.Decide(t.Context(), f)
		r.Asked(t.Context(), f, d)
		r.asking.Wait()
		hot := gopprof.Capture{ID: f.Capture, Incident: d.Incident, Target: f.Target, Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule}}
		r.expect(hot, "15s web-2 asked, web-3 asked")
	})
}

// A clock that is set back makes nobody wait for hours; the clocks of replicas may be apart.
func TestClockIsSetBack(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		r := l.replica()
		hot := r.fires("web-1")
		for back, want := range map[time.Duration]time.Duration{0: 45 * time.Second, 10 * time.Second: 55 * time.Second, time.Hour: 0} {
			r.deps.Now = func() time.Time { return time.Now().Add(-back) }
			if left := r.Ready(t.Context(), hot); left != want {
				t.Errorf("%s back: waits %s, want %s", back, left, want)
			}
		}
	})
}

// Whatever word an agent refuses by, the metrics know few.
func TestUnknownWordsOfAgents(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		l.reply = func(q gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
			return gopprof.CaptureReply{Reason: gopprof.Reason("of " + q.Pod)}, nil
		}
		r := l.replica()
		hot := r.fires("web-1")
		r.expect(hot, "0s web-2 failed no_answer, web-3 failed no_answer, web-4 failed no_answer")
		if n := testutil.CollectAndCount(r.metrics.asked); n != 1 {
			t.Errorf("%d reasons counted, want 1", n)
		}
	})
}

// Whatever nodes call their pods, a record fits into a message, and nobody who is waited for
// is forgotten.
func TestRecordOfAbsurdNames(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		absurd := strings.Repeat("<", 1024) // JSON makes it six times as long
		for i := range l.states {
			p := &l.states[i].Targets[0].Target
			p.PodUID, p.ContainerID, p.Image, p.Owner = absurd, absurd, absurd, absurd
			p.Endpoint = gopprof.Endpoint{Scheme: absurd, Host: absurd, Path: absurd}
		}
		l.cfg.Budget = dispatch.Budget{PerWorkloadAtOnce: 1000, PerWorkloadPerHour: 1000, TotalAtOnce: 1000, TotalPerHour: 1000}
		r := l.replica()
		for range 12 {
			l.reply = func(gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
				return gopprof.CaptureReply{Reason: gopprof.ReasonNodeBusy, Detail: absurd}, nil
			}
			hot := r.fires("web-1")
			r.expect(hot, "0s web-2 failed node_busy, web-3 failed node_busy, web-4 failed node_busy")
			l.reply = nil
			r.expect(r.fires("web-9"), "45s web-2 asked, web-3 asked")
			value, _, err := l.incidents.Get(t.Context(), hot.Incident)
			if err != nil || len(value) > maxBytes {
				t.Fatalf("%d bytes, %v", len(value), err)
			}
			time.Sleep(11 * time.Minute) // synctest's time
		}
	})
}

// A bucket that is full costs comparisons, for as long as it is: it holds no capture up that
// is stored, or came to nothing.
func TestRecordsAreFull(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		r := l.replica()
		hot := r.fires("web-1")
		l.incidents.Fill(true)
		r.stored(l.taken("web-2"))
		if err := r.GivenUp(t.Context(), l.taken("web-3"), gopprof.ReasonBytesLost, "chunk 1"); err != nil {
			t.Error(err)
		}
		r.expect(hot, "45s web-2 asked, web-3 asked")
		r.expect(r.fires("web-9"), "0s ")
		time.Sleep(46 * time.Second) // synctest's time
		r.expect(hot, "0s web-2 asked, web-3 asked")
	})
}

// An agent that tells of one firing again and again has the others asked once.
func TestFiringThatIsRepeated(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		r := l.replica()
		id := newID()
		var hot gopprof.Capture
		for range 100 {
			hot = r.firesNow("web-1", id)
			time.Sleep(time.Second) // synctest's time
		}
		r.asking.Wait()
		if len(l.asked) != 2 {
			t.Errorf("%d requests: %s", len(l.asked), l.pods())
		}
		r.expect(hot, "0s web-2 asked, web-3 asked")
		if len(r.begun) != 1 {
			t.Errorf("%d firings remembered", len(r.begun))
		}
		r.fires("web-9")
		if len(r.begun) != 2 {
			t.Errorf("%d firings remembered", len(r.begun))
		}
	})
}
