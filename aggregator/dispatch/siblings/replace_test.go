package siblings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const many = quiet + `
	web-5 n5 b1 cpu=0.2 cores=0.5`

// refuse lets the agents of these pods refuse, and those of others accept.
func refuse(reason gopprof.Reason, pods ...string) func(gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
	return func(q gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
		if slices.Contains(pods, q.Pod) {
			return gopprof.CaptureReply{Reason: reason}, nil
		}
		return gopprof.CaptureReply{Accepted: true}, nil
	}
}

// A pod that cannot be captured is named with its reason, and another quiet one is asked
// instead of it, to begin no later than the first one had to. Every replica sees the same.
func TestRefusedSiblingIsReplaced(t *testing.T) {
	for _, reason := range []gopprof.Reason{
		gopprof.ReasonContended, gopprof.ReasonGone, gopprof.ReasonNotStarted, gopprof.ReasonTerminating, gopprof.ReasonPaused,
		gopprof.ReasonNodeBusy, gopprof.ReasonCapturing, gopprof.ReasonSpoolFull,
	} {
		t.Run(string(reason), func(t *testing.T) {
			in(t, many, func(t *testing.T, l *lab) {
				l.reply = refuse(reason, "web-2", "web-4")
				r := l.replica()
				hot := r.fires("web-1")
				want := fmt.Sprintf("45s web-2 failed %s, web-3 asked, web-4 failed %s, web-5 asked", reason, reason)
				r.expect(hot, want)
				l.replica().expect(hot, want)
				if n := l.places(); n != 3 {
					t.Errorf("%d places taken, want those of the hot one and two siblings", n)
				}
				for _, q := range l.asked {
					if q.Kind != gopprof.TriggerSibling || q.Incident != hot.Incident || q.CPUSeconds != 30 || !q.Deadline.Equal(time.Now().Add(15*time.Second)) {
						t.Errorf("request %+v", q)
					}
				}
				rec, _, err := r.read(t.Context(), hot.Incident)
				if err != nil || rec.instead("web-2") != "web-4" || rec.instead("web-4") != "web-5" || rec.instead("web-3") != "" {
					t.Errorf("%v: record %+v", err, rec)
				}
				r.stored(l.taken("web-3"))
				l.replica().stored(l.taken("web-5"))
				r.expect(hot, strings.Replace(strings.ReplaceAll(want, "asked", "stored"), "45s", "0s", 1))
			})
		})
	}
}

// instead is the pod that was asked instead of another one.
func (r record) instead(pod string) string {
	for _, a := range r.Asked {
		if i := r.index(a.Instead); a.Target.Pod == pod && i >= 0 {
			return r.Asked[i].Target.Pod
		}
	}
	return ""
}

// An agent that accepted and finds that there is nothing to be had says so later: the replica
// that hears of it asks the next pod, while there is time to begin.
func TestSiblingThatCameToNothingIsReplaced(t *testing.T) {
	for after, want := range map[time.Duration]string{
		5 * time.Second:  "40s web-2 failed contended, web-3 asked, web-4 asked",
		15 * time.Second: "30s web-2 failed contended, web-3 asked",
	} {
		in(t, many, func(t *testing.T, l *lab) {
			r, other := l.replica(), l.replica()
			hot := r.fires("web-1")
			deadline := time.Now().Add(15 * time.Second)
			time.Sleep(after) // synctest's time
			c := l.taken("web-2")
			c.Failures = []gopprof.Failure{{Kind: gopprof.KindCPU, Reason: gopprof.ReasonContended}}
			for range 2 { // what is told twice changes nothing
				if err := errors.Join(other.dispatch.Ended(t.Context(), c.ID), other.Failed(t.Context(), c)); err != nil {
					t.Fatal(err)
				}
				other.asking.Wait()
			}
			r.expect(hot, want)
			if asked := len(l.asked); asked > 2 { // an answer was lost: it is stored after all, and nobody is asked for that
				r.stored(c)
				r.asking.Wait()
				r.expect(hot, strings.Replace(want, "failed contended", "stored", 1))
				if len(l.asked) != asked {
					t.Errorf("asked %s", l.pods())
				}
			}
			ids := map[string]bool{}
			for _, q := range l.asked {
				if ids[q.Capture] = true; !q.Deadline.Equal(deadline) {
					t.Errorf("%s is to begin by %s, want %s", q.Pod, q.Deadline, deadline)
				}
			}
			if len(ids) != strings.Count(want, "web-") {
				t.Errorf("asked %s", l.pods())
			}
		})
	}
}

