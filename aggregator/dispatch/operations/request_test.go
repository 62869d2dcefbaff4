package operations

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopprof/gopprof/pkg/bus/buckettest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// town is a lab with one of everything that can be meant.
func town(l *lab) {
	l.pods("web", 12, "a", "b", "c")
	l.mu.Lock()
	defer l.mu.Unlock()
	two := target("a", "two-0", "two")
	two.Container = "left"
	l.add("a", two)
	two.Container = "right"
	l.add("a", two)
	gone := target("b", "gone-0", "gone")
	l.add("b", gone)
	l.nodes[1].Targets[len(l.nodes[1].Targets)-1].Gone = true
	set := target("c", "set-0", "web")
	set.Workload.Kind = "StatefulSet"
	l.add("c", set)
	l.nodes[0].Refused = []gopprof.Refusal{
		{Target: target("a", "dying-0", "dying"), Reason: gopprof.ReasonTerminating, Detail: "being deleted"},
		{Target: target("a", "web-99", "web"), Reason: gopprof.ReasonNotStarted, Detail: "not yet"},
		{Target: target("a", "odd-0", "odd"), Reason: "<script>"},
	}
	other := target("d", "twin-0", "twin")
	l.add("d", other)
	twin := other
	twin.Cluster, twin.Node = "other", "e"
	l.add("e", twin)
}

