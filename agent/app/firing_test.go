package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/durable"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// slowTaker takes thirty seconds for a capture and, as take does, refuses a second one of
// the same target meanwhile.
type slowTaker struct {
	cannot []gopprof.Kind // fail

	mu    sync.Mutex // guards the rest
	busy  bool
	taken []gopprof.Order
}

func (s *slowTaker) Take(_ context.Context, o gopprof.Order) (gopprof.Capture, error) {
	s.mu.Lock()
	if s.busy {
		s.mu.Unlock()
		return gopprof.Capture{}, &gopprof.Error{Reason: gopprof.ReasonCapturing}
	}
	s.busy = true
	s.mu.Unlock()
	time.Sleep(30 * time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy, s.taken = false, append(s.taken, o)
	c := gopprof.Capture{ID: o.Capture}
	for _, k := range o.Kinds {
		if !slices.Contains(s.cannot, k) {
			c.Profiles = append(c.Profiles, gopprof.Profile{Kind: k})
		}
	}
	return c, nil
}

// countedAsker grants everything and counts.
type countedAsker struct {
	mu    sync.Mutex
	asked int
}

func (*countedAsker) CameToNothing(string) {}

func (c *countedAsker) Ask(context.Context, gopprof.Firing) gopprof.Decision {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	return gopprof.Decision{Go: true, Incident: "i"}
}

// A target at its CPU limit is throttled as well. Rules that fire together share a capture
// that holds what both want; else their captures follow each other: one that take would
// have to refuse must not cost a place in the aggregator's budget.
func TestRulesThatFireTogether(t *testing.T) {
	rules := map[gopprof.Resource]gopprof.Rule{}
	for _, rule := range judge.DefaultConfig().Rules() {
		rules[rule.Resource] = rule
	}
	cpu, memory, throttled := rules[gopprof.ResourceCPU], rules[gopprof.ResourceMemory], rules[gopprof.ResourceThrottled]
	for name, c := range map[string]struct {
		fired  []gopprof.Rule
		cannot []gopprof.Kind
		pubErr error
		want   int // captures asked for and taken
	}{
		"of the same kinds":           {[]gopprof.Rule{cpu, throttled}, nil, nil, 1},
		"of different kinds":          {[]gopprof.Rule{cpu, memory}, nil, nil, 2},
		"all of them":                 {[]gopprof.Rule{cpu, memory, throttled}, nil, nil, 2},
		"the shared profile failed":   {[]gopprof.Rule{cpu, throttled}, []gopprof.Kind{gopprof.KindCPU}, nil, 2},
		"the shared capture was lost": {[]gopprof.Rule{cpu, throttled}, nil, &gopprof.Error{Reason: gopprof.ReasonSpoolFailed}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakes{pubErr: c.pubErr}
				p := newTestPipeline(f)
				config := judge.DefaultConfig()
				p.judge = judge.New(config, nil, newRegistry())
				asker, taker := &countedAsker{}, &slowTaker{cannot: c.cannot}
				p.ask, p.take = asker, taker
				for _, rule := range c.fired {
					p.fire(t.Context(), []judge.Fired{{Target: target, Rule: rule}})
					time.Sleep(5 * time.Second) // the first capture takes thirty
				}
				if err := p.drain(t.Context()); err != nil {
					t.Fatal(err)
				}
				if asker.asked != c.want || len(taker.taken) != c.want {
					t.Errorf("asked %d times, took %d, want %d of each", asker.asked, len(taker.taken), c.want)
				}
				for _, capture := range f.published {
					if len(capture.Failures) > 0 {
						t.Errorf("told the aggregator of a capture that came to nothing: %+v", capture.Failures)
					}
				}
				for _, state := range p.judge.States(target.Key()) {
					fired := slices.ContainsFunc(c.fired, func(r gopprof.Rule) bool { return r.Name == state.Rule })
					if captured := state.LastCapture != "" && !state.Armed; captured != (fired && c.pubErr == nil) {
						t.Errorf("state of rule %s: %+v", state.Rule, state)
					}
				}
			})
		})
	}
}

