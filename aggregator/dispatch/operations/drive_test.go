package operations

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func TestOnePod(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 2, "a", "b")
		k, stop := l.start()
		defer stop()
		began := time.Now()
		op := ask(t, k, gopprof.Manual{Pod: "web-1", CPUSeconds: 10})
		if op.Captures[0].State != gopprof.CaptureWaiting || op.Matched != 1 || op.Who != "ada" {
			t.Errorf("at first: %+v", op)
		}
		synctest.Wait()
		now, err := k.Operation(t.Context(), op.ID)
		if oc := now.Captures[0]; err != nil || oc.State != gopprof.CaptureProfiling || oc.SecondsLeft < 10 || oc.Started.IsZero() {
			t.Errorf("then: %+v, %v", oc, err)
		}
		end := wait(t, k, op.ID)
		if oc := end.Captures[0]; oc.State != gopprof.CaptureStored || oc.Report != oc.Capture || oc.SecondsLeft != 0 || oc.Target.Pod != "web-1" {
			t.Errorf("at the end: %+v", oc)
		}
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("took %s", took)
		}
		r := l.asked[0]
		if len(l.asked) != 1 || r.Capture != op.Captures[0].Capture || r.PodUID != "uid-web-1" || r.CPUSeconds != 10 || r.Kind != gopprof.TriggerManual ||
			r.Request != (gopprof.Request{Who: "ada", Operation: op.ID}) || r.Incident != op.Incident || gopprof.CheckID(r.Incident) != nil {
			t.Errorf("asked %+v", l.asked)
		}
	})
}

// A group keeps within every bound, and every pod is profiled once.
func TestGroupKeepsItsBounds(t *testing.T) {
	for name, c := range map[string]struct {
		pods  int
		nodes []string
		ask   gopprof.Manual
		peak  map[string]int // at the same time
		took  time.Duration  // about
	}{
		"by its default":       {6, []string{"a", "b", "c"}, gopprof.Manual{}, map[string]int{"all": 3, "node a": 1}, 20 * time.Second},
		"by its own number":    {6, []string{"a", "b", "c"}, gopprof.Manual{AtOnce: 5}, map[string]int{"all": 5}, 20 * time.Second},
		"one is left alone":    {2, []string{"a", "b"}, gopprof.Manual{AtOnce: 5}, map[string]int{"workload web": 1}, 20 * time.Second},
		"the only one":         {1, []string{"a"}, gopprof.Manual{}, map[string]int{"workload web": 1}, 10 * time.Second},
		"all at once":          {4, []string{"a", "b"}, gopprof.Manual{AllAtOnce: true}, map[string]int{"workload web": 4, "node a": 2}, 10 * time.Second},
		"the node's bound":     {4, []string{"a"}, gopprof.Manual{AllAtOnce: true}, map[string]int{"node a": 2}, 20 * time.Second},
		"one wave":             {6, []string{"a", "b"}, gopprof.Manual{Wave: true}, map[string]int{"all": 4, "node a": 2}, 10 * time.Second},
		"one wave of three":    {3, []string{"a", "b"}, gopprof.Manual{Wave: true}, map[string]int{"workload web": 2}, 10 * time.Second},
		"at most so many pods": {6, []string{"a", "b"}, gopprof.Manual{MaxPods: 2}, map[string]int{"all": 2}, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				l.pods("web", c.pods, c.nodes...)
				k, stop := l.start()
				defer stop()
				c.ask.Workload, c.ask.CPUSeconds, c.ask.Kinds = deployment("web"), 10, []gopprof.Kind{gopprof.KindCPU}
				began := time.Now()
				op := wait(t, k, ask(t, k, c.ask).ID)
				want := c.pods
				if c.ask.MaxPods > 0 {
					want = c.ask.MaxPods
				}
				if c.ask.Wave {
					want = max(c.peak["all"], c.peak["workload web"])
				}
				if n := states(op); n["stored"] != want || len(op.Captures) != want || op.Matched != c.pods {
					t.Errorf("%v of %d, want %d stored", n, op.Matched, want)
				}
				for what, most := range c.peak {
					if l.peak[what] != most {
						t.Errorf("%s: %d at the same time, want %d", what, l.peak[what], most)
					}
				}
				for _, node := range c.nodes {
					if n := l.peak["node "+node]; n > l.cfg.PerNodeAtOnce {
						t.Errorf("node %s: %d at the same time, at most %d may", node, n, l.cfg.PerNodeAtOnce)
					}
				}
				if took := time.Since(began); took < c.took || took > c.took+5*time.Second {
					t.Errorf("took %s, want about %s", took, c.took)
				}
				if len(l.asked) != want {
					t.Errorf("agents were asked %d times for %d pods", len(l.asked), want)
				}
			})
		})
	}
}