func TestWhoIsMeant(t *testing.T) {
	web := deployment("web")
	for name, c := range map[string]struct {
		ask    gopprof.Manual
		want   int // captures
		reason gopprof.Reason
		detail string
	}{
		"a pod":                      {gopprof.Manual{Pod: "web-1"}, 1, "", ""},
		"unknown pod":                {gopprof.Manual{Pod: "web-77"}, 0, gopprof.ReasonUnknown, "web-77"},
		"another namespace":          {gopprof.Manual{Namespace: "bank", Pod: "web-1"}, 0, gopprof.ReasonUnknown, "bank"},
		"unknown container":          {gopprof.Manual{Pod: "two-0", Container: "middle"}, 0, gopprof.ReasonUnknown, "two-0/middle"},
		"several containers":         {gopprof.Manual{Pod: "two-0"}, 0, gopprof.ReasonBadInput, "left, right"},
		"the container named":        {gopprof.Manual{Pod: "two-0", Container: "right"}, 1, "", ""},
		"vanished":                   {gopprof.Manual{Pod: "gone-0"}, 0, gopprof.ReasonUnknown, "gone-0"},
		"may not be profiled":        {gopprof.Manual{Pod: "dying-0"}, 0, gopprof.ReasonTerminating, "being deleted"},
		"refused by a foreign word":  {gopprof.Manual{Pod: "odd-0"}, 0, gopprof.ReasonUnknown, "script"},
		"in two clusters":            {gopprof.Manual{Pod: "twin-0"}, 0, gopprof.ReasonBadInput, "c, other"},
		"in the cluster named":       {gopprof.Manual{Pod: "twin-0", Cluster: "other"}, 1, "", ""},
		"nobody":                     {gopprof.Manual{}, 0, gopprof.ReasonBadInput, "whose"},
		"no namespace":               {gopprof.Manual{Namespace: "-", Pod: "web-1"}, 0, gopprof.ReasonBadInput, "namespace"},
		"pod and workload":           {gopprof.Manual{Pod: "web-1", Workload: web}, 0, gopprof.ReasonBadInput, "one of them"},
		"workload without kind":      {gopprof.Manual{Workload: gopprof.Workload{Name: "web"}}, 0, gopprof.ReasonBadInput, "kind"},
		"no such kind":               {gopprof.Manual{Pod: "web-1", Kinds: []gopprof.Kind{"cmdline"}}, 0, gopprof.ReasonBadInput, "cmdline"},
		"longer than allowed":        {gopprof.Manual{Pod: "web-1", CPUSeconds: 61}, 0, gopprof.ReasonBadInput, "60"},
		"less than no time":          {gopprof.Manual{Pod: "web-1", CPUSeconds: -1}, 0, gopprof.ReasonBadInput, "-1"},
		"a trace":                    {gopprof.Manual{Pod: "web-1", Kinds: []gopprof.Kind{"trace"}, CPUSeconds: 5}, 1, "", ""},
		"a pod is no group":          {gopprof.Manual{Pod: "web-1", Merge: true}, 0, gopprof.ReasonBadInput, "groups"},
		"a large group":              {gopprof.Manual{Workload: web}, 0, gopprof.ReasonBadInput, "expect=12"},
		"as large as expected":       {gopprof.Manual{Workload: web, Expect: 12}, 13, "", ""}, // and the one that is refused
		"larger than expected":       {gopprof.Manual{Workload: web, Expect: 11}, 0, gopprof.ReasonBadInput, "not the 11"},
		"a few of a large group":     {gopprof.Manual{Workload: web, MaxPods: 4}, 4, "", ""},
		"whatever the kind's case":   {gopprof.Manual{Workload: gopprof.Workload{Kind: "deployment", Name: "web"}, MaxPods: 1}, 1, "", ""},
		"another kind of that name":  {gopprof.Manual{Workload: gopprof.Workload{Kind: "StatefulSet", Name: "web"}}, 1, "", ""},
		"unknown workload":           {gopprof.Manual{Workload: deployment("wep")}, 0, gopprof.ReasonUnknown, "Deployment/wep"},
		"all of it refused":          {gopprof.Manual{Workload: deployment("dying")}, 0, gopprof.ReasonTerminating, "deleted"},
		"by labels":                  {gopprof.Manual{Selector: "app=web", Expect: 13}, 13, "", ""}, // of both kinds
		"no such labels":             {gopprof.Manual{Selector: "app=wep"}, 0, gopprof.ReasonUnknown, "app=wep"},
		"no selector":                {gopprof.Manual{Selector: "?"}, 0, gopprof.ReasonBadInput, "selector"},
		"ambiguous in a group":       {gopprof.Manual{Workload: deployment("two")}, 0, gopprof.ReasonBadInput, "left, right"},
		"a group's container":        {gopprof.Manual{Workload: deployment("two"), Container: "left"}, 1, "", ""},
		"all at once by labels":      {gopprof.Manual{Selector: "app=web", Expect: 13, AllAtOnce: true}, 0, gopprof.ReasonBadInput, "name"},
		"too many at once":           {gopprof.Manual{Workload: web, MaxPods: 5, AtOnce: 11}, 0, gopprof.ReasonBadInput, "from 1 to 10"},
		"more pods than are allowed": {gopprof.Manual{Workload: web, MaxPods: 101}, 0, gopprof.ReasonBadInput, "100"},
		"traces as one":              {gopprof.Manual{Workload: web, MaxPods: 2, Merge: true, Kinds: []gopprof.Kind{"trace"}}, 0, gopprof.ReasonBadInput, "merged"},
		"a long key":                 {gopprof.Manual{Pod: "web-1", Key: strings.Repeat("k", 256)}, 0, gopprof.ReasonBadInput, "255"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				town(l)
				k := New(l.cfg, Deps{Records: l.kv, Keys: l.kv, Control: l.kv, Agents: l, Nodes: l, Selector: selector}, nop(), registry())
				if c.ask.Namespace = strings.Trim(c.ask.Namespace+"shop", "-"); name == "another namespace" {
					c.ask.Namespace = "bank"
				}
				if name == "no namespace" {
					c.ask.Namespace = ""
				}
				op, err := k.Capture(t.Context(), c.ask)
				if gopprof.ReasonOf(err) != c.reason || (err != nil && !strings.Contains(err.Error(), c.detail)) {
					t.Errorf("%v, want %q with %q", err, c.reason, c.detail)
				}
				if len(op.Captures) != c.want {
					t.Errorf("%d captures, want %d", len(op.Captures), c.want)
				}
				if (err != nil) != (l.kv.Keys("") == 0) {
					t.Errorf("%d records, %v", l.kv.Keys(""), err)
				}
			})
		})
	}
}