// All hot pods that wait for a sibling wait for the one that is asked instead.
func TestReplacementServesAllHotPods(t *testing.T) {
	in(t, many, func(t *testing.T, l *lab) {
		r := l.replica()
		first := r.fires("web-1")
		time.Sleep(5 * time.Second) // synctest's time
		second := r.fires("web-4")  // quiet for us still: whoever fires is no sibling
		c := l.taken("web-2")
		c.Failures = []gopprof.Failure{{Kind: gopprof.KindCPU, Reason: gopprof.ReasonContended}}
		if err := l.replica().Failed(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.expect(first, "39s web-2 failed contended, web-3 asked, web-5 asked")
		l.replica().expect(second, "44s web-3 asked, web-2 failed contended, web-5 asked")
		third := r.fires("web-9")
		r.expect(third, "45s web-5 asked, web-3 asked")
	})
}

// However many pods there are: no more are captured at once than are wanted, and who finds
// only refusals does not ask on for ever.
func TestReplacementsAreFew(t *testing.T) {
	pods := ""
	for i := range 40 {
		pods += fmt.Sprintf("\nweb-%d n%d b1 cpu=0.2 cores=%d", i+2, i+2, 50-i)
	}
	in(t, pods, func(t *testing.T, l *lab) {
		l.reply = func(gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
			return gopprof.CaptureReply{Reason: gopprof.ReasonNodeBusy}, nil
		}
		r := l.replica()
		hot := r.fires("web-1")
		if len(l.asked) != triesPerPlace*l.cfg.Siblings.PerCapture {
			t.Errorf("%d pods asked", len(l.asked))
		}
		if got := r.says(hot); strings.Count(got, "failed node_busy") != len(l.asked) || !strings.HasPrefix(got, "0s ") {
			t.Error(got)
		}
		if n := l.places(); n != 1 {
			t.Errorf("%d places taken", n)
		}
	})
}

// Where no other pod would do better, none is asked: the budget is used up, all is paused,
// nobody knows whether the agent has begun.
func TestSiblingThatIsNotReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*lab) // once the hot pod has its go
		want   string
	}{
		"no place in the budget": {func(*lab) {}, "web-2 failed budget, web-3 failed budget"},
		"the budget is away":     {func(l *lab) { l.budget.Break(bus.ErrAway) }, "web-2 failed no_answer, web-3 failed no_answer"},
		"the agent is silent": {func(l *lab) {
			l.reply = func(gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
				return gopprof.CaptureReply{}, context.DeadlineExceeded
			}
		}, "web-2 failed no_answer, web-3 failed no_answer"},
		"all is paused since": {func(l *lab) {
			l.reply = func(gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
				l.paused.Store(true)
				return gopprof.CaptureReply{Reason: gopprof.ReasonPaused}, nil
			}
		}, "web-2 failed paused, web-3 failed paused"},
		"it refused too late": {func(l *lab) {
			l.reply = func(gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
				time.Sleep(15 * time.Second) // synctest's time
				return gopprof.CaptureReply{Reason: gopprof.ReasonGone}, nil
			}
		}, "web-2 failed gone, web-3 failed gone"},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, many, func(t *testing.T, l *lab) {
				if strings.Contains(c.want, "budget") {
					l.cfg.Budget.TotalAtOnce = 1
				}
				r := l.replica()
				f := firing(gopprof.ResourceCPU, 0.8)
				d := r.dispatch.Decide(t.Context(), f)
				c.change(l)
				r.Asked(t.Context(), f, d)
				r.asking.Wait()
				hot := gopprof.Capture{ID: f.Capture, Incident: d.Incident, Target: f.Target, Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule}}
				r.expect(hot, "0s "+c.want)
			})
		})
	}
}

// A budget that has room for one sibling at a time gives its place to the next.
func TestReplacementTakesThePlace(t *testing.T) {
	in(t, many, func(t *testing.T, l *lab) {
		l.cfg.Budget = dispatch.Budget{PerWorkloadAtOnce: 1, PerWorkloadPerHour: 9, TotalAtOnce: 2, TotalPerHour: 100}
		l.cfg.Siblings.PerCapture = 1
		l.reply = func(q gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
			time.Sleep(time.Millisecond) // synctest's time: what ended in this moment still runs
			return refuse(gopprof.ReasonGone, "web-2", "web-3")(q)
		}
		r := l.replica()
		hot := r.fires("web-1")
		if got := r.says(hot); !strings.HasSuffix(got, "web-2 failed gone, web-3 failed gone, web-4 asked") {
			t.Error(got)
		}
		if n := l.places(); n != 2 {
			t.Errorf("%d places taken", n)
		}
	})
}

