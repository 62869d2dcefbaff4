package app

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// twoWindows is how long a rule may take to fire: one more reading where the clock was set
// between two, and a turn that is late.
const twoWindows = 150 * time.Second

// Whenever the clock is set by an hour, in whichever direction and how often: a heat is
// captured once and in its time, and the loop goes on. This clock is all that there is,
// while an agent's own goes on steadily beside the wall's: a cooldown that has ended is one
// of the future again when this one is set back, and may hold the rule off once more.
func TestClockIsSetByAnHour(t *testing.T) {
	for _, sets := range [][]time.Duration{{time.Hour}, {-time.Hour}, {time.Hour, -time.Hour}, {-time.Hour, time.Hour}} {
		for at := time.Duration(0); at < 30*time.Minute; at += 47 * time.Second {
			t.Run(fmt.Sprint(sets, " at ", at), func(t *testing.T) {
				k := newKernel(t)
				pod := k.start("api-1", "u1", 0.95)
				due := slices.Clone(sets)
				var when []time.Duration // of the captures
				for step := time.Duration(0); step < 40*time.Minute; step += 10 * time.Second {
					switch step {
					case 5 * time.Minute:
						k.cores[pod.Key()] = 0.2
					case 20 * time.Minute:
						k.cores[pod.Key()] = 0.95
					}
					if len(due) > 0 && step >= at {
						k.set, due = k.set+due[0], due[1:]
						at += 70 * time.Second
					}
					k.pass(10 * time.Second)
					for len(when) < k.taken() {
						when = append(when, step)
					}
				}
				if len(when) != 2 {
					t.Fatalf("captures at %v, want one of each heat", when)
				}
				latest := 20*time.Minute + twoWindows
				if slices.Min(sets) < 0 {
					latest += judge.DefaultConfig().CPU.Cooldown
				}
				if when[0] < 110*time.Second || when[0] > twoWindows || when[1] < 20*time.Minute+110*time.Second || when[1] > latest {
					t.Errorf("captures at %v", when)
				}
			})
		}
	}
}

// An agent that starts after its machine's clock was set back remembers no cooldown longer
// than it was; one that starts after it was set forwards captures at most once more.
func TestClockIsSetWhileTheAgentIsAway(t *testing.T) {
	for set, most := range map[time.Duration]time.Duration{time.Hour: 3 * time.Minute, -time.Hour: 14 * time.Minute} {
		k := newKernel(t)
		pod := k.start("api-1", "u1", 0.95)
		k.pass(4 * time.Minute)
		if k.taken() != 1 {
			t.Fatalf("%d captures of the first heat", k.taken())
		}
		k.cores[pod.Key()] = 0.2
		k.pass(4 * time.Minute) // armed again
		saved := k.judge.Save()
		k.set += set
		k.boot(saved)
		k.cores[pod.Key()] = 0.95
		began := k.clock
		for k.taken() == 1 && k.clock < began+time.Hour {
			k.pass(10 * time.Second)
		}
		if took := k.clock - began; k.taken() != 2 || took > most {
			t.Errorf("set by %s: %d captures, the second after %s, want it within %s", set, k.taken(), took, most)
		}
	}
}

// The node's own budget, of captures that nobody allowed, holds whatever the clock does: a
// clock that is set back keeps it for an hour and no longer.
func TestOwnBudgetThoughTheClockIsSet(t *testing.T) {
	for _, set := range []time.Duration{time.Hour, -time.Hour, -24 * time.Hour} {
		var saved []time.Time
		a := &asking{
			aggregator: asked{err: errors.New("away")}, perHour: 3, newID: func() string { return "i" },
			remember: func(recent []time.Time) { saved = slices.Clone(recent) }, log: zap.NewNop(),
		}
		granted := func(from, to time.Time) (n int) {
			for now := from; now.Before(to); now = now.Add(time.Minute) {
				if a.Ask(t.Context(), gopprof.Firing{At: now}).Go {
					n++
				}
			}
			return n
		}
		if n := granted(noon, noon.Add(10*time.Minute)); n != 3 {
			t.Fatalf("%d granted before the clock was set", n)
		}
		a.recent = saved // a restart
		now := noon.Add(10*time.Minute + set)
		first := granted(now, now.Add(time.Hour))
		if set < 0 && first != 0 || set > 0 && first != 3 {
			t.Errorf("set by %s: %d granted in the hour after it", set, first)
		}
		now = now.Add(time.Hour)
		if n := granted(now, now.Add(time.Hour)); n != 3 {
			t.Errorf("set by %s: %d granted in the second hour, want 3", set, n)
		}
		if len(a.recent) > 3 {
			t.Errorf("%d moments are remembered", len(a.recent))
		}
	}
}
