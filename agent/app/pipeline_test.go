package app

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

var target = gopprof.Target{Cluster: "c", Node: "n", Namespace: "shop", Pod: "api-1", Container: "api"}

// fakes stand in for the stages around judge, which is the real one.
type fakes struct {
	hot      bool
	decision gopprof.Decision
	takeErr  error
	pubErr   error

	mu        sync.Mutex
	published []gopprof.Capture
	held      []gopprof.Capture
	saved     int
}

func (f *fakes) Snapshot() discover.Snapshot {
	return discover.Snapshot{Targets: []gopprof.Target{target}}
}

func (f *fakes) Observe(_ context.Context, targets []gopprof.Target, _ time.Time) []observe.Observed {
	return []observe.Observed{{Target: targets[0]}}
}

func (f *fakes) Over(string, time.Time, time.Time) (gopprof.Window, bool) {
	return gopprof.Window{}, false
}

func (f *fakes) Windows(_ string, length time.Duration, n int) []gopprof.Window {
	var ws []gopprof.Window
	for i := n; i > 0; i-- {
		end := noon.Add(-time.Duration(i-1) * length)
		ratio := 0.2
		if f.hot {
			ratio = 0.9
		}
		use := gopprof.Use{Mean: ratio, Limit: 1, Ratio: ratio}
		ws = append(ws, gopprof.Window{Witness: gopprof.WitnessCadvisor, Start: end.Add(-length), End: end, CPU: use, HasCPU: true, Readings: 6, CoveredRatio: 1})
	}
	return ws
}

func (f *fakes) Latest(string) (gopprof.Window, bool) { return gopprof.Window{}, false }

func (*fakes) CameToNothing(string) {}

func (*fakes) note(gopprof.Order) {}

func (*fakes) strike(string) {}

func (f *fakes) Ask(context.Context, gopprof.Firing) gopprof.Decision { return f.decision }

func (f *fakes) Agree(context.Context, judge.Fired) gopprof.Agreement {
	return gopprof.Agreement{Result: gopprof.AgreementConfirmed}
}

func (f *fakes) Take(_ context.Context, o gopprof.Order) (gopprof.Capture, error) {
	return gopprof.Capture{ID: o.Capture, Incident: o.Incident, Trigger: o.Trigger, Target: o.Target}, f.takeErr
}

func (f *fakes) Hold(c gopprof.Capture, _ time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = append(f.held, c)
	return nil
}

func (f *fakes) Amend(ctx context.Context, id string, change func(c *gopprof.Capture)) error {
	f.mu.Lock()
	i := slices.IndexFunc(f.held, func(c gopprof.Capture) bool { return c.ID == id })
	c := f.held[i]
	f.mu.Unlock()
	change(&c)
	return f.Publish(ctx, c)
}

func (f *fakes) Publish(_ context.Context, c gopprof.Capture) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pubErr == nil {
		f.published = append(f.published, c)
	}
	return f.pubErr
}

func (f *fakes) Has(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.published, func(c gopprof.Capture) bool { return c.ID == id })
}

func (f *fakes) remember() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.saved++
}

func newRegistry() *prometheus.Registry { return prometheus.NewRegistry() }

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newTestPipeline(f *fakes) *pipeline {
	config := judge.DefaultConfig()
	config.Memory.Enabled, config.Throttled.Enabled = false, false
	return &pipeline{
		discover: f, observe: f, windows: f, judge: judge.New(config, nil, prometheus.NewRegistry()),
		ask: f, agree: f, take: f, publish: f, hand: f,
		remember: f.remember, newID: func() string { return "id" }, now: func() time.Time { return noon },
		version: "test", log: zap.NewNop(), guard: newGuard(zap.NewNop(), newRegistry()),
	}
}

func (p *pipeline) turnOnce(t *testing.T) gopprof.RuleState {
	t.Helper()
	p.turn(t.Context(), t.Context(), noon)
	if err := p.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p.judge.States(target.Key())[0]
}

func TestHotTargetIsCapturedOnce(t *testing.T) {
	f := &fakes{hot: true, decision: gopprof.Decision{Go: true, Incident: "i"}}
	p := newTestPipeline(f)
	for range 3 {
		p.turnOnce(t)
	}
	if len(f.published) != 1 || f.saved != 1 {
		t.Fatalf("published %d captures, remembered %d times, want one of each", len(f.published), f.saved)
	}
	c := f.published[0]
	if c.Incident != "i" || c.Agreement.Result != gopprof.AgreementConfirmed || c.Trigger.Evidence == nil || c.Agent != "test" {
		t.Errorf("capture %+v", c)
	}
}

