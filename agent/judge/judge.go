// Package judge decides when a target is profiled.
//
// Windows of both witnesses enter, with the time; evidence that a rule fires leaves, or
// the named reason why it does not, and later the agreement between the witnesses.
//
// Deciding is pure: nothing here reads a clock, a file or a network. A refusal never goes
// without a reason, a firing that came to nothing never costs a cooldown, and series that
// are missing never confirm anything.
package judge

import (
	"sort"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Source gives the windows that the judge's policy follows.
type Source interface {
	// Windows returns the last n disjoint windows of a target, oldest first.
	Windows(key string, length time.Duration, n int) []gopprof.Window
	// Latest returns the newest reading alone, as a window; false when there is none.
	Latest(key string) (gopprof.Window, bool)
}

// Fired is a rule that fired on a target.
type Fired struct {
	Target   gopprof.Target
	Rule     gopprof.Rule
	Evidence gopprof.Evidence
}

// Judge applies the rules to every target and remembers, per rule and target, what became
// of the last firing.
type Judge struct {
	rules   []gopprof.Rule
	policy  gopprof.Policy
	metrics *metrics

	mu      sync.Mutex // guards what follows
	entries map[string]map[string]*entry
	rearmed bool // since Rearmed was asked last
}

// entry is one rule on one target, by target key and rule name.
type entry struct {
	state     State
	capturing bool
	reason    gopprof.Reason
	capture   string
	agreement gopprof.Agreement
}

// New returns a judge that remembers what an earlier one saved.
func New(config Config, saved Saved, reg prometheus.Registerer) *Judge {
	j := &Judge{rules: config.Rules(), policy: config.Policy, metrics: newMetrics(reg), entries: map[string]map[string]*entry{}}
	for key, states := range saved {
		for rule, state := range states {
			j.entry(key, rule).state = state
		}
	}
	return j
}

// Rules returns the rules that are judged.
func (j *Judge) Rules() []gopprof.Rule { return j.rules }

// Judge applies every rule to one target and returns those that fire now. A rule that
// fired is held until Captured or Refused tells what became of it.
func (j *Judge) Judge(target gopprof.Target, source Source, now time.Time) []Fired {
	j.mu.Lock()
	defer j.mu.Unlock()
	var fired []Fired
	for _, rule := range j.rules {
		e := j.entry(target.Key(), rule.Name)
		evidence := j.decide(e, rule, target, source, now)
		if evidence != nil {
			fired = append(fired, Fired{Target: target, Rule: rule, Evidence: *evidence})
		}
		j.metrics.decided(rule.Name, e.reason)
	}
	return fired
}

func (j *Judge) decide(e *entry, rule gopprof.Rule, target gopprof.Target, source Source, now time.Time) *gopprof.Evidence {
	if e.capturing {
		e.reason = gopprof.ReasonCapturing
		return nil
	}
	if !target.Follows(rule.Name) {
		e.reason = gopprof.ReasonRuleOff
		return nil
	}
	key := target.Key()
	latest, _ := source.Latest(key)
	seen := Seen{Windows: source.Windows(key, rule.Window, rule.InARow), Latest: latest, Image: target.Image}
	state, evidence, reason := Decide(rule, e.state, seen, now)
	j.rearmed = j.rearmed || e.state.Disarmed && !state.Disarmed
	e.state, e.reason = state, reason
	if evidence != nil {
		evidence.Policy = j.policy
		e.capturing = true
	}
	return evidence
}

// Captured tells that a firing became a capture.
func (j *Judge) Captured(f Fired, capture string, agreement gopprof.Agreement, now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.entry(f.Target.Key(), f.Rule.Name)
	e.state = Captured(f.Rule, e.state, f.Evidence, f.Target.Image, now)
	e.capturing, e.capture, e.agreement = false, capture, agreement
}

// Refused tells that a firing came to nothing, and why.
func (j *Judge) Refused(f Fired, reason gopprof.Reason, now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.entry(f.Target.Key(), f.Rule.Name)
	e.state = Refused(f.Rule, e.state, reason, now)
	e.capturing = false
	j.metrics.refused(f.Rule.Name, reason)
}

// Unread tells that a target could not be read, and why: no rule is judged on it, and its
// states say so.
func (j *Judge) Unread(target gopprof.Target, reason gopprof.Reason) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, rule := range j.rules {
		e := j.entry(target.Key(), rule.Name)
		if e.reason = reason; e.capturing {
			e.reason = gopprof.ReasonCapturing
		}
		j.metrics.decided(rule.Name, e.reason)
	}
}

// Rearmed tells whether a rule was armed again since the last call. Then Save is worth
// writing: a restart would else find the rule disarmed, and a heat that began before it
// would never be profiled.
func (j *Judge) Rearmed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	rearmed := j.rearmed
	j.rearmed = false
	return rearmed
}

// States returns the state of every rule on one target, in the rules' order.
func (j *Judge) States(key string) []gopprof.RuleState {
	j.mu.Lock()
	defer j.mu.Unlock()
	states := make([]gopprof.RuleState, 0, len(j.rules))
	for _, rule := range j.rules {
		e := j.entry(key, rule.Name)
		reason := e.reason
		if reason == "" {
			reason = gopprof.ReasonNoReadings
		}
		states = append(states, gopprof.RuleState{
			Rule: rule.Name, Resource: rule.Resource, Reason: reason, Armed: !e.state.Disarmed, FiredAt: e.state.FiredAt,
			CooldownUntil: later(e.state.NotBefore, e.state.HeldUntil), LastCapture: e.capture, LastAgreement: e.agreement,
		})
	}
	return states
}

// Saved is what survives a restart: the states by target key and rule name.
type Saved map[string]map[string]State

// Save returns what must survive a restart.
func (j *Judge) Save() Saved {
	j.mu.Lock()
	defer j.mu.Unlock()
	saved := Saved{}
	for key, rules := range j.entries {
		for rule, e := range rules {
			if e.state == (State{}) {
				continue
			}
			if saved[key] == nil {
				saved[key] = map[string]State{}
			}
			saved[key][rule] = e.state
		}
	}
	return saved
}

// mostRemembered bounds the targets remembered after they went away.
const mostRemembered = 4096

// Forget drops what is known of targets that are no longer there and whose cooldowns and
// back-offs have ended. A target that comes back under the same key before is remembered:
// in a crash loop it goes and comes all the time.
func (j *Judge) Forget(present map[string]bool, now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var away []string
	for key, rules := range j.entries {
		switch {
		case present[key]:
		case over(rules, now):
			delete(j.entries, key)
		default:
			away = append(away, key)
		}
	}
	if len(away) <= mostRemembered {
		return
	}
	sort.Strings(away)
	for _, key := range away[mostRemembered:] {
		delete(j.entries, key)
	}
}

// over tells whether nothing of a target's state matters any more.
func over(rules map[string]*entry, now time.Time) bool {
	for _, e := range rules {
		if e.capturing || now.Before(e.state.holdsUntil()) {
			return false
		}
	}
	return true
}

// entry returns the entry of a rule on a target. The caller holds mu, or is New.
func (j *Judge) entry(key, rule string) *entry {
	rules := j.entries[key]
	if rules == nil {
		rules = map[string]*entry{}
		j.entries[key] = rules
	}
	e := rules[rule]
	if e == nil {
		e = &entry{}
		rules[rule] = e
	}
	return e
}
