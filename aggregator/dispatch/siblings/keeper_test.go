package siblings

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/buckettest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// lab is nodes with their agents, and what replicas share.
type lab struct {
	t         *testing.T
	incidents *buckettest.KV
	budget    *buckettest.KV
	cfg       dispatch.Config
	states    []gopprof.NodeState
	paused    atomic.Bool

	mu     sync.Mutex
	stored map[string]gopprof.Report // by capture
	away   error                     // of who keeps them
	asked  []gopprof.CaptureRequest
	reply  func(gopprof.CaptureRequest) (gopprof.CaptureReply, error) // nil: accepted
}

const quiet = `
	web-2 n2 b1 cpu=0.2 cores=3
	web-3 n3 b1 cpu=0.2 cores=2
	web-4 n4 b1 cpu=0.2 cores=1`

func newLab(t *testing.T, pods string) *lab {
	return &lab{t: t, incidents: buckettest.NewKV(), budget: buckettest.NewKV(), cfg: dispatch.DefaultConfig(), states: nodes(t, pods), stored: map[string]gopprof.Report{}}
}

func (l *lab) Nodes() []gopprof.NodeState {
	out := slices.Clone(l.states)
	for i := range out { // heard of just now
		out[i].At = time.Now()
		out[i].Targets = slices.Clone(out[i].Targets)
		for j := range out[i].Targets {
			s := &out[i].Targets[j]
			s.Local = slices.Clone(s.Local)
			s.Local[len(s.Local)-1].End = time.Now()
		}
	}
	return out
}

func (l *lab) StaleAfter() time.Duration { return 90 * time.Second }

func (l *lab) RequestCapture(_ context.Context, cluster, node string, r gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
	if want := strings.Replace(r.Pod, "web-", "n", 1); cluster != "c" || node != want {
		l.t.Errorf("node %q of %q asked for %q", node, cluster, r.Pod)
	}
	l.mu.Lock()
	l.asked = append(l.asked, r)
	l.mu.Unlock()
	if l.reply == nil {
		return gopprof.CaptureReply{Accepted: true}, nil
	}
	return l.reply(r)
}

func (l *lab) Committed(_ context.Context, c gopprof.Capture) (gopprof.Report, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.stored[c.ID]
	return r, ok, l.away
}

func (l *lab) pods() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, r := range l.asked {
		out = append(out, r.Pod)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// replica is one aggregator.
type replica struct {
	*Keeper
	dispatch *dispatch.Dispatcher
	l        *lab
}

func (l *lab) replica() replica {
	paused := l.paused.Load
	d := dispatch.New(l.cfg, dispatch.Deps{Budget: l.budget, Paused: paused}, zap.NewNop(), prometheus.NewRegistry())
	k := New(l.cfg.Siblings, Deps{Incidents: l.incidents, Agents: l, Nodes: l, Budget: d, Reports: l, Paused: paused}, zap.NewNop(), prometheus.NewRegistry())
	return replica{k, d, l}
}

// fires lets a pod of the workload fire, and returns its capture when the agents were asked.
func (r replica) fires(pod string) gopprof.Capture {
	r.l.t.Helper()
	c := r.firesNow(pod, newID())
	r.asking.Wait()
	return c
}

func (r replica) firesNow(pod, id string) gopprof.Capture {
	r.l.t.Helper()
	f := firing(gopprof.ResourceCPU, 0.8)
	f.Capture, f.Target = id, target(pod, strings.Replace(pod, "web-", "n", 1), "b1")
	d := r.dispatch.Decide(r.l.t.Context(), f)
	if !d.Go {
		r.l.t.Fatalf("%s may not be captured: %s", pod, d.Reason)
	}
	r.Asked(r.l.t.Context(), f, d)
	return gopprof.Capture{
		ID: f.Capture, Incident: d.Incident, Target: f.Target, Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule},
		Start: time.Now(), Profiles: []gopprof.Profile{{Kind: gopprof.KindCPU, Seconds: 30}},
	}
}

