package judge

import (
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// A leak was captured on its way up. Its peak fires as well, and is refused: then it fires
// again, a window later, and the cooldown that the first capture began goes on.
func TestRefusedPeakFiresAgainAndEndsNoCooldown(t *testing.T) {
	rule := memoryOnly().Rules()[0]
	up := start.Add(2 * time.Minute)
	state := Captured(rule, State{}, gopprof.Evidence{}, "", up)
	peak := up.Add(time.Minute)
	state, evidence, _ := Decide(rule, state, memoryAt(0.96, peak), peak)
	if evidence == nil || !evidence.AtOnce {
		t.Fatalf("the peak did not fire")
	}
	state = Refused(rule, state, gopprof.ReasonBudget, peak)

	soon := peak.Add(10 * time.Second)
	if _, evidence, reason := Decide(rule, state, memoryAt(0.97, soon), soon); evidence != nil || reason != gopprof.ReasonBudget {
		t.Errorf("10s after the refusal: evidence %v, reason %s, want budget", evidence, reason)
	}
	later := peak.Add(rule.Window)
	if _, evidence, reason := Decide(rule, state, memoryAt(0.97, later), later); evidence == nil {
		t.Errorf("a window after the refusal: reason %s, want the peak to fire again", reason)
	}

	// It was killed and climbs again within the cooldown of the first capture.
	again := up.Add(5 * time.Minute)
	state, _, _ = Decide(rule, state, memoryAt(0.3, again.Add(-2*time.Minute)), again.Add(-2*time.Minute))
	if _, evidence, reason := Decide(rule, state, memoryAt(0.85, again), again); evidence != nil || reason != gopprof.ReasonCooldown {
		t.Errorf("within the cooldown: evidence %v, reason %s, want cooldown", evidence, reason)
	}
}

func memoryOnly() Config {
	config := DefaultConfig()
	config.CPU.Enabled, config.Throttled.Enabled = false, false
	return config
}

// memoryAt is two windows and a reading of a target whose memory stands still.
func memoryAt(ratio float64, now time.Time) Seen {
	window := func(start, end time.Time) gopprof.Window {
		use := gopprof.Use{Mean: ratio, Limit: 1, Ratio: ratio}
		return gopprof.Window{Witness: gopprof.WitnessCadvisor, Start: start, End: end, Memory: use, HasMemory: true, Readings: 6, CoveredRatio: 1}
	}
	half := now.Add(-time.Minute)
	return Seen{Windows: []gopprof.Window{window(half.Add(-time.Minute), half), window(half, now)}, Latest: window(now.Add(-step), now)}
}

// A container in a crash loop is away again and again. Its back-off grows all the same.
func TestBackOffOutlivesAnAbsence(t *testing.T) {
	judge := New(cpuOnly(), nil, newRegistry())
	target, source, now := hotTarget()
	judge.Captured(judge.Judge(target, source, now)[0], "c1", gopprof.Agreement{}, now)

	back := now.Add(15 * time.Minute)
	judge.Forget(nil, back)
	cool := until{make(readings, 200), gopprof.ResourceCPU, back}
	judge.Judge(target, cool, back) // armed again
	use := append(make(readings, 102), hot...)
	hotAgain := start.Add(time.Duration(len(use)) * step)
	fired := judge.Judge(target, until{use, gopprof.ResourceCPU, hotAgain}, hotAgain)
	if len(fired) != 1 {
		t.Fatalf("fired %d times, want once", len(fired))
	}
	judge.Captured(fired[0], "c2", gopprof.Agreement{}, hotAgain)
	if until := judge.States(target.Key())[0].CooldownUntil; !until.Equal(hotAgain.Add(20 * time.Minute)) {
		t.Errorf("cooldown of %s, want 20m", until.Sub(hotAgain))
	}
}

// What is armed again must be known after a restart: a heat that began before it would else
// never be profiled.
func TestRearmingIsToldOnce(t *testing.T) {
	judge := New(cpuOnly(), nil, newRegistry())
	target, source, now := hotTarget()
	judge.Captured(judge.Judge(target, source, now)[0], "c1", gopprof.Agreement{}, now)
	if judge.Rearmed() {
		t.Error("armed again while hot")
	}
	later := now.Add(5 * time.Minute)
	judge.Judge(target, until{make(readings, 60), gopprof.ResourceCPU, later}, later)
	if !judge.Rearmed() {
		t.Error("not told that the rule was armed again")
	}
	if judge.Rearmed() {
		t.Error("told twice")
	}
}

// A target that could not be read says so, in place of the reason of its last reading.
func TestUnreadTargetSaysWhy(t *testing.T) {
	judge := New(cpuOnly(), nil, newRegistry())
	target, source, now := hotTarget()
	reason := func() gopprof.Reason { return judge.States(target.Key())[0].Reason }
	judge.Unread(target, gopprof.ReasonGone)
	if reason() != gopprof.ReasonGone {
		t.Errorf("reason %s, want gone", reason())
	}
	if n := len(judge.Judge(target, source, now)); n != 1 {
		t.Fatalf("fired %d times, want once", n)
	}
	judge.Unread(target, gopprof.ReasonGone)
	if reason() != gopprof.ReasonCapturing {
		t.Errorf("reason %s, want capturing", reason())
	}
}

// Of a window of the series a resource needs four fifths, too: single points get lost.
func TestResourceOfWhichMostIsMissingIsNotJudged(t *testing.T) {
	intervals := make([]gopprof.Window, 5)
	for i := range intervals {
		intervals[i] = minute(i*60, 0.9)
		intervals[i].HasCPU = i == 4
	}
	w := Combine(intervals, start, start.Add(5*time.Minute))
	if w.HasCPU || !w.HasMemory || w.CoveredRatio != 1 {
		t.Errorf("window %+v, want memory alone", w)
	}
	intervals[0].HasMemory = false
	if w := Combine(intervals, start, start.Add(5*time.Minute)); !w.HasMemory {
		t.Errorf("window %+v, want memory: four of five intervals have it", w)
	}
}
