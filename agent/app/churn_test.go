package app

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

const many = 250 // pods of one node

// state is what the status port would say.
func (k *kernel) state() *state {
	return &state{
		discover: k, local: localWindows{k.seen}, gone: k.seen.Gone, judge: k.pipeline.judge,
		witness: &secondWitness{}, window: time.Minute, now: k.now, paused: func() bool { return false },
	}
}

// Pods that come, run hot, are captured and go, two hundred and fifty at a time: each is
// captured, whether it comes under a new name or under that of one before it, and at the
// end nothing of any is remembered.
func TestTargetsComeAndGo(t *testing.T) {
	for name, podOf := range map[string]func(generation, i int) string{
		"new names":  func(g, i int) string { return fmt.Sprintf("api-%d-%d", g, i) },
		"same names": func(_, i int) string { return fmt.Sprintf("api-%d", i) },
	} {
		t.Run(name, func(t *testing.T) {
			k := newKernel(t)
			const generations = 4
			for g := range generations {
				k.vanish()
				for i := range many {
					k.start(podOf(g, i), fmt.Sprintf("u%d-%d", g, i), 0.95)
				}
				for _, s := range k.state().Now().Targets { // before anybody looked at them
					if s.Gone || len(s.Local) > 0 || s.Rules[0].Reason != gopprof.ReasonNoReadings || s.Rules[0].LastCapture != "" || !s.Rules[0].Armed {
						t.Fatalf("a new pod has a past: %+v", s)
					}
				}
				k.pass(3 * time.Minute)
				if n := k.taken(); n != (g+1)*many {
					t.Fatalf("%d captures after %d generations, want one of each pod", n, g+1)
				}
			}
			k.vanish()
			k.pass(time.Hour)
			if n := len(k.pipeline.judge.Save()); n != 0 {
				t.Errorf("the rules' states of %d pods are remembered", n)
			}
			if n := len(k.turns.held); n != 0 {
				t.Errorf("%d pods are held by captures that ended", n)
			}
			if n := len(k.state().Now().Targets); n != 0 {
				t.Errorf("%d pods are told of", n)
			}
		})
	}
}

// The memory of an agent whose pods come and go does not grow with those that were.
func TestMemoryOfTargetsThatComeAndGo(t *testing.T) {
	k := newKernel(t)
	run := func(generations int) {
		for range generations {
			k.vanish()
			for i := range many {
				k.start(fmt.Sprintf("api-%d-%d", k.clock, i), fmt.Sprintf("u%d-%d", k.clock, i), 0.95)
			}
			k.pass(2 * time.Minute)
			k.mu.Lock()
			k.published = nil
			k.mu.Unlock()
		}
	}
	run(20) // until as many are remembered as ever: for as long as their cooldowns
	before := heap()
	run(40)
	if grown := heap() - before; grown > 2<<20 {
		t.Errorf("10,000 pods later %d bytes more are in use", grown)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A pod under the name of one whose capture still runs, or whose cgroup was gone, is
// judged and captured by itself.
func TestSuccessorUnderTheSameName(t *testing.T) {
	k := newKernel(t)
	first := k.start("api-0", "u1", 0.95)
	slow := &slowPods{fakes: k.fakes, until: make(chan struct{}), slow: first.Key()}
	k.take = slow
	k.turnUntil(t, 3*time.Minute)
	k.gone[first.Key()] = true
	k.turnUntil(t, 30*time.Second)
	if r := k.pipeline.judge.States(first.Key())[0].Reason; r != gopprof.ReasonCapturing {
		t.Errorf("the first pod: %s, want capturing", r)
	}
	k.vanish()
	second := k.start("api-0", "u2", 0.95)
	k.turnUntil(t, 3*time.Minute)
	poll.Until(t, "the second pod's capture is published", func() bool { return k.taken() == 1 })
	close(slow.until)
	if err := k.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	var pods []string
	for _, c := range k.published {
		pods = append(pods, c.Target.PodUID)
	}
	if len(pods) != 2 || pods[0] != "u2" || pods[1] != "u1" {
		t.Errorf("captured %v, want the second while the first was still being taken", pods)
	}
	if s := k.pipeline.judge.States(second.Key())[0]; s.Reason == gopprof.ReasonGone || s.Armed {
		t.Errorf("the second pod: %+v", s)
	}
}

// turnUntil is pass, beside captures that take longer.
func (k *kernel) turnUntil(t *testing.T, d time.Duration) {
	t.Helper()
	for end := k.clock + d; k.clock < end; k.tick(10 * time.Second) {
		k.turn(t.Context(), t.Context(), k.now())
	}
}

// slowPods takes one pod's captures until it is let go.
type slowPods struct {
	*fakes
	slow  string
	until chan struct{}
}

func (s *slowPods) Take(ctx context.Context, o gopprof.Order) (gopprof.Capture, error) {
	if o.Target.Key() == s.slow {
		<-s.until
	}
	return s.fakes.Take(ctx, o)
}

// Half of the pods cannot be read, at any time another half: the others are captured all
// the same, and who can be read again is judged again.
func TestHalfOfTheTargetsCannotBeRead(t *testing.T) {
	k := newKernel(t)
	for i := range many {
		k.start(fmt.Sprintf("api-%d", i), fmt.Sprintf("u%d", i), 0.95)
	}
	half := func(odd int) {
		for i, pod := range k.targets {
			k.gone[pod.Key()] = i%2 == odd
		}
	}
	for odd, want := range []int{many / 2, many} {
		half(odd)
		k.pass(4 * time.Minute)
		if n := k.taken(); n != want {
			t.Errorf("%d captures, want %d", n, want)
		}
		for i, pod := range k.targets {
			if r := k.pipeline.judge.States(pod.Key())[0].Reason; (r == gopprof.ReasonGone) != (i%2 == odd) {
				t.Fatalf("pod %d: %s", i, r)
			}
		}
	}
}