func TestGroupBySelector(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 3, "a", "b")
		l.pods("api", 2, "a", "b")
		k, stop := l.start()
		defer stop()
		op := wait(t, k, ask(t, k, gopprof.Manual{Selector: "app=api"}).ID)
		pods := map[string]bool{}
		for _, oc := range op.Captures {
			pods[oc.Target.Pod] = oc.State == gopprof.CaptureStored
		}
		if !maps.Equal(pods, map[string]bool{"api-0": true, "api-1": true}) {
			t.Errorf("%v", pods)
		}
	})
}

// Whatever an agent does, its capture ends with a reason within seconds, and the others'
// are stored.
func TestEveryWayToFail(t *testing.T) {
	for name, c := range map[string]struct {
		agent  func(*agent)
		after  func(*agent) // five seconds later
		want   gopprof.Reason
		within time.Duration
	}{
		"no agent":            {func(a *agent) { a.dead = true }, nil, gopprof.ReasonNoAnswer, 2 * time.Second},
		"no answer":           {func(a *agent) { a.silent = true }, nil, gopprof.ReasonNoAnswer, 5 * time.Second},
		"refused":             {func(a *agent) { a.refuse = gopprof.ReasonGone }, nil, gopprof.ReasonGone, 2 * time.Second},
		"a word that is none": {func(a *agent) { a.refuse = "<script>" }, nil, gopprof.ReasonNoAnswer, 2 * time.Second},
		"loses it":            {func(a *agent) { a.lose = true }, nil, gopprof.ReasonNoAnswer, 3 * time.Minute},
		"says it goes on":     {func(a *agent) { a.lose, a.lies = true, 80_000 }, nil, gopprof.ReasonNoAnswer, 5 * time.Minute},
		"the node goes":       {func(*agent) {}, func(a *agent) { a.dead = true }, gopprof.ReasonNoAnswer, 30 * time.Second},
		"falls silent":        {func(*agent) {}, func(a *agent) { a.silent, a.lose = true, true }, gopprof.ReasonNoAnswer, 35 * time.Second},
		"is restarted":        {func(*agent) {}, func(a *agent) { clear(a.running); a.lose = true }, gopprof.ReasonNoAnswer, 10 * time.Second},
		"busy for a moment":   {func(a *agent) { a.refuse = gopprof.ReasonNodeBusy }, func(a *agent) { a.refuse = "" }, "stored", time.Minute},
		"busy for ever":       {func(a *agent) { a.refuse = gopprof.ReasonCapturing }, nil, gopprof.ReasonCapturing, 70 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				l.pods("web", 4, "a", "b")
				l.change("b", c.agent)
				k, stop := l.start()
				defer stop()
				time.Sleep(2 * l.cfg.GoneAfter) // just after its start it waits for agents that come back
				id := ask(t, k, gopprof.Manual{Workload: deployment("web"), CPUSeconds: 50, Kinds: []gopprof.Kind{gopprof.KindCPU}, MaxPods: 2}).ID
				began := time.Now()
				if c.after != nil {
					time.Sleep(5 * time.Second)
					l.change("b", c.after)
				}
				var took time.Duration
				var end gopprof.Operation
				if err := k.Follow(t.Context(), id, func(op gopprof.Operation) bool {
					end = op
					for _, oc := range op.Captures {
						if oc.Target.Node == "b" && oc.Ended() && took == 0 {
							took = time.Since(began)
						}
					}
					return true
				}); err != nil {
					t.Fatal(err)
				}
				want := map[string]int{"stored": 1, string(c.want): 1}
				if c.want == "stored" {
					want = map[string]int{"stored": 2}
				}
				if got := states(end); !maps.Equal(got, want) {
					t.Errorf("%v, want %v: %+v", got, want, end.Captures)
				}
				if took > c.within {
					t.Errorf("known after %s, want within %s", took, c.within)
				}
			})
		})
	}
}

