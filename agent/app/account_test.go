package app

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	logged "go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// The lines of the log that end a firing.
const (
	endJoined  = "firing joined another rule's capture"
	endNothing = "firing came to nothing"
	endHanded  = "witnesses compared"
)

// newLoggedPipeline returns a pipeline with two rules, whose captures are all named "id",
// and its log.
func newLoggedPipeline(f *fakes) (*pipeline, *logged.ObservedLogs) {
	p := newTestPipeline(f)
	core, logs := logged.New(zap.InfoLevel)
	p.log = zap.New(core)
	p.guard = newGuard(p.log, newRegistry())
	config := judge.DefaultConfig()
	config.Memory.Enabled = false
	p.judge = judge.New(config, nil, newRegistry())
	return p, logs
}

// Whoever reads the log can say of every firing what became of it: it has one line at its
// begin and one at its end, both with its target and rule, and the end names the capture
// once one was asked for.
func TestLogAccountsForEveryFiring(t *testing.T) {
	for name, c := range map[string]struct {
		broken  func(p *pipeline, f *fakes)
		end     string
		reason  gopprof.Reason
		capture string
	}{
		"captured":  {func(*pipeline, *fakes) {}, endHanded, "", "id"},
		"no budget": {func(_ *pipeline, f *fakes) { f.decision = gopprof.Decision{Reason: gopprof.ReasonBudget} }, endNothing, gopprof.ReasonBudget, "id"},
		"not taken": {func(_ *pipeline, f *fakes) { f.takeErr = &gopprof.Error{Reason: gopprof.ReasonStatus} }, endNothing, gopprof.ReasonStatus, "id"},
		"not handed on": {func(_ *pipeline, f *fakes) { f.pubErr = &gopprof.Error{Reason: gopprof.ReasonSpoolFailed} },
			endNothing, gopprof.ReasonSpoolFailed, "id"},
		"without a name": {func(_ *pipeline, f *fakes) { f.takeErr = errors.New("x") }, endNothing, gopprof.ReasonInternal, "id"},
		"panicked":       {func(p *pipeline, _ *fakes) { p.take = panicker{} }, "work panicked", gopprof.ReasonInternal, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakes{hot: true, decision: gopprof.Decision{Go: true, Incident: "i"}}
			p, logs := newLoggedPipeline(f)
			c.broken(p, f)
			p.fire(t.Context(), []judge.Fired{{Target: target, Rule: p.judge.Rules()[0]}})
			if err := p.drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			checkLine(t, logs, "rule fired", "", "")
			checkLine(t, logs, c.end, c.reason, c.capture)
			for _, other := range []string{endJoined, endNothing, endHanded} {
				if n := logs.FilterMessage(other).Len(); other != c.end && n > 0 {
					t.Errorf("also said %q", other)
				}
			}
		})
	}
}

// checkLine checks the one line with a message.
func checkLine(t *testing.T, logs *logged.ObservedLogs, message string, reason gopprof.Reason, capture string) {
	t.Helper()
	lines := logs.FilterMessage(message).All()
	if len(lines) != 1 {
		t.Fatalf("said %q %d times, want once: %v", message, len(lines), logs.All())
	}
	got := lines[0].ContextMap()
	want := map[string]any{"namespace": "shop", "pod": "api-1", "container": "api", "rule": "cpu"}
	if reason != "" {
		want["reason"] = string(reason)
	}
	if capture != "" {
		want["capture"] = capture
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%q: %s is %v, want %v", message, key, got[key], value)
		}
	}
	names := map[string]int{}
	for _, field := range lines[0].Context {
		if names[field.Key]++; names[field.Key] > 1 {
			t.Errorf("%q: %s stands there twice", message, field.Key)
		}
	}
}

// A firing that waits for another rule's capture is in the log before it waits, and ends by
// joining that capture, or for want of a turn.
func TestLogAccountsForFiringsThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{}
		p, logs := newLoggedPipeline(f)
		p.ask, p.take = &countedAsker{}, &slowTaker{}
		for _, rule := range p.judge.Rules() {
			p.fire(t.Context(), []judge.Fired{{Target: target, Rule: rule}})
			time.Sleep(time.Second)
		}
		if n := logs.FilterMessage("rule fired").Len(); n != 2 {
			t.Errorf("%d firings in the log while one waits, want 2", n)
		}
		if err := p.drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		joined := logs.FilterMessage(endJoined).All()
		if len(joined) != 1 || joined[0].ContextMap()["rule"] != "throttled" || joined[0].ContextMap()["capture"] != "id" {
			t.Errorf("joined %v, want the one of rule throttled into capture id", joined)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p, logs := newLoggedPipeline(&fakes{})
		p.ask, p.take = &countedAsker{}, stuckTaker{}
		ctx, cancel := context.WithCancel(t.Context())
		for _, rule := range p.judge.Rules() {
			p.fire(ctx, []judge.Fired{{Target: target, Rule: rule}})
		}
		time.Sleep(2 * triggerLifetime)
		cancel()
		if err := p.drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		var reasons []string
		for _, line := range logs.FilterMessage(endNothing).All() {
			reasons = append(reasons, line.ContextMap()["reason"].(string))
		}
		slices.Sort(reasons)
		if !slices.Equal(reasons, []string{"cancelled", "capturing"}) {
			t.Errorf("ended with %v, want one each of cancelled and capturing", reasons)
		}
	})
}