// The first few of a group are on as many nodes as there are.
func TestSpread(t *testing.T) {
	var all []gopprof.Target
	for _, at := range []string{"a1", "a2", "a3", "b4", "b5", "c6"} {
		all = append(all, target(at[:1], "web-"+at[1:], "web"))
	}
	var nodes string
	for _, x := range spread(all) {
		nodes += x.Node
	}
	if nodes != "abcaba" {
		t.Errorf("nodes in the order %s", nodes)
	}
}

// Pods whose agents call them by names that fill a record are refused by a name of ours, not by
// NATS, and leave nothing behind.
func TestPodsWithLongNames(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.most = 1 << 20
		l.pods("web", 100, "a", "b")
		for _, n := range l.nodes {
			for i := range n.Targets {
				n.Targets[i].Target.Image, n.Targets[i].Target.Owner = strings.Repeat("<", 1024), strings.Repeat("<", 400) // six bytes each in JSON
			}
		}
		k, stop := l.start()
		defer stop()
		before := l.kv.Keys("key-")
		m := gopprof.Manual{Namespace: "shop", Workload: deployment("web"), Expect: 100, Key: "k"}
		if _, err := k.Capture(t.Context(), m); gopprof.ReasonOf(err) != gopprof.ReasonBadInput || !strings.Contains(err.Error(), "maxPods") {
			t.Errorf("%v", err)
		}
		if n := l.kv.Keys("key-") - before; n != 0 {
			t.Errorf("%d keys", n)
		}
		m.Expect, m.MaxPods = 0, 10
		if _, err := k.Capture(t.Context(), m); err != nil {
			t.Errorf("ten of them: %v", err)
		}
	})
}

// What agents say beside their refusals does not keep an operation from its end, however much
// it is: without it the end is written.
func TestRefusalsWithManyWords(t *testing.T) {
	kv := narrow{buckettest.NewKV(), 1 << 20}
	k := New(DefaultConfig(), Deps{Records: kv}, nop(), registry())
	op := gopprof.Operation{ID: k.deps.NewID()}
	for i := range 500 {
		op.Captures = append(op.Captures, gopprof.OperationCapture{Capture: k.deps.NewID(), Target: target("a", fmt.Sprintf("web-%d", i), "web"), State: gopprof.CaptureWaiting})
	}
	if _, _, err := k.create(t.Context(), op); err != nil {
		t.Fatal(err)
	}
	words := strings.Repeat("<", 500) // of six bytes each in JSON
	if _, err := k.change(t.Context(), op.ID, func(op *gopprof.Operation) bool {
		for i, oc := range op.Captures {
			op.Captures[i], _ = advance(oc, failed(gopprof.ReasonForbidden, words))
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if op, err := k.Operation(t.Context(), op.ID); err != nil || states(op)["forbidden"] != 500 {
		t.Errorf("%v, %v", states(op), err)
	}
}

// A pod that was recreated on another node is asked for there.
func TestPodThatMoved(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("db", 1, "a")
		time.Sleep(time.Second)
		l.pods("db", 1, "b")
		k, stop := l.start()
		defer stop()
		if op := wait(t, k, ask(t, k, gopprof.Manual{Pod: "db-0"}).ID); op.Captures[0].Target.Node != "b" {
			t.Errorf("asked on %s", op.Captures[0].Target.Node)
		}
	})
}

func TestKindsOnce(t *testing.T) {
	m, err := DefaultConfig().complete(gopprof.Manual{Namespace: "shop", Pod: "web-1", Kinds: []gopprof.Kind{"heap", "profile", "cpu", "heap"}})
	if err != nil || !slices.Equal(m.Kinds, []gopprof.Kind{"heap", "cpu"}) || m.CPUSeconds != 30 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.cfg.QueueMax = 5
		l.pods("web", 6, "a", "b", "c")
		k, stop := l.start()
		defer stop()
		first := ask(t, k, gopprof.Manual{Workload: deployment("web"), MaxPods: 4})
		_, err := k.Capture(t.Context(), gopprof.Manual{Namespace: "shop", Workload: deployment("web"), MaxPods: 2})
		if gopprof.ReasonOf(err) != gopprof.ReasonBudget || !strings.Contains(err.Error(), "4 captures wait") {
			t.Errorf("%v", err)
		}
		if _, err := k.Capture(t.Context(), gopprof.Manual{Namespace: "shop", Workload: deployment("web"), MaxPods: 2, Key: "k"}); gopprof.ReasonOf(err) != gopprof.ReasonBudget || l.kv.Keys("key-") != 0 {
			t.Errorf("with a key: %v, %d keys are kept", err, l.kv.Keys("key-"))
		}
		ask(t, k, gopprof.Manual{Pod: "web-0"})
		wait(t, k, first.ID)
		ask(t, k, gopprof.Manual{Workload: deployment("web"), MaxPods: 4})
	})
}

