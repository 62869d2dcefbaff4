package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// answers are what InfluxDB says, call after call; the last one again and again.
type answers struct {
	script []answer
	asked  int
}

type answer struct {
	windows []gopprof.Window
	err     error
}

func (a *answers) Windows(context.Context, string, time.Time, time.Time) (map[gopprof.SeriesKey][]gopprof.Window, error) {
	now := a.script[min(a.asked, len(a.script)-1)]
	a.asked++
	return map[gopprof.SeriesKey][]gopprof.Window{target.Series(): now.windows}, now.err
}

func minute(end time.Time, ratio float64) gopprof.Window {
	use := gopprof.Use{Mean: ratio, Limit: 1, Ratio: ratio}
	return gopprof.Window{Witness: gopprof.WitnessHeapster, Start: end.Add(-time.Minute), End: end, CPU: use, Memory: use, HasCPU: true, HasMemory: true, Readings: 1, CoveredRatio: 1}
}

// witnessOf must be called inside a bubble, whose clock it takes.
func witnessOf(source seriesSource, local float64) *secondWitness {
	return &secondWitness{
		source: source, node: "n", resolution: time.Minute, wait: 30 * time.Second, every: 3 * time.Second, now: time.Now, log: zap.NewNop(), asking: make(chan struct{}, 1),
		local: func(gopprof.Target) judge.Local {
			return func(start, end time.Time) (gopprof.Window, bool) {
				w := minute(end, local)
				w.Witness = gopprof.WitnessCadvisor
				return w, true
			}
		},
	}
}

func firedNow() judge.Fired {
	now := time.Now()
	windows := []gopprof.Window{minute(now.Add(-time.Minute), 0.9), minute(now, 0.9)}
	return judge.Fired{Target: target, Evidence: gopprof.Evidence{
		Resource: gopprof.ResourceCPU, Policy: gopprof.PolicyConfirm, Threshold: 0.8, Windows: windows,
	}}
}

func TestAgreeWaitsForTheMinuteThatArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fired, began := firedNow(), time.Now()
		late := &answers{script: []answer{{}, {err: errors.New("away")}, {}, {windows: []gopprof.Window{minute(began.Add(-20*time.Second), 0.9)}}}}
		got := witnessOf(late, 0.9).Agree(t.Context(), fired)
		if got.Result != gopprof.AgreementConfirmed || late.asked != 4 {
			t.Errorf("%+v after %d questions", got, late.asked)
		}
		if waited := time.Since(began); waited != 9*time.Second {
			t.Errorf("waited %s, want three times 3s", waited)
		}
	})
}

// lateMinutes is a Heapster of which each minute arrives some time after its end, beside a
// local witness: both saw the memory jump from 0.5 to 0.96.
type lateMinutes struct {
	newest, jump time.Time // the end of a minute; the others follow from it
	late         time.Duration
}

func (l lateMinutes) at(moment time.Time) float64 {
	if moment.After(l.jump) {
		return 0.96
	}
	return 0.5
}

func (l lateMinutes) Windows(_ context.Context, _ string, from, to time.Time) (map[gopprof.SeriesKey][]gopprof.Window, error) {
	var windows []gopprof.Window
	for end := l.newest; !end.Add(l.late).After(to); end = end.Add(time.Minute) {
		if !end.Add(-time.Minute).Before(from) {
			windows = append(windows, minute(end, l.at(end)))
		}
	}
	return map[gopprof.SeriesKey][]gopprof.Window{target.Series(): windows}, nil
}

func (l lateMinutes) local(gopprof.Target) judge.Local {
	return func(start, end time.Time) (gopprof.Window, bool) {
		hot := max(0, min(end.Sub(l.jump), end.Sub(start))).Seconds() / end.Sub(start).Seconds()
		return minute(end, 0.5+0.46*hot), !end.After(time.Now())
	}
}