// Cancelling ends what waits at once and what runs as soon as its agent says so.
func TestCancelOfAGroup(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 6, "a", "b")
		k, stop := l.start()
		defer stop()
		id := ask(t, k, gopprof.Manual{Workload: deployment("web"), AtOnce: 2}).ID
		synctest.Wait()
		began := time.Now()
		op, err := k.Cancel(t.Context(), id)
		if err != nil || states(op)["cancelled"] != 6 || op.Cancelled.IsZero() {
			t.Errorf("%v %v", states(op), err)
		}
		synctest.Wait()
		if l.at["all"] != 0 || time.Since(began) > time.Second {
			t.Errorf("%d captures run %s after", l.at["all"], time.Since(began))
		}
		time.Sleep(time.Minute)
		if len(l.asked) != 2 {
			t.Errorf("%d agents were asked, 2 before it was cancelled", len(l.asked))
		}
		if again, err := k.Cancel(t.Context(), id); err != nil || states(again)["cancelled"] != 6 {
			t.Errorf("again: %v %v", states(again), err)
		}
	})
}

// An agent that cannot be reached is told to stop when it can.
func TestCancelIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 1, "a")
		k, stop := l.start()
		defer stop()
		id := ask(t, k, gopprof.Manual{Pod: "web-0", CPUSeconds: 60}).ID
		synctest.Wait()
		l.change("a", func(a *agent) { a.silent = true })
		op, err := k.Cancel(t.Context(), id)
		if err != nil || op.Captures[0].State != gopprof.CaptureProfiling {
			t.Errorf("while it is silent: %+v, %v", op, err)
		}
		l.change("a", func(a *agent) { a.silent = false })
		if op = wait(t, k, id); states(op)["cancelled"] != 1 || time.Since(op.At) > 20*time.Second {
			t.Errorf("%v after %s", states(op), time.Since(op.At))
		}
	})
}

// An aggregator that is killed is replaced by another, which goes on where it was: no
// capture is lost, none is taken twice.
func TestRestart(t *testing.T) {
	for name, stopped := range map[string]time.Duration{"at once": 0, "while they run": 5 * time.Second, "between two": 31 * time.Second} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				l.pods("web", 6, "a", "b", "c")
				k, stop := l.start()
				id := ask(t, k, gopprof.Manual{Workload: deployment("web"), CPUSeconds: 30, Kinds: []gopprof.Kind{gopprof.KindCPU}}).ID
				time.Sleep(stopped)
				stop()
				time.Sleep(10 * time.Second)
				k, stop = l.start()
				defer stop()
				if op := wait(t, k, id); states(op)["stored"] != 6 {
					t.Errorf("%v", states(op))
				}
				for pod, n := range podsOf(l.asked) {
					if l.peak["pod "+pod] != 1 || n > 2 {
						t.Errorf("pod %s was asked for %d times", pod, n)
					}
				}
			})
		})
	}
}

func podsOf(asked []gopprof.CaptureRequest) map[string]int {
	n := map[string]int{}
	for _, r := range asked {
		n[r.Pod]++
	}
	return n
}