// The same request under the same key is one operation, whoever asks how often, also after
// a refusal and a restart; another request, or another caller's, is not.
func TestIdempotencyKey(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		k, stop := l.start()
		m := gopprof.Manual{Who: "ada", Namespace: "shop", Pod: "web-0", Key: "k1"}
		if _, err := k.Capture(t.Context(), m); gopprof.ReasonOf(err) != gopprof.ReasonUnknown {
			t.Errorf("before the pod is there: %v", err)
		}
		l.pods("web", 2, "a")
		var mu sync.Mutex
		ids := map[string]bool{}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				op, err := k.Capture(t.Context(), m)
				mu.Lock()
				defer mu.Unlock()
				if ids[op.ID] = true; err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		stop()
		k, stop = l.start()
		defer stop()
		op, err := k.Capture(t.Context(), m)
		if err != nil || !ids[op.ID] || len(ids) != 1 {
			t.Errorf("%v, then %s, %v", ids, op.ID, err)
		}
		other := m
		other.CPUSeconds = 7
		if _, err := k.Capture(t.Context(), other); gopprof.ReasonOf(err) != gopprof.ReasonBadInput {
			t.Errorf("another request: %v", err)
		}
		other = m
		other.Who = "eve"
		if op, err := k.Capture(t.Context(), other); err != nil || ids[op.ID] {
			t.Errorf("another caller: %v, %v", op.ID, err)
		}
		wait(t, k, op.ID)
		if again, err := k.Capture(t.Context(), m); err != nil || again.Captures[0].State != gopprof.CaptureStored {
			t.Errorf("at its end: %+v, %v", again, err)
		}
	})
}

// A pause ends what runs, lets nothing in and holds back what waits; every agent is told,
// those that come later too.
func TestPause(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 4, "a", "b")
		l.pods("api", 1, "late")
		k, stop := l.start()
		defer stop()
		op := ask(t, k, gopprof.Manual{Workload: deployment("web"), AtOnce: 1, CPUSeconds: 10})
		synctest.Wait()
		l.change("late", func(a *agent) { a.dead = true })
		s, err := k.SetPause(t.Context(), gopprof.Pause{Paused: true, Who: "ada", Why: "release"})
		if err != nil || s.Agents != 3 || s.Obeying != 2 || !s.Paused {
			t.Errorf("%+v, %v", s, err)
		}
		time.Sleep(time.Minute)
		if now, _ := k.Operation(t.Context(), op.ID); states(now)["waiting"] != 3 || l.at["all"] != 0 {
			t.Errorf("a minute later: %v, %d run", states(now), l.at["all"])
		}
		if _, err := k.Capture(t.Context(), gopprof.Manual{Namespace: "shop", Pod: "web-0"}); gopprof.ReasonOf(err) != gopprof.ReasonPaused || !strings.Contains(err.Error(), "release") {
			t.Errorf("meanwhile: %v", err)
		}
		if !k.Paused() {
			t.Error("not paused")
		}
		l.change("late", func(a *agent) { a.dead = false })
		l.heard("late")
		time.Sleep(2 * lookEvery)
		if s, _ := k.Pause(t.Context()); s.Obeying != 3 || !l.agents["late"].paused {
			t.Errorf("the one that was away: %+v", s)
		}
		if s, err := k.SetPause(t.Context(), gopprof.Pause{Who: "ada"}); err != nil || s.Obeying != 3 || s.Paused {
			t.Errorf("%+v, %v", s, err)
		}
		if op = wait(t, k, op.ID); states(op)["stored"] != 3 {
			t.Errorf("afterwards: %v", states(op))
		}
	})
}