// taken is the capture that an agent makes of a request.
func (l *lab) taken(pod string) gopprof.Capture {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.asked {
		if r.Pod == pod {
			return gopprof.Capture{ID: r.Capture, Incident: r.Incident, Target: target(pod, strings.Replace(pod, "web-", "n", 1), "b1"),
				Trigger: gopprof.Trigger{Kind: gopprof.TriggerSibling}}
		}
	}
	l.t.Fatalf("%s was not asked", pod)
	return gopprof.Capture{}
}

func (r replica) stored(c gopprof.Capture) {
	r.l.t.Helper()
	if err := r.Stored(r.l.t.Context(), gopprof.Report{ID: c.ID, Capture: c}); err != nil {
		r.l.t.Error(err)
	}
}

// says is how long a capture waits, and what its report says: "45s web-2 asked, …".
func (r replica) says(c gopprof.Capture) string {
	_, all := r.Of(r.l.t.Context(), c)
	words := []string{}
	for _, s := range all {
		words = append(words, strings.TrimSpace(fmt.Sprint(s.Target.Pod, " ", s.State, " ", s.Reason)))
	}
	return fmt.Sprint(r.Ready(r.l.t.Context(), c), " ", strings.Join(words, ", "))
}

func (r replica) expect(c gopprof.Capture, want string) {
	r.l.t.Helper()
	if got := r.says(c); got != want {
		r.l.t.Errorf("it says %q, want %q", got, want)
	}
}

// in runs a scenario in a time of its own.
func in(t *testing.T, pods string, f func(t *testing.T, l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newLab(t, pods)) })
}

func TestSiblingsAreAskedAndWaitedFor(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		r := l.replica()
		hot := r.fires("web-1")
		if l.pods() != "web-2 web-3" {
			t.Fatalf("asked %s", l.pods())
		}
		q := l.asked[0]
		if q.Kind != gopprof.TriggerSibling || q.Incident != hot.Incident || q.PodUID != "uid-"+q.Pod || q.Container != "main" ||
			!slices.Equal(q.Kinds, []gopprof.Kind{gopprof.KindCPU, gopprof.KindGoroutine}) || q.CPUSeconds != 30 || !q.Deadline.Equal(time.Now().Add(15*time.Second)) {
			t.Errorf("request %+v", q)
		}
		r.expect(hot, "45s web-2 asked, web-3 asked")
		time.Sleep(31 * time.Second) // synctest's time
		r.stored(l.taken("web-3"))
		r.expect(hot, "14s web-2 asked, web-3 stored")
		r.stored(l.taken("web-2"))
		r.stored(l.taken("web-2")) // again
		r.expect(hot, "0s web-2 stored, web-3 stored")
		if fleet, _ := r.Of(t.Context(), hot); fleet == nil || *fleet != (gopprof.Fleet{Pods: 4, Build: 4, Hot: 1, Quiet: 3}) {
			t.Errorf("fleet %+v", fleet)
		}
		if n := testutil.ToFloat64(r.metrics.ended.WithLabelValues("stored")); n != 2 {
			t.Errorf("%v counted as stored", n)
		}
	})
}