func TestQuietTargetIsNotCaptured(t *testing.T) {
	f := &fakes{decision: gopprof.Decision{Go: true}}
	if state := newTestPipeline(f).turnOnce(t); state.Reason != gopprof.ReasonBelowThreshold || len(f.published) != 0 {
		t.Errorf("reason %s, %d captures", state.Reason, len(f.published))
	}
}

// Whatever stops a firing has a name, costs no cooldown, and leaves the rule armed.
func TestFiringThatCameToNothing(t *testing.T) {
	granted := gopprof.Decision{Go: true, Incident: "i"}
	for _, c := range []struct {
		name  string
		fakes *fakes
		want  gopprof.Reason
	}{
		{"no budget", &fakes{decision: gopprof.Decision{Reason: gopprof.ReasonBudget}}, gopprof.ReasonBudget},
		{"contended", &fakes{decision: granted, takeErr: &gopprof.Error{Reason: gopprof.ReasonContended}}, gopprof.ReasonContended},
		{"disk full", &fakes{decision: granted, pubErr: &gopprof.Error{Reason: gopprof.ReasonSpoolFailed}}, gopprof.ReasonSpoolFailed},
		{"cancelled", &fakes{decision: granted, takeErr: &gopprof.Error{Reason: gopprof.ReasonCancelled}}, gopprof.ReasonCancelled},
		{"without a name", &fakes{decision: granted, takeErr: errors.New("?")}, gopprof.ReasonInternal},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.fakes.hot = true
			p := newTestPipeline(c.fakes)
			p.turnOnce(t)
			state := p.turnOnce(t)
			if state.Reason != c.want || !state.Armed || c.fakes.saved != 0 {
				t.Errorf("state %+v, saved %d times; want reason %s", state, c.fakes.saved, c.want)
			}
			for _, capture := range c.fakes.published {
				if len(capture.Profiles) != 0 || len(capture.Failures) == 0 || capture.Failures[0].Reason != c.want {
					t.Errorf("capture %+v, want nothing but the reason", capture)
				}
			}
			if granted := c.fakes.takeErr != nil; granted != (len(c.fakes.published) == 1) {
				t.Errorf("%d captures: the aggregator must be told of those that it granted, and of no others", len(c.fakes.published))
			}
		})
	}
}

// noRoom is publish, which has room for nothing that holds a profile.
type noRoom struct{ *fakes }

func (n noRoom) Publish(ctx context.Context, c gopprof.Capture) error {
	if len(c.Profiles) > 0 {
		return &gopprof.Error{Reason: gopprof.ReasonSpoolFailed}
	}
	return n.fakes.Publish(ctx, c)
}

func (noRoom) Hold(gopprof.Capture, time.Time) error {
	return &gopprof.Error{Reason: gopprof.ReasonSpoolFailed}
}

// Who granted a capture that was taken and lost is told: its place in the budget is another's.
func TestCaptureThatIsLostIsToldToWhoGrantedIt(t *testing.T) {
	f := &fakes{hot: true, decision: gopprof.Decision{Go: true, Incident: "i"}}
	p := newTestPipeline(f)
	p.publish, p.take = noRoom{f}, &slowTaker{}
	synctest.Test(t, func(t *testing.T) {
		p.turnOnce(t)
	})
	if len(f.published) != 1 || f.published[0].Incident != "i" || len(f.published[0].Failures) == 0 || f.published[0].Failures[0].Reason != gopprof.ReasonSpoolFailed {
		t.Errorf("told %+v, want that the capture came to nothing", f.published)
	}
}

// Under the policy "series" the local windows fire nothing.
func TestLocalWindowsAreNotJudgedUnderSeries(t *testing.T) {
	f := &fakes{hot: true, decision: gopprof.Decision{Go: true}}
	p := newTestPipeline(f)
	p.windows = nil
	p.turnOnce(t)
	if len(f.published) != 0 {
		t.Error("captured on the local witness's word")
	}
}

// slowAgreer answers when it is told to.
type slowAgreer struct{ answer chan gopprof.Agreement }

func (s slowAgreer) Agree(context.Context, judge.Fired) gopprof.Agreement { return <-s.answer }