// Agents come back a while after the aggregator and its NATS: what waits is not called
// failed because of that, and what runs is found again.
func TestRestartWithAgentsThatComeLater(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 6, "a", "b", "c")
		k, stop := l.start()
		id := ask(t, k, gopprof.Manual{Workload: deployment("web"), CPUSeconds: 60, Kinds: []gopprof.Kind{gopprof.KindCPU}}).ID
		time.Sleep(time.Second)
		stop()
		away := func(dead bool) {
			for _, node := range []string{"a", "b", "c"} {
				l.mu.Lock()
				l.agents[node].dead = dead
				l.mu.Unlock()
			}
		}
		away(true)
		time.Sleep(30 * time.Second)
		k, stop = l.start()
		defer stop()
		time.Sleep(10 * time.Second) // the longest that an agent waits before it tries again
		away(false)
		if op := wait(t, k, id); states(op)["stored"] != 6 {
			t.Errorf("%v: %+v", states(op), op.Captures)
		}
	})
}

// Two replicas: one drives, the other takes over when it is gone, whether it said so or not.
func TestReplicas(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 4, "a", "b")
		first, stopFirst := l.start()
		synctest.Wait()
		second, stopSecond := l.start()
		defer stopSecond()
		time.Sleep(time.Minute)
		if !first.leads.Load() || second.leads.Load() {
			t.Fatalf("drivers: %v %v", first.leads.Load(), second.leads.Load())
		}
		if op := wait(t, second, ask(t, second, gopprof.Manual{Pod: "web-0"}).ID); states(op)["stored"] != 1 {
			t.Errorf("asked of the other replica: %v", states(op))
		}
		stopFirst()
		time.Sleep(2 * leaseRenew)
		if !second.leads.Load() {
			t.Error("nobody drives after the first went")
		}
		value, revision, err := l.kv.Get(t.Context(), leaseKey)
		if err != nil || string(value) != second.lease.holder {
			t.Fatalf("lease of %q, %v", value, err)
		}
		if _, err := l.kv.Update(t.Context(), leaseKey, []byte("one that was killed"), revision); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * leaseRenew)
		if second.leads.Load() {
			t.Error("two drivers")
		}
		time.Sleep(leaseTime + leaseRenew)
		if !second.leads.Load() {
			t.Error("nobody drives after the lease is over")
		}
	})
}

// Agents that are away are waited for a moment after an unsteady time, and not for an hour
// more where the clock was set back meanwhile.
func TestSteadyThoughTheClockIsSetBack(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	k := New(DefaultConfig(), Deps{Now: func() time.Time { return now }}, nop(), registry())
	k.waver()
	if k.steady() {
		t.Error("steady at once")
	}
	now = now.Add(-time.Hour)
	if !k.steady() {
		t.Error("unsteady, by a clock that was set back")
	}
}

// While the records cannot be reached nothing is lost, and it goes on afterwards.
func TestRecordsAway(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 3, "a", "b")
		k, stop := l.start()
		defer stop()
		id := ask(t, k, gopprof.Manual{Workload: deployment("web"), CPUSeconds: 10}).ID
		synctest.Wait()
		l.kv.Break(errors.New("away"))
		time.Sleep(25 * time.Second)
		if _, err := k.Capture(t.Context(), gopprof.Manual{Namespace: "shop", Pod: "web-0"}); err == nil {
			t.Error("taken in, though it cannot be written down")
		}
		l.kv.Break(nil)
		if op := wait(t, k, id); states(op)["stored"] != 3 {
			t.Errorf("%v", states(op))
		}
	})
}