func TestSiblingsThatDoNotCome(t *testing.T) {
	for name, c := range map[string]struct {
		reply  func(gopprof.CaptureRequest) (gopprof.CaptureReply, error)
		want   string
		places int // of the budget that are taken once all was said
	}{
		"never answer at all": {nil, "45s web-2 asked, web-3 asked", 3},
		"refuse": {func(gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
			return gopprof.CaptureReply{Reason: gopprof.ReasonNodeBusy, Detail: "2 run"}, nil
		}, "0s web-2 failed node_busy, web-3 failed node_busy, web-4 failed node_busy", 1},
		"one refuses": {func(q gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
			return gopprof.CaptureReply{Accepted: q.Pod == "web-2", Reason: gopprof.ReasonGone}, nil
		}, "45s web-2 asked, web-3 failed gone, web-4 failed gone", 2},
		"no agent is there": {func(gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
			return gopprof.CaptureReply{}, fmt.Errorf("asking: %w", bus.ErrNoAgent)
		}, "0s web-2 failed no_answer, web-3 failed no_answer, web-4 failed no_answer", 1},
		"the agents hang": {func(gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
			return gopprof.CaptureReply{}, context.DeadlineExceeded
		}, "0s web-2 failed no_answer, web-3 failed no_answer", 1},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, quiet, func(t *testing.T, l *lab) {
				l.reply = c.reply
				r := l.replica()
				hot := r.fires("web-1")
				r.expect(hot, c.want)
				if got := l.places(); got != c.places {
					t.Errorf("%d places taken, want %d", got, c.places)
				}
				time.Sleep(45 * time.Second) // synctest's time
				if left := r.Ready(t.Context(), hot); left != 0 {
					t.Errorf("waits %s longer than it may", left)
				}
			})
		})
	}
}

// places counts the captures that the budget takes for running.
func (l *lab) places() (n int) {
	value, _, err := l.budget.Get(l.t.Context(), "ledger")
	if err != nil {
		l.t.Fatal(err)
	}
	return strings.Count(string(value), `"c":`) - strings.Count(string(value), `"e":`)
}

// A sibling that comes after the report was made is stored all the same, under the incident.
func TestLateSibling(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		r := l.replica()
		hot := r.fires("web-1")
		time.Sleep(time.Minute) // synctest's time
		r.expect(hot, "0s web-2 asked, web-3 asked")
		if n := testutil.ToFloat64(r.metrics.late); n != 2 {
			t.Errorf("%v counted as late", n)
		}
		r.stored(l.taken("web-2"))
		r.expect(hot, "0s web-2 stored, web-3 asked")
	})
}

// What is said of a sibling counts only when it comes from the node that was asked, under
// the ID that it was asked by. Failures are named, and what failed may be stored after all.
func TestWhoSpeaksForASibling(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		r := l.replica()
		hot := r.fires("web-1")
		const before = "45s web-2 asked, web-3 asked"
		c := l.taken("web-2")
		for name, change := range map[string]func(*gopprof.Capture){
			"another node":     func(c *gopprof.Capture) { c.Target.Node = "n3" },
			"another cluster":  func(c *gopprof.Capture) { c.Target.Cluster = "d" },
			"another capture":  func(c *gopprof.Capture) { c.ID = newID() },
			"the hot one":      func(c *gopprof.Capture) { c.ID, c.Target = hot.ID, hot.Target },
			"another incident": func(c *gopprof.Capture) { c.Incident = newID() },
			"no incident":      func(c *gopprof.Capture) { c.Incident = "../x" },
			"not a sibling":    func(c *gopprof.Capture) { c.Trigger.Kind = gopprof.TriggerManual },
		} {
			forged := c
			change(&forged)
			r.stored(forged)
			if got := r.says(hot); got != before {
				t.Errorf("%s: %q", name, got)
			}
		}
		time.Sleep(15 * time.Second) // synctest's time: nobody is asked instead any more
		c.Failures = []gopprof.Failure{{Kind: gopprof.KindCPU, Reason: gopprof.ReasonContended, Detail: "in use"}}
		if err := r.Failed(t.Context(), c); err != nil {
			t.Error(err)
		}
		if err := r.GivenUp(t.Context(), l.taken("web-3"), gopprof.ReasonBytesLost, "chunk 1"); err != nil {
			t.Error(err)
		}
		r.expect(hot, "0s web-2 failed contended, web-3 failed bytes_lost")
		r.stored(l.taken("web-3")) // somebody replayed it
		r.expect(hot, "0s web-2 failed contended, web-3 stored")
		if err := r.Failed(t.Context(), l.taken("web-3")); err != nil {
			t.Error(err)
		}
		r.expect(hot, "0s web-2 failed contended, web-3 stored")
	})
}

