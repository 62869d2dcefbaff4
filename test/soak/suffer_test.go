package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/test/rig"
)

// deal returns every fault once, in an order that is drawn: one of three is a kill for as
// long as there are kills, so that a short soak on a slow machine has some, too.
func deal(kills, others []fault, random *rand.Rand) (deck []fault) {
	for _, half := range [][]fault{kills, others} {
		random.Shuffle(len(half), func(i, j int) { half[i], half[j] = half[j], half[i] })
	}
	deck = slices.Clone(others)
	for i, kill := range kills {
		deck = slices.Insert(deck, min(3*i+random.IntN(3), len(deck)), kill)
	}
	return deck
}

// quiet is the mean time between the end of one fault and the next one.
const quiet = 4 * time.Second

// suffer lets one fault after the other strike until while ends, each kind once before any
// comes again. It returns how often each kind did.
func (s *scene) suffer(ctx, while context.Context, random *rand.Rand) (struck map[string]int, err error) {
	struck = map[string]int{}
	var deck []fault
	for wait(while, spread(random, quiet)) {
		if len(deck) == 0 {
			deck = deal(s.kills(), s.others(), random)
		}
		f := deck[0]
		deck = deck[1:]
		began := time.Now()
		if err := f.strike(ctx, while, random); err != nil {
			return struck, fmt.Errorf("%s: %w", f.kind, err)
		}
		struck[f.kind]++
		s.t.Logf("%s  %s, for %.1f s", began.Format("15:04:05.000"), f.kind, time.Since(began).Seconds())
	}
	return struck, nil
}

// strikes waits for the moment at which a program is killed: any, or when the log says that
// something has just happened, or a little later.
func (s *scene) strikes(ctx context.Context, random *rand.Rand) {
	moments := []struct {
		of      *rig.Process
		message string
	}{
		{}, {s.Agent, lineFired}, {s.Agent, lineAsked}, {s.Agent, "capture taken"}, {s.Agent, lineSpooled}, {s.Agent, linePublished},
		{s.Aggregator, "capture granted"}, {s.Aggregator, lineCommitted}, {s.Aggregator, "report announced"}, {s.Aggregator, lineAcknowledged},
	}
	m := moments[random.IntN(len(moments))]
	later := []time.Duration{0, time.Duration(random.Int64N(int64(time.Second)))}[random.IntN(2)]
	if m.of != nil {
		within, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_, _ = m.of.AwaitWhere(within, m.message, fresh(m.of, m.message)) // it need not happen
	}
	wait(ctx, later)
}

// fresh matches what a program says from now on.
func fresh(p *rig.Process, message string) func(rig.Line) bool {
	lines, _ := p.Lines()
	old := 0
	for _, l := range lines {
		if l.Text("msg") == message {
			old++
		}
	}
	return func(rig.Line) bool { old--; return old < 0 }
}

func TestEveryFaultIsDealtOnceAndKillsEarly(t *testing.T) {
	kills := []fault{{kind: "k0"}, {kind: "k1"}, {kind: "k2"}}
	others := []fault{{kind: "o0"}, {kind: "o1"}, {kind: "o2"}, {kind: "o3"}, {kind: "o4"}, {kind: "o5"}, {kind: "o6"}}
	for seed := range uint64(50) {
		var kinds []string
		for i, f := range deal(kills, others, rand.New(rand.NewPCG(seed, 0))) {
			kinds = append(kinds, f.kind)
			if dealt := strings.Count(strings.Join(kinds, " "), "k"); i < 9 && dealt < (i+1)/3 {
				t.Errorf("seed %d: %d kills among %v", seed, dealt, kinds)
			}
		}
		slices.Sort(kinds)
		if got := strings.Join(kinds, " "); got != "k0 k1 k2 o0 o1 o2 o3 o4 o5 o6" {
			t.Errorf("seed %d: dealt %s", seed, got)
		}
	}
}