// A record that nobody can read keeps no capture from being closed: it came again and again
// until the record was forgotten.
func TestUnreadableRecord(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 1, "a")
		k, stop := l.start()
		defer stop()
		op := ask(t, k, gopprof.Manual{Pod: "web-0"})
		another := strings.Replace(fuzzID, "0", "1", 1)
		for _, value := range []string{"{", `{"captures":"none"}`, `{"id":"` + another + `"}`} {
			_, revision, err := l.kv.Get(t.Context(), op.ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.kv.Update(t.Context(), op.ID, []byte(value), revision); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if _, err := k.Operation(t.Context(), op.ID); gopprof.ReasonOf(err) != gopprof.ReasonUnknown {
				t.Errorf("%s: %v", value, err)
			}
			c := captureOf("a", gopprof.CaptureRequest{Capture: op.Captures[0].Capture, Request: gopprof.Request{Operation: op.ID}})
			for name, err := range map[string]error{
				"stored": k.Stored(t.Context(), gopprof.Report{ID: c.ID, Capture: c}),
				"failed": k.Failed(t.Context(), c), "given up": k.GivenUp(t.Context(), c, gopprof.ReasonInternal, ""),
			} {
				if err != nil {
					t.Errorf("%s, %s: %v", value, name, err)
				}
			}
			if _, err := k.Cancel(t.Context(), op.ID); gopprof.ReasonOf(err) != gopprof.ReasonUnknown {
				t.Errorf("%s, cancelled: %v", value, err)
			}
		}
	})
}

// Without room for its record a request is refused by that name, and counted so.
func TestRecordsFull(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 1, "a")
		k, stop := l.start()
		defer stop()
		counted := func(reason gopprof.Reason) float64 {
			return testutil.ToFloat64(k.metrics.requests.WithLabelValues(string(reason)))
		}
		l.kv.Fill(true)
		for _, key := range []string{"", "k"} {
			if _, err := k.Capture(t.Context(), gopprof.Manual{Namespace: "shop", Pod: "web-0", Key: key}); gopprof.ReasonOf(err) != gopprof.ReasonNATSFull {
				t.Errorf("key %q: %v", key, err)
			}
		}
		l.kv.Fill(false)
		l.kv.Break(errors.New("of no name"))
		if _, err := k.Capture(t.Context(), gopprof.Manual{Namespace: "shop", Pod: "web-0"}); err == nil {
			t.Error("taken in, though it cannot be written down")
		}
		l.kv.Break(nil)
		if full, other, taken := counted(gopprof.ReasonNATSFull), counted(gopprof.ReasonInternal), counted(""); full != 2 || other != 1 || taken != 0 {
			t.Errorf("counted %g as full, %g as internal and %g as taken in", full, other, taken)
		}
	})
}

// What never has its turn ends as expired.
func TestNoTurn(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.cfg.QueueTime, l.cfg.StartWithin = 2*time.Minute, 10*time.Minute
		l.pods("web", 1, "a")
		l.change("a", func(a *agent) { a.refuse = gopprof.ReasonCapturing })
		k, stop := l.start()
		defer stop()
		op := wait(t, k, ask(t, k, gopprof.Manual{Pod: "web-0"}).ID)
		if states(op)["expired"] != 1 || time.Since(op.At) > 2*time.Minute+5*time.Second {
			t.Errorf("%v after %s", states(op), time.Since(op.At))
		}
	})
}

// set gives a lab's aggregators a wall clock that can be set.
func (l *lab) set() (by func(time.Duration)) {
	var off atomic.Int64
	l.now = func() time.Time { return time.Now().Round(0).Add(time.Duration(off.Load())) }
	return func(d time.Duration) { off.Add(int64(d)) }
}

// Captures that wait for their turn, run, or are on their way do not end because the clock is
// set by an hour.
func TestCapturesThoughTheClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		bubble(t, func(t *testing.T, l *lab) {
			l.cfg.AtOnce = 1
			l.pods("web", 4, "a", "b")
			set := l.set()
			k, stop := l.start()
			defer stop()
			first := ask(t, k, gopprof.Manual{Workload: deployment("web"), CPUSeconds: 20}).ID
			second := ask(t, k, gopprof.Manual{Pod: "web-0", CPUSeconds: 20}).ID
			for _, d := range []time.Duration{by, -by, by} {
				time.Sleep(30 * time.Second)
				set(d)
			}
			for _, id := range []string{first, second} {
				if op := wait(t, k, id); len(op.Captures) != states(op)["stored"] {
					t.Errorf("set by %s: %v", by, states(op))
				}
			}
		})
	}
}