// While the witness is asked, what was taken lies in the spool already.
func TestTakenCaptureIsHeldWhileTheWitnessIsAsked(t *testing.T) {
	f := &fakes{hot: true, decision: gopprof.Decision{Go: true, Incident: "i"}}
	p := newTestPipeline(f)
	slow := slowAgreer{make(chan gopprof.Agreement)}
	p.agree = slow
	p.turn(t.Context(), t.Context(), noon)
	for held := false; !held; {
		f.mu.Lock()
		held = len(f.held) == 1
		f.mu.Unlock()
		runtime.Gosched()
	}
	slow.answer <- gopprof.Agreement{Result: gopprof.AgreementConfirmed}
	if err := p.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.held[0].Agreement.Result != gopprof.AgreementUnavailable || len(f.published) != 1 || f.published[0].Agreement.Result != gopprof.AgreementConfirmed {
		t.Errorf("held %+v, published %+v", f.held, f.published)
	}
}

// large is take, whose captures hold bytes, and publish, which keeps none of them in memory.
type large struct {
	*fakes
	bytes weak.Pointer[[1 << 20]byte]
}

func (l *large) Take(ctx context.Context, o gopprof.Order) (gopprof.Capture, error) {
	bytes := new([1 << 20]byte)
	l.bytes = weak.Make(bytes)
	c, err := l.fakes.Take(ctx, o)
	c.Profiles = []gopprof.Profile{{Kind: gopprof.KindHeap, Bytes: bytes[:]}}
	return c, err
}

func (l *large) Hold(c gopprof.Capture, until time.Time) error {
	return l.fakes.Hold(withoutBytes(c), until)
}

// The bytes of a capture whose witness is waited for lie on the disk alone: many may wait.
func TestHeldCaptureIsNotInMemory(t *testing.T) {
	l := &large{fakes: &fakes{hot: true, decision: gopprof.Decision{Go: true, Incident: "i"}}}
	p := newTestPipeline(l.fakes)
	slow := slowAgreer{make(chan gopprof.Agreement)}
	p.agree, p.take, p.publish = slow, l, l
	p.turn(t.Context(), t.Context(), noon)
	poll.Until(t, "it is held and its bytes are not", func() bool {
		l.mu.Lock()
		held := len(l.held) == 1
		l.mu.Unlock()
		runtime.GC()
		return held && l.bytes.Value() == nil
	})
	slow.answer <- gopprof.Agreement{Result: gopprof.AgreementConfirmed}
	if err := p.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(l.published) != 1 {
		t.Errorf("%d published", len(l.published))
	}
}

// diskless is publish, which can hold nothing.
type diskless struct{ *fakes }

func (diskless) Hold(gopprof.Capture, time.Time) error {
	return &gopprof.Error{Reason: gopprof.ReasonSpoolFailed}
}

// Where captures cannot be written down, no more of them wait for the witness than one may be
// large; the others go without its answer, and say so.
func TestCapturesThatCannotBeHeld(t *testing.T) {
	f := &fakes{}
	p := newTestPipeline(f)
	p.publish, p.unheldMost = diskless{f}, 100
	log := zap.NewNop()
	waiting := make(chan gopprof.Agreement)
	wait := func(size int64) <-chan gopprof.Agreement {
		ended := make(chan gopprof.Agreement, 1)
		go func() {
			c, _ := p.awaited(gopprof.Capture{Profiles: []gopprof.Profile{{SizeBytes: size}}}, waiting, log)
			ended <- c.Agreement
		}()
		return ended
	}
	first, second := wait(60), wait(40)
	poll.Until(t, "two wait", func() bool { return p.unheld.Load() == 100 })
	if got := <-wait(1); got.Result != gopprof.AgreementUnavailable || !strings.Contains(got.Detail, "memory") {
		t.Errorf("the third says %+v", got)
	}
	for range 2 {
		waiting <- gopprof.Agreement{Result: gopprof.AgreementConfirmed}
	}
	if a, b := <-first, <-second; a.Result != gopprof.AgreementConfirmed || b.Result != gopprof.AgreementConfirmed {
		t.Errorf("those that waited say %+v and %+v", a, b)
	}
	alone := wait(1000)
	poll.Until(t, "a large one waits alone", func() bool { return p.unheld.Load() == 1000 })
	waiting <- gopprof.Agreement{Result: gopprof.AgreementConfirmed}
	if got := <-alone; got.Result != gopprof.AgreementConfirmed || p.unheld.Load() != 0 {
		t.Errorf("it says %+v, and %d bytes are counted still", got, p.unheld.Load())
	}
}