// stuckTaker never ends by itself.
type stuckTaker struct{}

func (stuckTaker) Take(ctx context.Context, _ gopprof.Order) (gopprof.Capture, error) {
	<-ctx.Done()
	return gopprof.Capture{}, &gopprof.Error{Reason: gopprof.ReasonCancelled}
}

func TestRuleThatGetsNoTurnSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{hot: true}
		p := newTestPipeline(f)
		asker := &countedAsker{}
		p.ask, p.take = asker, stuckTaker{}
		ctx, cancel := context.WithCancel(t.Context())
		rules := p.judge.Rules()
		p.fire(ctx, []judge.Fired{{Target: target, Rule: rules[0]}, {Target: target, Rule: rules[0]}})
		time.Sleep(2 * triggerLifetime)
		synctest.Wait()
		if p.turn(ctx, ctx, noon); p.judge.States(target.Key())[0].Reason != gopprof.ReasonCapturing {
			t.Errorf("states %+v, want capturing", p.judge.States(target.Key()))
		}
		cancel()
		if err := p.drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if asker.asked != 1 {
			t.Errorf("asked %d times, want once", asker.asked)
		}
	})
}

// waitingAgreer answers when its context ends.
type waitingAgreer struct{}

func (waitingAgreer) Agree(ctx context.Context, _ judge.Fired) gopprof.Agreement {
	select {
	case <-ctx.Done():
	case <-time.After(30 * time.Second):
	}
	return gopprof.Agreement{Result: gopprof.AgreementUnavailable}
}

// Nobody waits for the witness of a capture that there is not.
func TestWitnessIsNotAskedOnWhenNothingWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{hot: true, decision: gopprof.Decision{Go: true}, takeErr: &gopprof.Error{Reason: gopprof.ReasonUnreachable}}
		p := newTestPipeline(f)
		p.agree = waitingAgreer{}
		began := time.Now()
		p.turnOnce(t)
		if took := time.Since(began); took > 0 {
			t.Errorf("the firing went on for %s", took)
		}
	})
}

// cancelledPublisher fails as publish does when the disk is full and it has to send at once.
type cancelledPublisher struct{ *fakes }

func (c cancelledPublisher) Publish(ctx context.Context, capture gopprof.Capture) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.fakes.Publish(ctx, capture)
}

func (c cancelledPublisher) Amend(ctx context.Context, id string, change func(c *gopprof.Capture)) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.fakes.Amend(ctx, id, change)
}

// What was taken when the agent had to stop is handed on.
func TestCancelledCaptureIsPublished(t *testing.T) {
	f := &fakes{hot: true, decision: gopprof.Decision{Go: true}}
	p := newTestPipeline(f)
	p.publish = cancelledPublisher{f}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.turn(t.Context(), ctx, noon)
	if err := p.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(f.published) != 1 {
		t.Errorf("published %d captures, want the one that was taken", len(f.published))
	}
}

// What is armed again is remembered: it must not be forgotten by a restart.
func TestRearmingIsRemembered(t *testing.T) {
	f := &fakes{hot: true, decision: gopprof.Decision{Go: true}}
	p := newTestPipeline(f)
	p.turnOnce(t)
	f.hot = false
	for range 3 {
		p.turnOnce(t)
	}
	if f.saved != 2 {
		t.Errorf("remembered %d times, want twice: captured and armed again", f.saved)
	}
}

// brokenObserver cannot read its target.
type brokenObserver struct {
	*fakes
	err error
}

func (b brokenObserver) Observe(context.Context, []gopprof.Target, time.Time) []observe.Observed {
	return []observe.Observed{{Target: target, Err: b.err}}
}