// Memory that jumps fires at once, up to a minute before the end of Heapster's minute: the
// answer waits for that minute. The default wait ends before it for most phases, and then
// nothing is confirmed; 90 s are enough for all.
func TestAtOnceWaitsForTheMinuteThatSawIt(t *testing.T) {
	for _, c := range []struct{ wait, late time.Duration }{{30 * time.Second, 5 * time.Second}, {30 * time.Second, 25 * time.Second}, {90 * time.Second, 5 * time.Second}, {90 * time.Second, 25 * time.Second}} {
		results := map[gopprof.AgreementResult]int{}
		for phase := time.Duration(0); phase < time.Minute; phase += time.Second {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				reading := minute(began, 0.96)
				reading.Start = began.Add(-10 * time.Second)
				source := lateMinutes{newest: began.Add(phase - 3*time.Minute), jump: reading.Start, late: c.late}
				witness := witnessOf(source, 0)
				witness.local, witness.wait = source.local, c.wait
				got := witness.Agree(t.Context(), judge.Fired{Target: target, Evidence: gopprof.Evidence{
					Resource: gopprof.ResourceMemory, Policy: gopprof.PolicyConfirm, Threshold: 0.95, AtOnce: true, Windows: []gopprof.Window{reading},
				}})
				results[got.Result]++
				for _, compared := range got.Compared {
					if compared.Series != 0.96 {
						t.Errorf("phase %s, late %s: %s by %+v, which saw nothing of it", phase, c.late, got.Result, compared)
					}
				}
				if got.Result == gopprof.AgreementUnavailable && got.Reason != gopprof.ReasonSeriesStale {
					t.Errorf("phase %s, late %s: %+v", phase, c.late, got)
				}
			})
		}
		confirmed, unavailable := results[gopprof.AgreementConfirmed], results[gopprof.AgreementUnavailable]
		t.Logf("wait %s, minutes %s late: %v", c.wait, c.late, results)
		switch {
		case confirmed+unavailable != 60:
			t.Errorf("wait %s, late %s: %v, want nothing contradicted", c.wait, c.late, results)
		case c.wait < time.Minute && (confirmed == 0 || unavailable == 0):
			t.Errorf("wait %s, late %s: %v, want some of both", c.wait, c.late, results)
		case c.wait > time.Minute && unavailable > 0:
			t.Errorf("wait %s, late %s: %v, want all confirmed", c.wait, c.late, results)
		}
	}
}

func TestAgreeGivesUpInTime(t *testing.T) {
	for name, script := range map[string]answer{"nothing": {}, "away": {err: errors.New("away")}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				got := witnessOf(&answers{script: []answer{script}}, 0.9).Agree(t.Context(), firedNow())
				if got.Result != gopprof.AgreementUnavailable || got.Reason == "" {
					t.Errorf("%+v, want unavailable and why", got)
				}
				if waited := time.Since(began); waited > 30*time.Second {
					t.Errorf("waited %s", waited)
				}
			})
		})
	}
}

func TestAgreeIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fired := firedNow()
		source := &answers{script: []answer{{}}}
		witness := witnessOf(source, 0.9)
		fired.Evidence.Policy = gopprof.PolicyLocal
		if got := witness.Agree(t.Context(), fired); got.Reason != gopprof.ReasonSeriesOff || source.asked != 0 {
			t.Errorf("policy local: %+v after %d questions", got, source.asked)
		}
		fired.Evidence.Policy = gopprof.PolicyConfirm
		witness.source = nil
		if got := witness.Agree(t.Context(), fired); got.Reason != gopprof.ReasonSeriesOff {
			t.Errorf("no series: %+v", got)
		}
	})
}

// What fires together asks together.
func TestFiringsThatComeTogetherAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fired := firedNow()
		source := &answers{script: []answer{{windows: []gopprof.Window{minute(time.Now(), 0.9)}}}}
		witness := witnessOf(source, 0.9)
		for range 20 {
			witness.Agree(t.Context(), fired)
		}
		if source.asked != 1 {
			t.Errorf("asked %d times", source.asked)
		}
	})
}

func TestAuditCountsHeatThatOnlyTheSeriesSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		witness := witnessOf(&answers{script: []answer{{}}}, 0.2)
		config := judge.DefaultConfig()
		a := newAudit(witness, config.Rules(), prometheus.NewRegistry(), zap.NewNop())
		now := time.Now()
		a.compare(target, []gopprof.Window{minute(now.Add(-time.Minute), 0.95), minute(now, 0.3)}, now.Add(-10*time.Minute))
		if n := testutil.ToFloat64(a.disagree.WithLabelValues("cpu")); n != 1 {
			t.Errorf("%v disagreements of the cpu rule, want 1", n)
		}
	})
}

func TestSeriesWindowsEndAtTheNewestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		witness := witnessOf(nil, 0)
		witness.answers = map[gopprof.SeriesKey][]gopprof.Window{target.Series(): {minute(now.Add(-2*time.Minute), 0.1), minute(now.Add(-time.Minute), 0.9), minute(now, 0.95)}}
		of := ofTarget{seriesWindows{witness}, target}
		windows := of.Windows("", time.Minute, 2)
		if len(windows) != 2 || windows[0].CPU.Ratio != 0.9 || windows[1].CPU.Ratio != 0.95 || !windows[1].End.Equal(now) {
			t.Errorf("windows %+v", windows)
		}
		double := of.Windows("", 2*time.Minute, 1)
		if len(double) != 1 || double[0].CPU.Ratio < 0.924 || double[0].CPU.Ratio > 0.926 || double[0].CoveredRatio != 1 {
			t.Errorf("a window of two intervals: %+v", double)
		}
	})
}