// An agent that is told to pause later than to go on, by two who ask or by the driver that
// looked a moment before, does not stay paused.
func TestPauseOvertaken(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 1, "a")
		l.change("a", func(a *agent) { a.slow = true })
		k, stop := l.start()
		defer stop()
		var pausing sync.WaitGroup
		pausing.Go(func() {
			if s, err := k.SetPause(t.Context(), gopprof.Pause{Paused: true, Who: "ada"}); err != nil || s.Obeying != 0 {
				t.Errorf("%+v, %v", s, err)
			}
		})
		time.Sleep(500 * time.Millisecond)
		if s, err := k.SetPause(t.Context(), gopprof.Pause{Who: "bob"}); err != nil || s.Obeying != 1 {
			t.Errorf("%+v, %v", s, err)
		}
		pausing.Wait()
		time.Sleep(2 * lookEvery) // the driver told it, too
		if op := wait(t, k, ask(t, k, gopprof.Manual{Pod: "web-0"}).ID); states(op)["stored"] != 1 {
			t.Errorf("afterwards: %v", states(op))
		}
	})
}

// heard is a node's state that arrives now.
func (l *lab) heard(node string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.nodes {
		if l.nodes[i].Node == node {
			l.nodes[i].At, l.nodes[i].Paused = time.Now(), l.agents[node].paused
		}
	}
}

// A pause outlives the aggregator that it was told to.
func TestPauseAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 1, "a")
		k, stop := l.start()
		if _, err := k.SetPause(t.Context(), gopprof.Pause{Paused: true, Who: "ada"}); err != nil {
			t.Fatal(err)
		}
		stop()
		k, stop = l.start()
		defer stop()
		synctest.Wait()
		if !k.Paused() {
			t.Error("forgotten")
		}
		_, before, _ := l.kv.Get(t.Context(), pauseKey)
		time.Sleep(pauseKept + time.Minute)
		if _, after, err := l.kv.Get(t.Context(), pauseKey); err != nil || after == before {
			t.Error("not written again: the bucket forgets old keys")
		}
	})
}

// stored is the report of an operation's capture.
func stored(op gopprof.Operation) gopprof.Report {
	oc := op.Captures[0]
	return gopprof.Report{ID: oc.Capture, Capture: gopprof.Capture{ID: oc.Capture, Target: oc.Target,
		Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual, Request: &gopprof.Request{Who: op.Who, Operation: op.ID}}}}
}

// profiling is an operation whose capture runs, and whose end only the test knows.
func profiling(t *testing.T, l *lab) (*Keeper, gopprof.Operation) {
	l.pods("web", 1, "a")
	l.change("a", func(a *agent) { a.lose = true })
	k, stop := l.start()
	t.Cleanup(stop)
	op := ask(t, k, gopprof.Manual{Pod: "web-0", CPUSeconds: 10, Kinds: []gopprof.Kind{gopprof.KindCPU}})
	synctest.Wait()
	op, err := k.Operation(t.Context(), op.ID)
	if err != nil || op.Captures[0].State != gopprof.CaptureProfiling {
		t.Fatalf("%+v, %v", op, err)
	}
	return k, op
}

func TestForeignReportsCloseNothing(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		k, op := profiling(t, l)
		otherNode, otherCapture, noOperation, notAnID, byRule := stored(op), stored(op), stored(op), stored(op), stored(op)
		otherNode.Capture.Target.Node = "b"
		otherCapture.Capture.ID = op.ID
		noOperation.Capture.Trigger.Request = &gopprof.Request{Operation: op.Captures[0].Capture}
		notAnID.Capture.Trigger.Request = &gopprof.Request{Operation: "*"}
		byRule.Capture.Trigger.Request = nil
		for _, r := range []gopprof.Report{otherNode, otherCapture, noOperation, notAnID, byRule} {
			if err := k.Stored(t.Context(), r); err != nil {
				t.Error(err)
			}
		}
		if again, err := k.Operation(t.Context(), op.ID); err != nil || again.Captures[0].State != gopprof.CaptureProfiling {
			t.Errorf("%+v, %v", again, err)
		}
	})
}

