package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/judge"
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
		local: func(string) judge.Local {
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
		if got := witness.Agree(t.Context(), firedNow()); got.Result != gopprof.AgreementConfirmed {
			t.Errorf("%+v, want confirmed", got)
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
