package judge

import (
	"fmt"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Config says when a target is profiled, and with what.
type Config struct {
	// Policy is whose word counts: "confirm" fires on what cAdvisor sees and lets the
	// series confirm or contradict it, "local" asks cAdvisor alone, "series" follows the
	// series in InfluxDB alone.
	Policy gopprof.Policy `yaml:"policy"`
	// CPU watches the CPU time used against the CPU limit.
	CPU RuleConfig `yaml:"cpu"`
	// Memory watches the working set against the memory limit.
	Memory RuleConfig `yaml:"memory"`
	// Throttled watches the share of scheduling periods (CFS, 100 ms each) in which the
	// container was stopped because it had used up its quota. 0.25 is the level at which
	// the Prometheus community's Kubernetes alerts call it high. Rules that fire together
	// share a capture that holds the kinds of both.
	Throttled RuleConfig `yaml:"throttled"`
}

// RuleConfig is one rule.
type RuleConfig struct {
	// Enabled switches the rule.
	Enabled bool `yaml:"enabled"`
	// Threshold is the share of the limit (0–1) that InARow windows must be above.
	Threshold float64 `yaml:"threshold"`
	// AtOnce is the share of the limit at which one reading is enough; 0 switches it off.
	AtOnce float64 `yaml:"at_once"`
	// Window is the length of one window. Under the policy "series" it must be a multiple of
	// heapster.resolution, since a window is then made of whole intervals of the series.
	Window time.Duration `yaml:"window"`
	// InARow is how many disjoint windows, the last one ending now, must be above.
	InARow int `yaml:"in_a_row"`
	// Kinds are the profiles to take, in this order: cpu, heap, allocs, goroutine, mutex,
	// block, threadcreate.
	Kinds []gopprof.Kind `yaml:"kinds"`
	// CPUSeconds is the length of the CPU profile.
	CPUSeconds time.Duration `yaml:"cpu_seconds"`
	// Cooldown is the least time between two captures of one target by this rule.
	Cooldown time.Duration `yaml:"cooldown"`
	// MaxCooldown is what the cooldown grows to, doubling, while a target fires again and
	// again.
	MaxCooldown time.Duration `yaml:"max_cooldown"`
	// Rearm is the share of the limit that a window must be below before the rule fires
	// again.
	Rearm float64 `yaml:"rearm"`
}

// DefaultConfig returns the rules of an agent that was told nothing: over 0.8 of the limit
// in two one-minute windows running.
func DefaultConfig() Config {
	rule := RuleConfig{
		Enabled: true, Threshold: 0.8, Window: time.Minute, InARow: 2, CPUSeconds: 30 * time.Second,
		Cooldown: 10 * time.Minute, MaxCooldown: 6 * time.Hour, Rearm: 0.7,
	}
	cpu, memory, throttled := rule, rule, rule
	cpu.Kinds = []gopprof.Kind{gopprof.KindCPU, gopprof.KindGoroutine}
	memory.Kinds = []gopprof.Kind{gopprof.KindHeap, gopprof.KindAllocs, gopprof.KindGoroutine}
	memory.AtOnce = 0.95
	throttled.Kinds = []gopprof.Kind{gopprof.KindCPU, gopprof.KindGoroutine}
	throttled.Threshold, throttled.Rearm = 0.25, 0.2
	return Config{Policy: gopprof.PolicyConfirm, CPU: cpu, Memory: memory, Throttled: throttled}
}

// Rules returns the rules that are switched on. Under the policy "series" there is no rule
// for throttling: Heapster does not know it.
func (c Config) Rules() []gopprof.Rule {
	var rules []gopprof.Rule
	for _, r := range []struct {
		resource gopprof.Resource
		RuleConfig
	}{{gopprof.ResourceCPU, c.CPU}, {gopprof.ResourceMemory, c.Memory}, {gopprof.ResourceThrottled, c.Throttled}} {
		if !r.Enabled || (c.Policy == gopprof.PolicySeries && r.resource == gopprof.ResourceThrottled) {
			continue
		}
		rules = append(rules, gopprof.Rule{
			Name: string(r.resource), Resource: r.resource, Threshold: r.Threshold, AtOnce: r.AtOnce, Window: r.Window,
			InARow: r.InARow, Kinds: r.Kinds, CPUSeconds: r.CPUSeconds, Cooldown: r.Cooldown, MaxCooldown: r.MaxCooldown, Rearm: r.Rearm,
		})
	}
	return rules
}

// Check reports what is wrong with the policy; the rules check themselves.
func (c Config) Check(report func(key, problem string)) {
	switch c.Policy {
	case gopprof.PolicyConfirm, gopprof.PolicyLocal, gopprof.PolicySeries:
	default:
		report("policy", fmt.Sprintf("%q is not one of confirm, local, series", c.Policy))
	}
}

// Check reports every mistake of the rule.
func (r RuleConfig) Check(report func(key, problem string)) {
	if !r.Enabled {
		return
	}
	r.checkLevels(report)
	for _, d := range []struct {
		key   string
		value time.Duration
		least time.Duration
	}{{"window", r.Window, time.Second}, {"cpu_seconds", r.CPUSeconds, time.Second}, {"cooldown", r.Cooldown, 0}, {"max_cooldown", r.MaxCooldown, r.Cooldown}} {
		if d.value < d.least {
			report(d.key, fmt.Sprintf("%s is less than %s", d.value, d.least))
		}
	}
	if r.InARow < 1 || r.InARow > 10 {
		report("in_a_row", fmt.Sprintf("%d is not between 1 and 10", r.InARow))
	}
	r.checkKinds(report)
}

func (r RuleConfig) checkLevels(report func(key, problem string)) {
	if r.Threshold <= 0 || r.Threshold > 1 {
		report("threshold", fmt.Sprintf("%v is not above 0 and at most 1", r.Threshold))
	}
	if r.AtOnce != 0 && (r.AtOnce < r.Threshold || r.AtOnce > 1) {
		report("at_once", fmt.Sprintf("%v is neither 0 nor between the threshold and 1", r.AtOnce))
	}
	if r.Rearm <= 0 || r.Rearm > r.Threshold {
		report("rearm", fmt.Sprintf("%v is not above 0 and at most the threshold", r.Rearm))
	}
}

func (r RuleConfig) checkKinds(report func(key, problem string)) {
	if len(r.Kinds) == 0 {
		report("kinds", "empty: name at least one kind of profile")
	}
	seen := map[gopprof.Kind]bool{}
	for _, k := range r.Kinds {
		parsed, err := gopprof.ParseKind(string(k))
		switch {
		case err != nil:
			report("kinds", err.Error())
		case parsed != k:
			report("kinds", fmt.Sprintf("%q: write %q", k, parsed))
		case k == gopprof.KindTrace:
			report("kinds", "trace is taken by hand only")
		case seen[k]:
			report("kinds", fmt.Sprintf("%q is named twice", k))
		}
		seen[k] = true
	}
}