// What never arrives is called failed, and stored when it arrives after all.
func TestCaptureThatNeverArrives(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		k, op := profiling(t, l)
		end := wait(t, k, op.ID)
		if oc := end.Captures[0]; oc.Reason != gopprof.ReasonNoAnswer || oc.Detail == "" {
			t.Errorf("%+v", oc)
		}
		for range 2 {
			if err := k.Stored(t.Context(), stored(op)); err != nil {
				t.Fatal(err)
			}
		}
		if after, _ := k.Operation(t.Context(), op.ID); after.Captures[0].State != gopprof.CaptureStored || after.Captures[0].Reason != "" {
			t.Errorf("it arrived after all: %+v", after.Captures[0])
		}
	})
}

// The agent accepted and could not take it, or it lies among the dead letters: the
// operation says why.
func TestCaptureThatCameToNothing(t *testing.T) {
	contended := []gopprof.Failure{{Kind: gopprof.KindCPU, Reason: gopprof.ReasonContended, Detail: "held by another"}}
	for name, c := range map[string]struct {
		failures []gopprof.Failure
		givenUp  bool
		want     gopprof.Reason
	}{
		"contended":        {contended, false, gopprof.ReasonContended},
		"without a reason": {nil, false, gopprof.ReasonInternal},
		"a foreign word":   {[]gopprof.Failure{{Kind: gopprof.KindCPU, Reason: "<script>"}}, false, gopprof.ReasonNoAnswer},
		"a dead letter":    {contended, true, gopprof.ReasonWorkerDied},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				k, op := profiling(t, l)
				attempt := stored(op).Capture
				attempt.Failures = c.failures
				var err error
				for range 2 {
					if c.givenUp {
						err = errors.Join(err, k.GivenUp(t.Context(), attempt, gopprof.ReasonWorkerDied, strings.Repeat("3 workers ", 1000)))
					} else {
						err = errors.Join(err, k.Failed(t.Context(), attempt))
					}
				}
				op, err2 := k.Operation(t.Context(), op.ID)
				if oc := op.Captures[0]; err != nil || err2 != nil || oc.State != gopprof.CaptureFailed || oc.Reason != c.want || len(oc.Detail) > 500 {
					t.Errorf("%+v, %v %v: want failed, %s", op, err, err2, c.want)
				}
			})
		})
	}
}

func TestUnknownOperation(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		k, stop := l.start()
		defer stop()
		for _, id := range []string{"019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071", "", pauseKey, leaseKey, "a.b"} {
			if _, err := k.Operation(t.Context(), id); gopprof.ReasonOf(err) != gopprof.ReasonUnknown {
				t.Errorf("operation %q: %v", id, err)
			}
			if _, err := k.Cancel(t.Context(), id); gopprof.ReasonOf(err) != gopprof.ReasonUnknown {
				t.Errorf("cancelling %q: %v", id, err)
			}
			if err := k.Follow(t.Context(), id, func(gopprof.Operation) bool { return true }); gopprof.ReasonOf(err) != gopprof.ReasonUnknown {
				t.Errorf("following %q: %v", id, err)
			}
		}
	})
}

// The newest operations are listed, newest first, from before a restart too.
func TestOperations(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 1, "a")
		k, stop := l.start()
		var ids []string
		for range 3 {
			ids = append(ids, ask(t, k, gopprof.Manual{Pod: "web-0", CPUSeconds: 1}).ID)
			time.Sleep(time.Minute)
		}
		stop()
		k, stop = l.start()
		defer stop()
		var listed []string
		for _, op := range k.Operations() {
			listed = append(listed, op.ID)
		}
		slices.Reverse(ids)
		if !slices.Equal(listed, ids) {
			t.Errorf("%v, want %v", listed, ids)
		}
	})
}