// Only the capture that fired, of the node where it did, has the siblings.
func TestWhoHasSiblings(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		r := l.replica()
		hot := r.fires("web-1")
		for name, change := range map[string]func(*gopprof.Capture){
			"by hand":              func(c *gopprof.Capture) { c.Trigger.Kind = gopprof.TriggerManual },
			"a sibling":            func(c *gopprof.Capture) { c.Trigger.Kind = gopprof.TriggerSibling },
			"of another node":      func(c *gopprof.Capture) { c.Target.Node = "n2" },
			"not asked about":      func(c *gopprof.Capture) { c.ID = newID() },
			"of another incident":  func(c *gopprof.Capture) { c.Incident = newID() },
			"of a node's own word": func(c *gopprof.Capture) { c.Incident = "" },
		} {
			other := hot
			change(&other)
			fleet, all := r.Of(t.Context(), other)
			if left := r.Ready(t.Context(), other); left != 0 || fleet != nil || all != nil {
				t.Errorf("%s: waits %s, %+v, %+v", name, left, fleet, all)
			}
		}
	})
}

// The pods of an incident that fire one after the other share the siblings of the first.
func TestTwoHotPodsOfAnIncident(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		r := l.replica()
		first := r.fires("web-1")
		time.Sleep(10 * time.Second) // synctest's time
		second := r.fires("web-9")
		if l.pods() != "web-2 web-3" || first.Incident != second.Incident {
			t.Fatalf("asked %s for incidents %s, %s", l.pods(), first.Incident, second.Incident)
		}
		r.expect(first, "35s web-2 asked, web-3 asked")
		if left := r.Ready(t.Context(), second); left != 45*time.Second {
			t.Errorf("the second one waits %s", left)
		}
		r.stored(l.taken("web-2"))
		// A sibling that fires itself is not compared with itself.
		third := r.fires("web-3")
		r.expect(third, "0s web-2 stored")
		if l.pods() != "web-2 web-3" {
			t.Errorf("asked %s", l.pods())
		}
		// What never came serves nobody; what was stored does, for ten minutes.
		for id := range strings.SplitSeq(strings.Join([]string{first.ID, second.ID, third.ID}, " "), " ") {
			if err := r.dispatch.Ended(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Minute)
		r.expect(r.fires("web-8"), "0s web-2 stored")
		time.Sleep(6 * time.Minute)
		late := r.fires("web-7")
		r.expect(late, "45s web-2 asked, web-3 asked")
		if l.pods() != "web-2 web-2 web-3 web-3" {
			t.Errorf("asked %s", l.pods())
		}
	})
}

func TestSiblingsOfAnotherBuildAreAskedAnew(t *testing.T) {
	in(t, quiet+`
		new-2 n5 b2 cpu=0.2`, func(t *testing.T, l *lab) {
		l.states[3].Targets[0].Target.Pod, l.states[3].Targets[0].Target.PodUID = "web-5", "uid-web-5"
		r := l.replica()
		r.fires("web-1")
		f := firing(gopprof.ResourceCPU, 0.8)
		f.Target = target("web-6", "n6", "b2")
		r.Asked(t.Context(), f, r.dispatch.Decide(t.Context(), f))
		r.asking.Wait()
		if l.pods() != "web-2 web-3 web-5" {
			t.Errorf("asked %s", l.pods())
		}
	})
}

// One firing may be answered twice, by any replica, at the same time: its siblings are asked
// for once. Several pods that fire at once share theirs.
func TestReplicasAskOnce(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		l.cfg.Budget.PerWorkloadAtOnce = 10
		id := newID()
		var all sync.WaitGroup
		var replicas []replica
		for range 3 {
			replicas = append(replicas, l.replica())
		}
		for i, r := range replicas {
			all.Go(func() { r.firesNow("web-1", id) })
			all.Go(func() { r.firesNow(fmt.Sprint("web-1", i), newID()) })
		}
		all.Wait()
		for _, r := range replicas {
			r.asking.Wait()
		}
		ids := map[string]bool{}
		for _, q := range l.asked {
			ids[q.Capture] = true
		}
		if len(ids) != 2 {
			t.Errorf("%d captures of siblings asked for, want 2: %s", len(ids), l.pods())
		}
	})
}