// asked is an aggregator that answers, or does not.
type asked struct {
	decision gopprof.Decision
	err      error
}

func (a asked) Ask(context.Context, gopprof.Firing) (gopprof.Decision, error) {
	return a.decision, a.err
}

func TestNodeDecidesUnderItsOwnBudgetWhenNobodyAnswers(t *testing.T) {
	for name, aggregator := range map[string]asked{
		"away":           {err: errors.New("away")},
		"without budget": {decision: gopprof.Decision{Reason: gopprof.ReasonNoAnswer}},
	} {
		t.Run(name, func(t *testing.T) { testOwnBudget(t, aggregator) })
	}
}

func testOwnBudget(t *testing.T, aggregator asked) {
	a := &asking{aggregator: aggregator, perHour: 2, newID: func() string { return "i" }, remember: func([]time.Time) {}, log: zap.NewNop()}
	ask := func(after time.Duration) gopprof.Decision {
		return a.Ask(t.Context(), gopprof.Firing{At: noon.Add(after)})
	}
	if first, second := ask(0), ask(time.Minute); !first.Go || !second.Go || first.Incident == "" {
		t.Errorf("%+v, %+v: want go", first, second)
	}
	if third := ask(2 * time.Minute); third.Go || third.Reason != gopprof.ReasonBudget {
		t.Errorf("%+v: want budget", third)
	}
	if later := ask(61 * time.Minute); !later.Go {
		t.Errorf("%+v an hour later: want go", later)
	}
}

// A capture that came to nothing gives its place back, as at the aggregator: a pod whose port is
// wrong uses up nobody's.
func TestOwnBudgetOfWhatCameToNothing(t *testing.T) {
	f := &fakes{hot: true, takeErr: &gopprof.Error{Reason: gopprof.ReasonUnreachable}}
	p := newTestPipeline(f)
	var saved []time.Time
	a := &asking{aggregator: asked{err: errors.New("away")}, perHour: 2, newID: func() string { return "i" },
		remember: func(recent []time.Time) { saved = slices.Clone(recent) }, log: zap.NewNop()}
	p.ask = a
	for range 5 {
		p.fire(t.Context(), []judge.Fired{{Target: target, Rule: p.judge.Rules()[0]}})
		if err := p.drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.recent) != 0 || len(saved) != 0 {
		t.Errorf("%d places are taken, %d written down", len(a.recent), len(saved))
	}
	a.CameToNothing("of somebody else")
	for i, want := range []bool{true, true, false} {
		if d := a.Ask(t.Context(), gopprof.Firing{Capture: fmt.Sprint(i), At: noon}); d.Go != want {
			t.Errorf("%d: %+v", i, d)
		}
	}
	a.CameToNothing("0")
	a.CameToNothing("0")
	if len(a.recent) != 1 {
		t.Errorf("given back twice: %d", len(a.recent))
	}
}

// A firing that cannot be sent is not put to anybody: that nobody answered is no reason to
// profile it.
func TestFiringThatCannotBeSentIsRefused(t *testing.T) {
	err := fmt.Errorf("asking about capture %q: %w", "c", bus.ErrInvalid)
	a := &asking{aggregator: asked{err: err}, perHour: 2, log: zap.NewNop()}
	want := gopprof.Decision{Reason: gopprof.ReasonBadInput}
	if got := a.Ask(t.Context(), gopprof.Firing{At: noon}); got != want || len(a.recent) > 0 {
		t.Errorf("got %+v, %d of the node's own budget", got, len(a.recent))
	}
}

func TestAggregatorsAnswerCounts(t *testing.T) {
	no := gopprof.Decision{Reason: gopprof.ReasonBudget}
	a := &asking{aggregator: asked{decision: no}, perHour: 2, log: zap.NewNop()}
	if got := a.Ask(t.Context(), gopprof.Firing{At: noon}); got != no {
		t.Errorf("got %+v", got)
	}
}

// hanging is an InfluxDB that answers nothing: each question ends after seven seconds, or
// with its context.
type hanging struct{ asked atomic.Int32 }

func (h *hanging) Windows(ctx context.Context, _ string, _, _ time.Time) (map[gopprof.SeriesKey][]gopprof.Window, error) {
	h.asked.Add(1)
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(7 * time.Second):
		return nil, errors.New("no whole answer in time")
	}
}