// Whoever died between the record and the next agent is made good by the hot pod's agent that
// asks again, and by the message that comes again.
func TestDiedBeforeTheReplacementWasAsked(t *testing.T) {
	died := func(t *testing.T, l *lab) (replica, gopprof.Firing, gopprof.Decision, gopprof.Capture) {
		r := l.replica()
		f := firing(gopprof.ResourceCPU, 0.8)
		d := r.dispatch.Decide(t.Context(), f)
		r.Asked(t.Context(), f, d)
		r.asking.Wait()
		c := l.taken("web-2")
		if next, err := r.end(t.Context(), d.Incident, c, ending{state: gopprof.SiblingFailed, reason: gopprof.ReasonContended, replace: true}); err != nil || next == nil {
			t.Fatalf("%+v, %v", next, err)
		}
		l.asked = nil
		return l.replica(), f, d, c
	}
	const want = "45s web-2 failed contended, web-3 asked, web-4 asked"
	in(t, many, func(t *testing.T, l *lab) {
		r, f, d, _ := died(t, l)
		r.Asked(t.Context(), f, d)
		r.asking.Wait()
		if l.pods() != "web-3 web-4" {
			t.Errorf("asked %s", l.pods())
		}
		r.expect(gopprof.Capture{ID: f.Capture, Incident: d.Incident, Target: f.Target, Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule}}, want)
	})
	in(t, many, func(t *testing.T, l *lab) {
		r, f, d, c := died(t, l)
		if err := r.Failed(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		r.asking.Wait()
		if l.pods() != "web-4" {
			t.Errorf("asked %s", l.pods())
		}
		r.expect(gopprof.Capture{ID: f.Capture, Incident: d.Incident, Target: f.Target, Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule}}, want)
	})
}

// A refusal whose record nobody confirms is written, or written again: who is waited for is
// asked.
func TestUnansweredWriteOfAReplacement(t *testing.T) {
	for name, lose := range map[string]func(*lab, bool){
		"written":     func(l *lab, lost bool) { l.incidents.Lose(lost) },
		"not written": func(l *lab, lost bool) { l.incidents.Break(map[bool]error{true: bus.ErrAway}[lost]) },
	} {
		t.Run(name, func(t *testing.T) {
			in(t, many, func(t *testing.T, l *lab) {
				l.cfg.Siblings.PerCapture = 1
				l.reply = func(q gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
					if q.Pod != "web-2" {
						return gopprof.CaptureReply{Accepted: true}, nil
					}
					lose(l, true)
					time.AfterFunc(writeAgain/2, func() { lose(l, false) })
					return gopprof.CaptureReply{Reason: gopprof.ReasonGone}, nil
				}
				r := l.replica()
				hot := r.fires("web-1")
				if got := r.says(hot); !strings.HasSuffix(got, "web-2 failed gone, web-3 asked") || l.pods() != "web-2 web-3" {
					t.Errorf("%s; asked %s", got, l.pods())
				}
			})
		})
	}
}

// The record of a version that did not write down what to choose by is left as it is.
func TestRecordOfAnOlderVersion(t *testing.T) {
	in(t, many, func(t *testing.T, l *lab) {
		r := l.replica()
		hot := r.fires("web-1")
		value, revision, _ := l.incidents.Get(t.Context(), hot.Incident)
		var old map[string]any
		if err := json.Unmarshal(value, &old); err != nil {
			t.Fatal(err)
		}
		for _, h := range old["hot"].([]any) {
			for _, key := range []string{"pod", "resource", "threshold"} {
				delete(h.(map[string]any), key)
			}
		}
		value, _ = json.Marshal(old)
		if _, err := l.incidents.Update(t.Context(), hot.Incident, value, revision); err != nil {
			t.Fatal(err)
		}
		c := l.taken("web-2")
		c.Failures = []gopprof.Failure{{Kind: gopprof.KindCPU, Reason: gopprof.ReasonContended}}
		if err := r.Failed(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		r.asking.Wait()
		r.expect(hot, "45s web-2 failed contended, web-3 asked")
	})
}