// Another replica, or the one after a restart, gets the captures and goes on.
func TestRestartInTheMiddle(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		hot := l.replica().fires("web-1")
		next := l.replica()
		next.stored(l.taken("web-2"))
		next.expect(hot, "45s web-2 stored, web-3 asked")
		l.replica().stored(l.taken("web-3"))
		l.replica().expect(hot, "0s web-2 stored, web-3 stored")
	})
}

// Whoever died between the record and the agents is made good by the agent that asks again;
// if none does, the hot capture waits to the end of its time and no longer.
func TestDiedBeforeTheAgentsWereAsked(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		r := l.replica()
		f := firing(gopprof.ResourceCPU, 0.8)
		d := r.dispatch.Decide(t.Context(), f)
		p := r.plan(f, f.Kinds)
		if err := r.change(t.Context(), d.Incident, true, func(r *record) bool { return r.add(p) }); err != nil {
			t.Fatal(err)
		}
		hot := gopprof.Capture{ID: f.Capture, Incident: d.Incident, Target: f.Target, Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule}}
		next := l.replica()
		next.expect(hot, "45s web-2 asked, web-3 asked")
		next.Asked(t.Context(), f, next.dispatch.Decide(t.Context(), f))
		next.asking.Wait()
		if l.pods() != "web-2 web-3" || l.asked[0].Incident != d.Incident {
			t.Errorf("asked %s", l.pods())
		}
		time.Sleep(46 * time.Second) // synctest's time
		next.expect(hot, "0s web-2 asked, web-3 asked")
	})
}

// A write that nobody confirms may have happened: then who is waited for is asked, too.
func TestUnansweredWrite(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		l.incidents.Lose(true)
		r := l.replica()
		hot := r.fires("web-1")
		l.incidents.Lose(false)
		if l.pods() != "web-2 web-3" {
			t.Errorf("asked %s", l.pods())
		}
		r.expect(hot, "45s web-2 asked, web-3 asked")
	})
}

// Without a record the capture is made without siblings; while the records are away it waits
// as long as for siblings that do not come.
func TestRecordsAreAway(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		r := l.replica()
		l.incidents.Break(bus.ErrAway)
		hot := r.fires("web-1")
		if l.pods() != "" || testutil.ToFloat64(r.metrics.unrecorded) != 1 {
			t.Errorf("asked %q though nothing was written", l.pods())
		}
		r.expect(hot, "45s ")
		if err := r.Stored(t.Context(), gopprof.Report{Capture: gopprof.Capture{ID: newID(), Incident: newID(), Trigger: gopprof.Trigger{Kind: gopprof.TriggerSibling}}}); !errors.Is(err, bus.ErrAway) {
			t.Errorf("an end that was not written: %v", err)
		}
		ahead := hot
		ahead.Start = ahead.Start.Add(time.Hour)
		r.expect(ahead, "0s ")
		time.Sleep(46 * time.Second) // synctest's time
		r.expect(hot, "0s ")
		l.incidents.Break(nil)
		r.expect(hot, "0s ")
	})
}

func TestUnreadableRecordStartsAnew(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		r := l.replica()
		first := r.fires("web-1")
		_, revision, _ := l.incidents.Get(t.Context(), first.Incident)
		if _, err := l.incidents.Update(t.Context(), first.Incident, []byte("{broken"), revision); err != nil {
			t.Fatal(err)
		}
		r.expect(first, "0s ")
		r.expect(r.fires("web-9"), "45s web-2 asked, web-3 asked")
	})
}

