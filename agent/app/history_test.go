package app

import (
	"context"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/accept"
	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// remembered is what an observer tells of any target; nil is a defect.
type remembered struct {
	past  *observe.Past
	asked []time.Time // the ends
}

func (r *remembered) Past(_ gopprof.Target, _, end time.Time) observe.Past {
	r.asked = append(r.asked, end)
	past := *r.past
	past.Points = slices.Clone(past.Points)
	return past
}

// aReading is what cAdvisor saw of the target: a point of 0.9 cores.
func aReading(start time.Time) *remembered {
	return &remembered{past: &observe.Past{Points: []gopprof.Point{{
		Start: start, End: start.Add(10 * time.Second), HasCPU: true, CPUCores: 0.9, CPULimitCores: 1, HasMemory: true, MemoryBytes: 5, MemoryLimitBytes: 9,
	}}}}
}

func historianOf(local *remembered, series *past) *historian {
	return &historian{local: local, series: series, guard: newGuard(zap.NewNop(), newRegistry()), log: zap.NewNop()}
}

// profiler takes a heap profile of anything.
type profiler struct {
	fullTaker
	lasts time.Duration
	err   error
}

func (p profiler) Take(_ context.Context, o gopprof.Order) (gopprof.Capture, error) {
	if p.err != nil {
		return gopprof.Capture{}, p.err
	}
	time.Sleep(p.lasts)
	now := time.Now().UTC()
	return gopprof.Capture{ID: o.Capture, Incident: o.Incident, Trigger: o.Trigger, Target: o.Target, Start: now, End: now,
		Profiles: []gopprof.Profile{{Kind: gopprof.KindHeap}}}, nil
}

func (p profiler) Start(ctx context.Context, o gopprof.Order) (func() (gopprof.Capture, error), error) {
	return func() (gopprof.Capture, error) { return p.Take(ctx, o) }, nil
}

// rulePipeline fires at once, and asks the series, when they are asked, by the witness.
func rulePipeline(f *fakes, witness *secondWitness, h *historian, taking fullTaker) *pipeline {
	p := newTestPipeline(f)
	p.agree, p.now = witness, time.Now
	p.take, p.publish = historyTaker{taking, h}, historyPublisher{f, h}
	return p
}

// A memory rule's capture is taken at once, and the series' minute comes half a minute
// later: by then the container may have been killed and replaced.
func TestRulesCaptureTellsItsHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		series := everyMinute()
		series.late, series.mended = 2*time.Minute, time.Now().Add(5*time.Second)
		witness := witnessOf(series, 0.9)
		local := aReading(time.Now().Add(-time.Minute))
		f := &fakes{decision: gopprof.Decision{Go: true, Incident: "i"}}
		p := rulePipeline(f, witness, historianOf(local, &witness.past), profiler{lasts: time.Second})
		fired := firedNow()
		fired.Rule = judge.DefaultConfig().Rules()[0]
		p.captures.Go(func() { p.capture(t.Context(), fired, "id", zap.NewNop()) })
		time.Sleep(2 * time.Second)
		synctest.Wait()
		local.past.Points = nil // its readings went with the container
		if err := p.drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(f.held) != 1 || len(f.published) != 1 {
			t.Fatalf("held %d, published %d", len(f.held), len(f.published))
		}
		for name, c := range map[string]gopprof.Capture{"held": f.held[0], "published": f.published[0]} {
			if len(c.History.Local) != 1 || len(c.History.Series) < 12 || c.History.SeriesBy != gopprof.WitnessHeapster {
				t.Errorf("%s: %+v", name, c.History)
			}
		}
		if held, published := f.held[0].History.Series, f.published[0].History.Series; len(published) <= len(held) {
			t.Errorf("%d minutes held, %d published: the newest came meanwhile", len(held), len(published))
		}
		if c := f.published[0]; len(local.asked) != 1 || !local.asked[0].Equal(c.End) {
			t.Errorf("readings asked for until %v, the capture ended at %s", local.asked, c.End)
		}
	})
}

