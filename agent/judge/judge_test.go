package judge

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

func newRegistry() *prometheus.Registry { return prometheus.NewRegistry() }

var hot = readings{0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9}

func hotTarget() (gopprof.Target, until, time.Time) {
	now := start.Add(120 * time.Second)
	return gopprof.Target{Namespace: "shop", Pod: "api-1", Container: "api"}, until{hot, gopprof.ResourceCPU, now}, now
}

func cpuOnly() Config {
	config := DefaultConfig()
	config.Memory.Enabled, config.Throttled.Enabled = false, false
	return config
}

func TestFiringIsHeldUntilItsEndIsKnown(t *testing.T) {
	judge := New(cpuOnly(), nil, newRegistry())
	target, source, now := hotTarget()
	if n := len(judge.Judge(target, source, now)); n != 1 {
		t.Fatalf("fired %d times, want once", n)
	}
	if n := len(judge.Judge(target, source, now)); n != 0 {
		t.Fatalf("fired again while capturing")
	}
	if got := judge.States(target.Key())[0].Reason; got != gopprof.ReasonCapturing {
		t.Errorf("reason %s, want capturing", got)
	}
}

func TestRefusedFiringCostsNoCooldown(t *testing.T) {
	judge := New(cpuOnly(), nil, newRegistry())
	target, source, now := hotTarget()
	fired := judge.Judge(target, source, now)
	judge.Refused(fired[0], gopprof.ReasonBudget, now)
	judge.Judge(target, source, now.Add(30*time.Second))
	if got := judge.States(target.Key())[0].Reason; got != gopprof.ReasonBudget {
		t.Errorf("reason %s while held, want budget", got)
	}
	if n := len(judge.Judge(target, source, now.Add(time.Minute))); n != 1 {
		t.Errorf("fired %d times one window after the refusal, want once", n)
	}
}

func TestCooldownSurvivesRestart(t *testing.T) {
	before := New(cpuOnly(), nil, newRegistry())
	target, source, now := hotTarget()
	before.Captured(before.Judge(target, source, now)[0], "c1", gopprof.Agreement{}, now)
	after := New(cpuOnly(), before.Save(), newRegistry())
	if n := len(after.Judge(target, source, now.Add(10*time.Second))); n != 0 {
		t.Fatal("fired again after the restart")
	}
	if got := after.States(target.Key())[0].Reason; got != gopprof.ReasonNotRearmed {
		t.Errorf("reason %s, want not_rearmed", got)
	}
}

func TestClockThatJumpedBackHoldsNoLongerThanTheCooldown(t *testing.T) {
	rule := cpuOnly().Rules()[0]
	state := Captured(rule, State{}, gopprof.Evidence{}, "", start.Add(time.Hour))
	state, _, _ = Decide(rule, state, Seen{}, start)
	if want := start.Add(rule.Cooldown); !state.NotBefore.Equal(want) {
		t.Errorf("held until %s, want %s", state.NotBefore, want)
	}
}

func TestClockThatJumpedBackHoldsNoRefusalLongerThanAWindow(t *testing.T) {
	rule := cpuOnly().Rules()[0]
	state := Refused(rule, State{}, gopprof.ReasonBudget, start.Add(time.Hour))
	state, _, _ = Decide(rule, state, Seen{}, start)
	if want := start.Add(rule.Window); !state.HeldUntil.Equal(want) {
		t.Errorf("held until %s, want %s", state.HeldUntil, want)
	}
}

// What fired before the clock was set back an hour fired now: the back-off that follows is not an
// hour longer for it.
func TestClockThatJumpedBackDoublesNoLaterCooldown(t *testing.T) {
	rule := cpuOnly().Rules()[0]
	state := Captured(rule, State{}, gopprof.Evidence{}, "", start.Add(time.Hour))
	state, _, _ = Decide(rule, state, Seen{}, start)
	state = Captured(rule, state, gopprof.Evidence{}, "", start.Add(2*rule.Cooldown))
	if state.Cooldown != rule.Cooldown {
		t.Errorf("a cooldown of %s, want %s", state.Cooldown, rule.Cooldown)
	}
}

func TestClockThatJumpedMakesNoFreshWindow(t *testing.T) {
	_, source, now := hotTarget()
	seen := Seen{Windows: source.Windows("", time.Minute, 2)}
	for _, jump := range []time.Duration{-time.Hour, time.Hour} {
		if _, evidence, reason := Decide(cpuOnly().Rules()[0], State{}, seen, now.Add(jump)); evidence != nil || reason != gopprof.ReasonNoReadings {
			t.Errorf("clock %s: evidence %v, reason %s, want no_readings", jump, evidence, reason)
		}
	}
}

// Series are a minute long, arrive up to 25 s after their end and are judged once a minute:
// the newest of them may be older than one window.
func TestWindowIsFreshForTwoOfItsLengths(t *testing.T) {
	_, source, now := hotTarget()
	seen := Seen{Windows: source.Windows("", time.Minute, 2)}
	for age, want := range map[time.Duration]gopprof.Reason{
		85 * time.Second: gopprof.ReasonFired, 2 * time.Minute: gopprof.ReasonFired, 121 * time.Second: gopprof.ReasonNoReadings,
	} {
		if _, _, reason := Decide(cpuOnly().Rules()[0], State{}, seen, now.Add(age)); reason != want {
			t.Errorf("ended %s ago: %s, want %s", age, reason, want)
		}
	}
}