// Siblings take places of all workloads, at most half of them, and none of their own
// workload's hot pods.
func TestBudgetOfSiblings(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		l.cfg.Budget = dispatch.Budget{PerWorkloadAtOnce: 3, PerWorkloadPerHour: 3, TotalAtOnce: 3, TotalPerHour: 100}
		l.cfg.Siblings.PerCapture = 3
		r := l.replica()
		hot := r.fires("web-1")
		if got := r.says(hot); strings.Count(got, "failed budget") != 1 || strings.Count(got, "asked") != 2 {
			t.Errorf("with two places for siblings: %s", got)
		}
		if len(l.asked) != 2 {
			t.Errorf("asked %s", l.pods())
		}
		for _, q := range l.asked {
			if err := r.dispatch.Ended(t.Context(), q.Capture); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second) // synctest's time: what ended in this moment still runs
		for _, pod := range []string{"web-8", "web-9"} {
			r.fires(pod) // its workload has its three places still
		}
	})
}

func TestNobodyIsAsked(t *testing.T) {
	for name, change := range map[string]func(*lab, *gopprof.Firing, *gopprof.Decision){
		"paused":       func(l *lab, _ *gopprof.Firing, _ *gopprof.Decision) { l.paused.Store(true) },
		"switched off": func(l *lab, _ *gopprof.Firing, _ *gopprof.Decision) { l.cfg.Siblings.PerCapture = 0 },
		"refused": func(_ *lab, _ *gopprof.Firing, d *gopprof.Decision) {
			*d = gopprof.Decision{Reason: gopprof.ReasonBudget}
		},
		"an agent of before":               func(_ *lab, f *gopprof.Firing, _ *gopprof.Decision) { f.Threshold, f.Kinds, f.CPUSeconds = 0, nil, 0 },
		"no kind that can be compared":     func(_ *lab, f *gopprof.Firing, _ *gopprof.Decision) { f.Kinds = []gopprof.Kind{"trace", "cup"} },
		"a profile of an hour":             func(_ *lab, f *gopprof.Firing, _ *gopprof.Decision) { f.CPUSeconds = 3600 },
		"nobody knows what build it is of": func(_ *lab, f *gopprof.Firing, _ *gopprof.Decision) { f.Target.Build = "" },
	} {
		t.Run(name, func(t *testing.T) {
			in(t, quiet, func(t *testing.T, l *lab) {
				f, d := firing(gopprof.ResourceCPU, 0.8), gopprof.Decision{Go: true, Incident: newID()}
				change(l, &f, &d)
				r := l.replica()
				r.Asked(t.Context(), f, d)
				r.asking.Wait()
				if len(l.asked) != 0 {
					t.Errorf("asked %s", l.pods())
				}
				hot := gopprof.Capture{ID: f.Capture, Incident: d.Incident, Target: f.Target, Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule}}
				r.expect(hot, "0s ")
			})
		})
	}
}

// A record stays small however long an incident goes on.
func TestRecordIsBounded(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		l.cfg.Budget = dispatch.Budget{PerWorkloadAtOnce: 1000, PerWorkloadPerHour: 1000, TotalAtOnce: 1000, TotalPerHour: 1000}
		r := l.replica()
		var hot gopprof.Capture
		for range 100 {
			hot = r.fires("web-1")
			time.Sleep(11 * time.Minute) // synctest's time
		}
		rec, _, err := r.read(t.Context(), hot.Incident)
		if err != nil || len(rec.Hot) != maxHot || len(rec.Asked) != maxAsked {
			t.Errorf("%d hot, %d asked, %v", len(rec.Hot), len(rec.Asked), err)
		}
		r.expect(hot, "0s web-2 asked, web-3 asked")
	})
}

// Run waits for agents that are being asked.
func TestRunWaits(t *testing.T) {
	in(t, quiet, func(t *testing.T, l *lab) {
		answer := make(chan struct{})
		l.reply = func(gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
			<-answer
			return gopprof.CaptureReply{Reason: gopprof.ReasonGone}, nil
		}
		l.states = l.states[:1]
		r := l.replica()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		hot := r.firesNow("web-1", newID())
		cancel()
		synctest.Wait()
		select {
		case <-ended:
			t.Error("it ended while an agent was being asked")
		default:
		}
		close(answer)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		r.expect(hot, "0s web-2 failed gone")
	})
}