func TestTargetThatCannotBeReadSaysWhy(t *testing.T) {
	for err, want := range map[error]gopprof.Reason{
		fmt.Errorf("reading: %w", observe.ErrGone): gopprof.ReasonGone,
		errors.New("permission denied"):            gopprof.ReasonNoReadings,
	} {
		f := &fakes{}
		p := newTestPipeline(f)
		p.turnOnce(t)
		p.observe = brokenObserver{f, err}
		if state := p.turnOnce(t); state.Reason != want {
			t.Errorf("%v: reason %s, want %s", err, state.Reason, want)
		}
	}
}

// Captures end side by side. What was saved later is written later.
func TestStateOfCapturesThatEndTogether(t *testing.T) {
	saved, first := judge.Saved{"a": {}}, true
	var mu sync.Mutex // guards both
	keeper := newMemory(t.TempDir(), zap.NewNop(), newRegistry())
	keeper.save = func() judge.Saved {
		mu.Lock()
		now, slow := maps.Clone(saved), first
		first = false
		mu.Unlock()
		if slow {
			for range 100_000 { // long enough for the other one to overtake, if it may
				runtime.Gosched()
			}
		}
		return now
	}
	var done sync.WaitGroup
	done.Go(keeper.cooldowns)
	for mu.Lock(); first; mu.Lock() {
		mu.Unlock()
		runtime.Gosched()
	}
	saved["b"] = nil
	mu.Unlock()
	keeper.cooldowns()
	done.Wait()
	var written judge.Saved
	if err := durable.ReadJSON(filepath.Join(keeper.dir, cooldownsFile), &written); err != nil || len(written) != 2 {
		t.Errorf("written %v, %v; want what was saved last", written, err)
	}
}

// panicker is a stage with a defect.
type panicker struct{}

func (panicker) Take(context.Context, gopprof.Order) (gopprof.Capture, error) { panic("take") }
func (panicker) Agree(context.Context, judge.Fired) gopprof.Agreement         { panic("agree") }
func (panicker) Ask(context.Context, gopprof.Firing) (d gopprof.Decision)     { panic("ask") }
func (panicker) Publish(context.Context, gopprof.Capture) error               { panic("publish") }
func (panicker) CameToNothing(string)                                         { panic("came to nothing") }
func (panicker) Hold(gopprof.Capture, time.Time) error                        { panic("hold") }
func (panicker) Amend(context.Context, string, func(*gopprof.Capture)) error  { panic("amend") }
func (panicker) Has(string) bool                                              { panic("has") }
func (panicker) Windows(string, time.Duration, int) []gopprof.Window          { panic("windows") }
func (panicker) Latest(string) (gopprof.Window, bool)                         { panic("latest") }

// A defect that one target's values bring to light costs that turn or capture, not the agent.
func TestPanicCostsOneCapture(t *testing.T) {
	for name, c := range map[string]struct {
		broken func(p *pipeline)
		want   gopprof.Reason
	}{
		"judge":   {func(p *pipeline) { p.windows = panicker{} }, gopprof.ReasonInternal},
		"ask":     {func(p *pipeline) { p.ask = panicker{} }, gopprof.ReasonInternal},
		"take":    {func(p *pipeline) { p.take = panicker{} }, gopprof.ReasonInternal},
		"publish": {func(p *pipeline) { p.publish = panicker{} }, gopprof.ReasonInternal},
		"agree":   {func(p *pipeline) { p.agree = panicker{} }, gopprof.ReasonNotRearmed},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakes{hot: true, decision: gopprof.Decision{Go: true}}
			p := newTestPipeline(f)
			c.broken(p)
			p.turnOnce(t)
			if state := p.turnOnce(t); state.Reason != c.want {
				t.Errorf("reason %s, want %s", state.Reason, c.want)
			}
			if name == "agree" && (len(f.published) != 1 || f.published[0].Agreement.Reason != gopprof.ReasonInternal) {
				t.Errorf("published %+v, want the capture without a second opinion", f.published)
			}
		})
	}
}