func TestNewImageEndsTheBackOff(t *testing.T) {
	rule := cpuOnly().Rules()[0]
	state := Captured(rule, State{}, gopprof.Evidence{}, "api:1", start)
	same := Captured(rule, state, gopprof.Evidence{}, "api:1", start.Add(11*time.Minute))
	other := Captured(rule, state, gopprof.Evidence{}, "api:2", start.Add(11*time.Minute))
	if same.Cooldown != 20*time.Minute || other.Cooldown != 10*time.Minute {
		t.Errorf("cooldowns %s and %s, want 20m and 10m", same.Cooldown, other.Cooldown)
	}
}

func TestCooldownGrowsToItsBound(t *testing.T) {
	rule := cpuOnly().Rules()[0]
	state, now := State{}, start
	for range 20 {
		state = Captured(rule, state, gopprof.Evidence{}, "", now)
		now = now.Add(state.Cooldown)
	}
	if state.Cooldown != rule.MaxCooldown {
		t.Errorf("cooldown %s, want %s", state.Cooldown, rule.MaxCooldown)
	}
}

func TestNoLimit(t *testing.T) {
	_, source, now := hotTarget()
	windows := source.Windows("", time.Minute, 2)
	for i := range windows {
		windows[i].CPU.Limit = 0
	}
	if _, _, reason := Decide(cpuOnly().Rules()[0], State{}, Seen{Windows: windows}, now); reason != gopprof.ReasonNoLimit {
		t.Errorf("reason %s, want no_limit", reason)
	}
}

func TestForgetKeepsCooldownsOfTheAbsent(t *testing.T) {
	judge := New(cpuOnly(), nil, newRegistry())
	target, source, now := hotTarget()
	judge.Captured(judge.Judge(target, source, now)[0], "c1", gopprof.Agreement{}, now)
	judge.Forget(nil, now.Add(time.Minute))
	if len(judge.Save()) != 1 {
		t.Error("forgotten within its cooldown")
	}
	judge.Forget(nil, now.Add(time.Hour))
	if len(judge.Save()) != 0 {
		t.Error("remembered after its cooldown")
	}
}

// Pods in a crash loop under ever new names are as many as they like within their cooldowns.
func TestTheAbsentAreRememberedUpToABound(t *testing.T) {
	judge := New(cpuOnly(), nil, newRegistry())
	target, source, now := hotTarget()
	fired := judge.Judge(target, source, now)[0]
	for i := range mostRemembered + 10 {
		fired.Target.Pod = fmt.Sprint("pod-", i)
		judge.Captured(fired, "c1", gopprof.Agreement{}, now)
	}
	present := map[string]bool{target.Key(): true, fired.Target.Key(): true}
	judge.Forget(present, now)
	saved := judge.Save()
	if _, ok := saved[fired.Target.Key()]; !ok || len(judge.entries) != mostRemembered+len(present) {
		t.Errorf("%d remembered, want %d and those that are there (%v)", len(judge.entries), mostRemembered, ok)
	}
}

func TestPolicySeriesHasNoRuleForThrottling(t *testing.T) {
	config := DefaultConfig()
	config.Policy = gopprof.PolicySeries
	for _, rule := range config.Rules() {
		if rule.Resource == gopprof.ResourceThrottled {
			t.Error("a rule for a resource that the series do not have")
		}
	}
}

func TestConfigReportsEveryMistake(t *testing.T) {
	rule := RuleConfig{Enabled: true, Threshold: 1.2, AtOnce: 2, Rearm: 0, InARow: 0, Kinds: []gopprof.Kind{"cup", "trace", "profile"}, Cooldown: 2, MaxCooldown: 1}
	got := map[string]int{}
	rule.Check(func(key, _ string) { got[key]++ })
	want := map[string]int{"threshold": 1, "at_once": 1, "rearm": 1, "in_a_row": 1, "kinds": 3, "window": 1, "cpu_seconds": 1, "max_cooldown": 1}
	for key, n := range want {
		if got[key] != n {
			t.Errorf("%s reported %d times, want %d", key, got[key], n)
		}
	}
}

func TestTargetIsJudgedByTheRulesOfItsChoice(t *testing.T) {
	for rules, want := range map[string]gopprof.Reason{"": gopprof.ReasonFired, "memory,cpu": gopprof.ReasonFired, "memory,throttled": gopprof.ReasonRuleOff} {
		judge := New(cpuOnly(), nil, newRegistry())
		target, source, now := hotTarget()
		target.Rules = rules
		fired := judge.Judge(target, source, now)
		if got := judge.States(target.Key())[0].Reason; got != want || (len(fired) == 1) != (want == gopprof.ReasonFired) {
			t.Errorf("%q: fired %d times, reason %s, want %s", rules, len(fired), got, want)
		}
	}
}