// What was taken by hand or as a sibling tells what is known anyway: nobody is asked.
func TestCaptureByHandTellsItsHistory(t *testing.T) {
	for name, c := range map[string]struct {
		age  time.Duration // of the series' newest answer
		want bool
	}{"known": {time.Minute, true}, "too old": {3 * time.Minute, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				series := everyMinute()
				witness := witnessOf(series, 0.9)
				witness.Agree(t.Context(), firedNow())
				time.Sleep(c.age)
				published := byHand(t, historianOf(aReading(time.Now()), &witness.past), profiler{})
				if told := len(published.History.Series) > 0; told != c.want || len(published.History.Local) != 1 || len(series.asked) != 1 {
					t.Errorf("after %d questions: %+v", len(series.asked), published.History)
				}
			})
		})
	}
}

// byHand takes a capture as accept does, and returns what was published.
func byHand(t *testing.T, h *historian, taking fullTaker) gopprof.Capture {
	t.Helper()
	f := &fakes{}
	list := func() ([]gopprof.Target, []gopprof.Refusal) { return []gopprof.Target{target}, nil }
	a := accept.New(historyTaker{taking, h}, list, historyPublisher{f, h}, zap.NewNop(), prometheus.NewRegistry())
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- a.Run(ctx, ctx) }()
	synctest.Wait()
	reply := a.Capture(t.Context(), gopprof.CaptureRequest{
		Capture: "019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071", Kind: gopprof.TriggerSibling,
		Namespace: target.Namespace, Pod: target.Pod, Kinds: []gopprof.Kind{gopprof.KindHeap},
	})
	if !reply.Accepted {
		t.Fatalf("%+v", reply)
	}
	synctest.Wait()
	stop()
	if err := <-done; err != nil || len(f.published) != 1 {
		t.Fatalf("published %d, %v", len(f.published), err)
	}
	return f.published[0]
}

func TestCaptureThatCameToNothingTellsNoHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		witness := witnessOf(everyMinute(), 0.9)
		h := historianOf(aReading(time.Now()), &witness.past)
		nothing := profiler{err: &gopprof.Error{Reason: gopprof.ReasonContended}}
		f := &fakes{decision: gopprof.Decision{Go: true, Incident: "i"}}
		p := rulePipeline(f, witness, h, nothing)
		fired := firedNow()
		fired.Rule = judge.DefaultConfig().Rules()[0]
		witness.Agree(t.Context(), fired) // the series are known
		p.capture(t.Context(), fired, "id", zap.NewNop())
		for _, c := range append(f.published, byHand(t, h, nothing)) {
			if c.Failures == nil || c.History.Local != nil || c.History.Series != nil || c.History.SeriesBy != "" {
				t.Errorf("%+v", c)
			}
		}
	})
}

// A history that cannot be had, or that no message may carry, is left out and costs
// nobody the capture.
func TestBrokenHistoryCostsNoCapture(t *testing.T) {
	broken := aReading(noon)
	broken.past.Points[0].CPUCores = math.NaN()
	for name, local := range map[string]*remembered{"a defect": {}, "no number": broken} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if c := byHand(t, historianOf(local, &past{}), profiler{}); len(c.Profiles) != 1 || c.History.Local != nil {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}

// A node's capacity is a limit only beside evidence that calls it by its name.
func TestWhatStandsInForALimitIsNotCalledOne(t *testing.T) {
	node := gopprof.Use{Limit: 1, Basis: gopprof.BasisNode}
	for name, c := range map[string]struct {
		evidence    *gopprof.Evidence
		cpu, memory float64
	}{
		"by hand":       {nil, 0, 9},
		"of the rule":   {&gopprof.Evidence{Windows: []gopprof.Window{{CPU: node}}}, 1, 9},
		"of the series": {&gopprof.Evidence{Windows: []gopprof.Window{minute(noon, 0.9)}}, 0, 9},
	} {
		seen := aReading(noon).Past(target, noon, noon)
		seen.CPUBasis = gopprof.BasisNode
		if p := named(seen, c.evidence)[0]; p.CPULimitCores != c.cpu || p.MemoryLimitBytes != c.memory || p.CPUCores != 0.9 {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestFiringSaysWhatSiblingsAreAskedFor(t *testing.T) {
	fired := judge.Fired{Target: target, Rule: judge.DefaultConfig().Rules()[0], Evidence: gopprof.Evidence{Threshold: 0.95}}
	if f := firingOf(fired, "id", noon); f.Threshold != 0.95 || f.CPUSeconds != 30 || !slices.Equal(f.Kinds, fired.Rule.Kinds) {
		t.Errorf("%+v", f)
	}
}