// What has no turn ends in its time all the same, whenever the clock was set forward.
func TestNoTurnThoughTheClockIsSet(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.cfg.QueueTime, l.cfg.StartWithin = 2*time.Minute, 24*time.Hour
		l.pods("web", 1, "a")
		l.change("a", func(a *agent) { a.refuse = gopprof.ReasonCapturing })
		set := l.set()
		k, stop := l.start()
		defer stop()
		for range 2 {
			asked := time.Now()
			id := ask(t, k, gopprof.Manual{Pod: "web-0"}).ID
			time.Sleep(time.Minute)
			set(time.Hour)
			time.Sleep(30 * time.Second)
			if op, err := k.Operation(t.Context(), id); err != nil || op.Ended() {
				t.Fatalf("ended before its time: %v, %v", states(op), err)
			}
			op := wait(t, k, id)
			if after := time.Since(asked); states(op)["expired"] != 1 || after < 2*time.Minute || after > 2*time.Minute+5*time.Second {
				t.Errorf("%v after %s", states(op), after)
			}
		}
	})
}

// Two hundred operations over twenty agents, some of them dead, slow or lying, and an
// aggregator that is killed in the middle: none is stuck, none is lost.
func TestManyOperations(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		var nodes []string
		for i := range 20 {
			nodes = append(nodes, string(rune('a'+i)))
		}
		l.pods("web", 100, nodes...)
		l.change("a", func(a *agent) { a.dead = true })
		l.change("b", func(a *agent) { a.silent = true })
		l.change("c", func(a *agent) { a.refuse = "lies" })
		l.change("d", func(a *agent) { a.lose = true })
		k, stop := l.start()
		var ids []string
		for i := range 200 {
			op := ask(t, k, gopprof.Manual{Pod: "web-" + string(rune('0'+i%10)), CPUSeconds: 5, Kinds: []gopprof.Kind{gopprof.KindCPU}})
			ids = append(ids, op.ID)
		}
		time.Sleep(20 * time.Second)
		stop()
		k, stop = l.start()
		defer stop()
		total := map[string]int{}
		for _, id := range ids {
			for state, n := range states(wait(t, k, id)) {
				total[state] += n
			}
		}
		// web-0 … web-3 are on the four bad nodes.
		if total["stored"] != 120 || total["no_answer"] != 80 {
			t.Errorf("%v", total)
		}
		if l.peak["all"] > l.cfg.AtOnce || l.peak["node e"] > l.cfg.PerNodeAtOnce {
			t.Errorf("at the same time: %d in all, %d on a node", l.peak["all"], l.peak["node e"])
		}
		time.Sleep(2 * askEvery) // what is overdue is written down
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.unfinished() != 0 || len(k.live) > 0 {
			t.Errorf("%d unfinished in %d operations", k.unfinished(), len(k.live))
		}
	})
}

// An aggregator that ends while it asks an agent writes down what the agent says: the next one
// would take it for waiting, and begin others beside it.
func TestEndWhileAnAgentIsAsked(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.cfg.AtOnce = 1
		l.pods("web", 2, "a", "b")
		l.change("a", func(a *agent) { a.refuse = gopprof.ReasonCapturing })
		l.change("b", func(a *agent) { a.late = true })
		k, stop := l.start()
		first := ask(t, k, gopprof.Manual{Pod: "web-0", CPUSeconds: 5})
		time.Sleep(time.Second / 2)
		second := ask(t, k, gopprof.Manual{Pod: "web-1", CPUSeconds: 5})
		time.Sleep(time.Second / 2) // it runs, and its agent has not said so yet
		l.change("a", func(a *agent) { a.refuse = "" })
		stop()
		k, stop = l.start()
		defer stop()
		for _, id := range []string{first.ID, second.ID} {
			if op := wait(t, k, id); states(op)["stored"] != 1 {
				t.Errorf("%v", states(op))
			}
		}
		if n := l.peak["all"]; n != 1 {
			t.Errorf("%d at the same time, want 1", n)
		}
	})
}