// However many fire together and however long InfluxDB takes to fail: no capture waits
// longer than was configured.
func TestHangingInfluxDBHoldsNoCaptureUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &hanging{}
		witness := witnessOf(source, 0.9)
		began, fired := time.Now(), firedNow()
		var done sync.WaitGroup
		for range 20 {
			done.Go(func() {
				got := witness.Agree(t.Context(), fired)
				if got.Result != gopprof.AgreementUnavailable || got.Reason != gopprof.ReasonSeriesUnreachable {
					t.Errorf("%+v, want unavailable, series_unreachable", got)
				}
				if waited := time.Since(began); waited > 30*time.Second {
					t.Errorf("waited %s, want 30s at most", waited)
				}
			})
		}
		done.Wait()
		if n := source.asked.Load(); n > 5 {
			t.Errorf("asked %d times: a failure is shared like an answer", n)
		}
	})
}

// A question that ended because its own asker went away says nothing to the others.
func TestCancelledQuestionIsNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		witness := witnessOf(&hanging{}, 0.9)
		ctx, cancel := context.WithCancel(t.Context())
		var gone sync.WaitGroup
		gone.Go(func() { witness.Agree(ctx, firedNow()) })
		synctest.Wait()
		cancel()
		gone.Wait()
		witness.source = &answers{script: []answer{{windows: []gopprof.Window{minute(time.Now(), 0.9)}}}}
		begin := time.Now()
		if got := witness.Agree(t.Context(), firedNow()); got.Result != gopprof.AgreementConfirmed || time.Since(begin) > 0 {
			t.Errorf("%+v after %s, want confirmed at once", got, time.Since(begin))
		}
	})
}

// While profiling is paused nobody is asked, and the node decides nothing by itself.
func TestAskingWhilePaused(t *testing.T) {
	paused := true
	a := &asking{
		paused: func() bool { return paused }, aggregator: asked{err: errors.New("away")}, perHour: 1,
		newID: func() string { return "i" }, remember: func([]time.Time) {}, log: zap.NewNop(),
	}
	if d := a.Ask(t.Context(), gopprof.Firing{At: time.Now()}); d.Go || d.Reason != gopprof.ReasonPaused || len(a.recent) != 0 {
		t.Errorf("paused: %+v", d)
	}
	paused = false
	if d := a.Ask(t.Context(), gopprof.Firing{At: time.Now()}); !d.Go {
		t.Errorf("afterwards: %+v", d)
	}
}

// memoryOf is a container whose memory is what the test says.
type memoryOf struct {
	began time.Time
	ratio float64
}

func (m *memoryOf) Read(_ context.Context, t gopprof.Target, now time.Time) (observe.Sample, error) {
	return observe.Sample{At: now, Clock: now.Sub(m.began), HasMemory: true, WorkingSetBytes: uint64(1e9 * m.ratio), MemoryLimitBytes: 1e9}, nil
}

func (m *memoryOf) Forget(string) {}

// What was started in the place of a container that fired at once, and was killed for it, says
// nothing of it: also where it is as large by the end of Heapster's minute, and Heapster, which
// knows names only, saw that.
func TestSuccessorIsNoWitness(t *testing.T) {
	for container, want := range map[string]gopprof.AgreementResult{"first": gopprof.AgreementConfirmed, "second": gopprof.AgreementUnavailable} {
		t.Run(container, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := &memoryOf{began: time.Now()}
				app := &App{observe: observe.New(observe.DefaultConfig(), memory, zap.NewNop(), prometheus.NewRegistry())}
				look := func(container string, ratio float64) gopprof.Target {
					of := target
					of.ContainerID, memory.ratio = container, ratio
					seen := app.observe.Observe(t.Context(), []gopprof.Target{of}, time.Now())
					time.Sleep(10 * time.Second)
					return seen[0].Target
				}
				look("first", 0.9)
				fired := look("first", 0.96)
				reading, ok := localWindows{app.observe}.Latest(target.Key())
				if !ok {
					t.Fatal("no reading")
				}
				for range 6 {
					look(container, 0.9)
				}
				witness := witnessOf(&answers{script: []answer{{windows: []gopprof.Window{minute(reading.Start.Add(65*time.Second), 0.9)}}}}, 0)
				witness.local = app.localOf
				got := witness.Agree(t.Context(), judge.Fired{Target: fired, Evidence: gopprof.Evidence{
					Resource: gopprof.ResourceMemory, Policy: gopprof.PolicyConfirm, Threshold: 0.95, AtOnce: true, Windows: []gopprof.Window{reading},
				}})
				if got.Result != want {
					t.Errorf("%+v, want %s", got, want)
				}
			})
		})
	}
}