func TestConfig(t *testing.T) {
	mistakes := func(c Config) (keys []string) {
		c.Check(func(key, _ string) { keys = append(keys, key) })
		return keys
	}
	if got := mistakes(DefaultConfig()); got != nil {
		t.Errorf("the defaults are mistaken: %v", got)
	}
	c := DefaultConfig()
	c.QueueMax = c.MaxPods - 1
	if got := mistakes(c); !slices.Equal(got, []string{"queue_max"}) {
		t.Errorf("a queue smaller than a request: %v", got)
	}
	if got := mistakes(Config{}); len(got) != 16 {
		t.Errorf("an empty one: %d %v", len(got), got)
	}
}

// The switch is as it was written last, in whatever order that is heard.
func TestPauseInAnyOrder(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		k := New(l.cfg, Deps{Records: l.kv, Keys: l.kv, Control: l.kv, Agents: l, Nodes: l}, nop(), registry())
		k.notePause([]byte(`{"paused":true,"who":"ada"}`), 8)
		k.notePause([]byte(`{"paused":false,"who":"bob"}`), 7)
		if !k.Paused() {
			t.Error("what was written before counts")
		}
		k.notePause([]byte(`{"paused":false,"who":"bob"}`), 9)
		if k.Paused() {
			t.Error("what was written last does not count")
		}
		if _, err := k.SetPause(t.Context(), gopprof.Pause{Paused: true}); err != nil {
			t.Fatal(err)
		}
		again := New(l.cfg, Deps{Records: l.kv, Keys: l.kv, Control: l.kv, Agents: l, Nodes: l}, nop(), registry())
		if err := again.Load(t.Context()); err != nil || !again.Paused() {
			t.Errorf("after a restart, before anything is answered: %v, %v", again.Paused(), err)
		}
	})
}

// Pods of a node that has been silent are no replicas: they may be elsewhere by now.
func TestReplicasOfSilentNodes(t *testing.T) {
	now := time.Now()
	nodes := []gopprof.NodeState{{Node: "a", At: now, Targets: []gopprof.TargetState{{Target: target("a", "web-1", "web")}, {Target: target("a", "web-2", "web")}}},
		{Node: "b", At: now.Add(-2 * time.Minute), Targets: []gopprof.TargetState{{Target: target("b", "web-0", "web")}}}}
	if n := replicasOf(nodes, now.Add(-time.Minute))[workloadOf(target("", "", "web"))]; n != 2 {
		t.Errorf("%d replicas, want the 2 that are heard of", n)
	}
}

// The oldest ended operations give way; those that go on do not.
func TestRoom(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.room = 40_000
		l.pods("web", 2, "a", "b")
		k, stop := l.start()
		defer stop()
		going := ask(t, k, gopprof.Manual{Pod: "web-1", CPUSeconds: 60})
		var last string
		for range 100 {
			last = wait(t, k, ask(t, k, gopprof.Manual{Pod: "web-0", CPUSeconds: 0.1, Kinds: []gopprof.Kind{gopprof.KindHeap}}).ID).ID
		}
		time.Sleep(2 * lookEvery)
		k.mu.Lock()
		used := 0
		for _, s := range k.sizes {
			used += s.bytes
		}
		k.mu.Unlock()
		if used > 30_000 || used < 10_000 {
			t.Errorf("%d bytes are kept, of room for 40,000", used)
		}
		for _, id := range []string{going.ID, last} {
			if _, err := k.Operation(t.Context(), id); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		if n := len(k.Operations()); n < 10 || n > 60 {
			t.Errorf("%d operations are listed", n)
		}
	})
}

// A busy namespace does not hide the operations of others.
func TestOperationsOfManyNamespaces(t *testing.T) {
	k := New(DefaultConfig(), Deps{}, nop(), registry())
	for i := range 300 {
		op := gopprof.Operation{ID: k.deps.NewID(), At: time.Unix(int64(i), 0), Asked: gopprof.Manual{Namespace: "busy"}}
		if i == 0 {
			op.Asked.Namespace = "quiet"
		}
		k.note(op, uint64(i+1), 100)
	}
	list := k.Operations()
	if len(list) != maxOfNamespace+1 || list[len(list)-1].Asked.Namespace != "quiet" || !list[0].At.Equal(time.Unix(299, 0)) {
		t.Errorf("%d operations, the last of %q", len(list), list[len(list)-1].Asked.Namespace)
	}
}