// Followers see an operation's states in their order, and their own end.
func TestFollow(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 1, "a")
		k, stop := l.start()
		defer stop()
		id := ask(t, k, gopprof.Manual{Pod: "web-0", CPUSeconds: 7, Kinds: []gopprof.Kind{gopprof.KindCPU}}).ID
		var seen []gopprof.CaptureState
		var left []float64
		if err := k.Follow(t.Context(), id, func(op gopprof.Operation) bool {
			oc := op.Captures[0]
			seen = append(seen, oc.State)
			if oc.SecondsLeft > 0 {
				left = append(left, oc.SecondsLeft)
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
		got := slices.Compact(seen)
		if got[0] == gopprof.CaptureWaiting { // the driver may be faster
			got = got[1:]
		}
		if !slices.Equal(got, []gopprof.CaptureState{gopprof.CaptureProfiling, gopprof.CaptureStored}) {
			t.Errorf("states %v", got)
		}
		if len(left) < 4 || !slices.IsSortedFunc(left, func(a, b float64) int { return int(b*1000) - int(a*1000) }) {
			t.Errorf("time left: %v", left)
		}
		l.change("a", func(a *agent) { a.refuse = gopprof.ReasonCapturing })
		times := 0
		if err := k.Follow(t.Context(), ask(t, k, gopprof.Manual{Pod: "web-0"}).ID, func(gopprof.Operation) bool { times++; return true }); err != nil {
			t.Fatal(err)
		}
		if times < 4 || times > 8 {
			t.Errorf("shown %d times in a minute in which it waited", times)
		}
		l.change("a", func(a *agent) { a.refuse = "" })
		ctx, cancel := context.WithCancel(t.Context())
		other := ask(t, k, gopprof.Manual{Pod: "web-0"}).ID
		go func() { time.Sleep(time.Second); cancel() }()
		if err := k.Follow(ctx, other, func(gopprof.Operation) bool { return true }); err != nil {
			t.Errorf("when the caller leaves: %v", err)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if len(k.followers) != 0 {
			t.Errorf("%d followers are remembered", len(k.followers))
		}
	})
}

// What has ended is forgotten when the bucket has forgotten it, which nobody is told of.
func TestWhatTheBucketForgotIsForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 2, "a")
		k, stop := l.start()
		first := ask(t, k, gopprof.Manual{Pod: "web-0"})
		wait(t, k, first.ID)
		time.Sleep(time.Hour)
		second := ask(t, k, gopprof.Manual{Pod: "web-1"})
		wait(t, k, second.ID)
		stop()
		for _, x := range []struct {
			after time.Duration
			want  int
		}{{bus.OperationsKept - time.Second, 2}, {bus.OperationsKept + time.Second, 1}, {bus.OperationsKept + 2*time.Hour, 0}} {
			k.prune(first.At.Add(x.after))
			if listed, sized := len(k.Operations()), len(k.sizes); listed != x.want || sized != x.want {
				t.Errorf("after %s: %d listed, the room of %d counted, want %d", x.after, listed, sized, x.want)
			}
		}
	})
}

// What has not ended is not forgotten, however old it is.
func TestWhatHasNotEndedIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 1, "a")
		k := New(l.cfg, Deps{Records: l.kv, Keys: l.kv, Control: l.kv, Agents: l, Nodes: l, Selector: selector}, nop(), registry())
		op := ask(t, k, gopprof.Manual{Pod: "web-0"})
		k.prune(op.At.Add(2 * bus.OperationsKept))
		if len(k.Operations()) != 1 || len(k.sizes) != 1 || len(k.live) != 1 {
			t.Errorf("%d listed, the room of %d counted, %d live", len(k.Operations()), len(k.sizes), len(k.live))
		}
	})
}
