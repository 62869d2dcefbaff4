package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/heapster"
)

// aSeries answers with a window for each whole minute that a question spans, as the source
// does.
type aSeries struct {
	ratio float64
	late  time.Duration // the newest minute ended so long ago
	by    gopprof.Witness
	spoil func([]gopprof.Window) []gopprof.Window // changes the answer, if not nil
	most  time.Duration                           // a longer answer is too large, if not 0
	away  error                                   // instead of an answer

	mended time.Time // when late and away are over; zero: never

	asked []time.Duration // how far back each question went
}

func (d *aSeries) Windows(_ context.Context, _ string, from, to time.Time) (map[gopprof.SeriesKey][]gopprof.Window, error) {
	d.asked = append(d.asked, to.Sub(from))
	late, mended := d.late, !d.mended.IsZero() && !time.Now().Before(d.mended)
	if mended {
		late = 0
	}
	switch {
	case d.away != nil && !mended:
		return nil, d.away
	case d.most > 0 && to.Sub(from) > d.most:
		return nil, fmt.Errorf("asking InfluxDB: %w", heapster.ErrTooLarge)
	}
	var windows []gopprof.Window
	for end := from.Truncate(time.Minute); !end.After(to.Add(-late)); end = end.Add(time.Minute) {
		if w := minute(end, d.ratio); !w.Start.Before(from) {
			w.Witness = d.by
			windows = append(windows, w)
		}
	}
	if d.spoil != nil {
		windows = d.spoil(windows)
	}
	return map[gopprof.SeriesKey][]gopprof.Window{target.Series(): windows}, nil
}

func everyMinute() *aSeries { return &aSeries{ratio: 0.9, by: gopprof.WitnessHeapster} }

// toldNow is what a capture that ends now would tell of the series.
func (w *secondWitness) toldNow(t gopprof.Target) ([]gopprof.Point, gopprof.Witness) {
	now := time.Now()
	return w.past.told(t, now.Add(-gopprof.HistoryLength), now, now.Add(-seriesAge))
}

// whole requires a point for each minute of the last quarter of an hour.
func whole(t *testing.T, points []gopprof.Point) {
	t.Helper()
	if len(points) < 14 || len(points) > 16 {
		t.Fatalf("%d points: %+v", len(points), points)
	}
	for i := 1; i < len(points); i++ {
		if !points[i].Start.Equal(points[i-1].End) {
			t.Errorf("%s follows %s", points[i].Start, points[i-1].End)
		}
	}
}

// The first question of a firing is for the picture as well; what is asked again and again
// is not more than the comparison needs.
func TestFirstQuestionGoesBackAQuarterOfAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		series := everyMinute()
		series.late, series.mended = 2*time.Minute, time.Now().Add(10*time.Second) // nothing of the hot span for a while
		witness := witnessOf(series, 0.9)
		fired := firedNow()
		if got := witness.Agree(t.Context(), fired); got.Result != gopprof.AgreementConfirmed {
			t.Errorf("%+v", got)
		}
		if want := []time.Duration{15 * time.Minute}; len(series.asked) < 3 || !slices.Equal(series.asked[:1], want) || slices.Max(series.asked[1:]) > 5*time.Minute {
			t.Errorf("questions went back %v", series.asked)
		}
		points, by := witness.toldNow(target)
		whole(t, points)
		if p := points[3]; by != gopprof.WitnessHeapster || p.CPUCores != 0.9 || p.CPULimitCores != 1 || !p.HasCPU || !p.HasMemory || p.ThrottledRatio != 0 {
			t.Errorf("by %q: %+v", by, p)
		}

		time.Sleep(time.Minute)
		series.asked = nil
		witness.Agree(t.Context(), firedNow())
		if len(series.asked) != 1 || series.asked[0] > 5*time.Minute {
			t.Errorf("a minute later: questions went back %v", series.asked)
		}
		points, _ = witness.toldNow(target)
		whole(t, points)

		time.Sleep(time.Hour)
		series.asked = nil
		witness.Agree(t.Context(), firedNow())
		if len(series.asked) != 1 || series.asked[0] != 15*time.Minute {
			t.Errorf("an hour later: questions went back %v", series.asked)
		}
	})
}

// The comparison is given what it was always given, however far back was asked.
func TestWiderQuestionGivesTheSameAgreement(t *testing.T) {
	ahead := func(windows []gopprof.Window) []gopprof.Window { // as of a writer whose clock is ahead
		for i := range windows {
			windows[i].HasCPU, windows[i].HasMemory, windows[i].AbsurdPoints = false, false, 1
		}
		return windows
	}
	onlyOld := func(windows []gopprof.Window) []gopprof.Window { return windows[:min(5, len(windows))] }
	for name, c := range map[string]struct {
		series aSeries
		result gopprof.AgreementResult
		reason gopprof.Reason
	}{
		"hot":                   {aSeries{ratio: 0.9}, gopprof.AgreementConfirmed, ""},
		"cold":                  {aSeries{ratio: 0.2}, gopprof.AgreementContradicted, ""},
		"record's":              {aSeries{ratio: 0.9, by: gopprof.WitnessRecord}, gopprof.AgreementSingle, ""},
		"stale":                 {aSeries{late: 100 * time.Second}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesStale},
		"absent for minutes":    {aSeries{late: 8 * time.Minute}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsent},
		"ahead":                 {aSeries{spoil: ahead}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsurd},
		"ahead since minutes":   {aSeries{late: 8 * time.Minute, spoil: ahead}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsurd},
		"too large":             {aSeries{ratio: 0.9, most: 10 * time.Minute}, gopprof.AgreementConfirmed, ""},
		"ended before the heat": {aSeries{ratio: 0.9, spoil: onlyOld}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsent},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(5 * time.Second) // no minute ends with the hot span
				witness := witnessOf(&c.series, 0.9)
				witness.wait = 0
				if got := witness.Agree(t.Context(), firedNow()); got.Result != c.result || got.Reason != c.reason {
					t.Errorf("%+v, want %s %s", got, c.result, c.reason)
				}
			})
		})
	}
}

// An answer that is too large for a quarter of an hour costs one question, once.
func TestTooLargeAnAnswerIsNotAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		series := everyMinute()
		series.most = 10 * time.Minute
		witness := witnessOf(series, 0.9)
		for range 2 {
			if got := witness.Agree(t.Context(), firedNow()); got.Result != gopprof.AgreementConfirmed {
				t.Errorf("%+v", got)
			}
			time.Sleep(time.Hour)
		}
		if len(series.asked) != 3 || slices.Max(series.asked[1:]) > 5*time.Minute {
			t.Errorf("questions went back %v", series.asked)
		}
	})
}

// One answer that was too large, as a server that is broken for a moment sends, does not cost
// the history of every capture until the next restart.
func TestTooLargeAnAnswerIsForgottenAfterHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		series := everyMinute()
		series.most = 10 * time.Minute
		witness := witnessOf(series, 0.9)
		witness.Agree(t.Context(), firedNow())
		series.most = 0
		time.Sleep(narrowFor)
		witness.Agree(t.Context(), firedNow())
		points, _ := witness.toldNow(target)
		whole(t, points)
	})
}

// After a failure the next question is as small as it can be.
func TestAfterAFailureOnlyWhatIsNeededIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		series := everyMinute()
		series.away, series.mended = errors.New("no answer"), time.Now().Add(time.Second)
		witness := witnessOf(series, 0.9)
		if got := witness.Agree(t.Context(), firedNow()); got.Result != gopprof.AgreementConfirmed {
			t.Errorf("%+v", got)
		}
		if len(series.asked) != 2 || series.asked[1] > 5*time.Minute {
			t.Errorf("questions went back %v", series.asked)
		}
	})
}

func TestSeriesOfTheTargetAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		series := everyMinute()
		witness := witnessOf(series, 0.9)
		witness.Agree(t.Context(), firedNow())

		young := target
		young.Started = time.Now().Add(-4 * time.Minute)
		points, _ := witness.toldNow(young)
		if len(points) < 3 || len(points) > 4 || points[0].Start.Before(young.Started) {
			t.Errorf("of a container of four minutes: %+v", points)
		}
		other := target
		other.Pod = "another"
		if points, by := witness.toldNow(other); points != nil || by != "" {
			t.Errorf("of another pod, by %q: %+v", by, points)
		}
		time.Sleep(seriesAge + time.Second)
		if points, by := witness.toldNow(target); points != nil || by != "" {
			t.Errorf("of an old answer, by %q: %d points", by, len(points))
		}
	})
}

// Two writers' minutes may overlap: those of one are told.
func TestSeriesOfOneWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		series := everyMinute()
		series.by = gopprof.WitnessRecord
		witness := witnessOf(series, 0.9)
		witness.Agree(t.Context(), firedNow())
		time.Sleep(2 * time.Minute)
		series.by = gopprof.WitnessHeapster
		witness.Agree(t.Context(), firedNow())
		if points, by := witness.toldNow(target); by != gopprof.WitnessHeapster || len(points) < 3 || len(points) > 5 {
			t.Errorf("by %q: %d points", by, len(points))
		}
	})
}

// What is known of the series goes back a quarter of an hour, however long answers come,
// and forgets containers that are not there any more.
func TestPastIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		series := everyMinute()
		witness := witnessOf(series, 0.9)
		for range 60 { // as under the policy "series"
			if _, err := witness.windows(t.Context(), time.Now().Add(-5*time.Minute)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		points, _ := witness.toldNow(target)
		whole(t, append(points, gopprof.Point{Start: points[len(points)-1].End}))
		if n := len(witness.past.of[target.Series()].points); n > 16 {
			t.Errorf("%d points kept", n)
		}
		series.spoil = func([]gopprof.Window) []gopprof.Window { return nil }
		for range 20 {
			if _, err := witness.windows(t.Context(), time.Now().Add(-5*time.Minute)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if len(witness.past.of) != 0 {
			t.Errorf("kept %+v", witness.past.of)
		}
	})
}

// A server that names other containers in each answer fills no memory: the oldest answers are
// forgotten, and nothing is said of their time.
func TestPastOfContainersWithoutEnd(t *testing.T) {
	const inOne, answers = 2000, 55
	of := func(i, j int) gopprof.SeriesKey {
		return gopprof.SeriesKey{Namespace: "shop", Pod: fmt.Sprintf("%d-%d", i, j), Container: "c"}
	}
	var p past
	began := time.Now()
	for i := range answers {
		from := began.Add(time.Duration(i) * 10 * time.Second)
		answer := map[gopprof.SeriesKey][]gopprof.Window{}
		for j := range inOne {
			answer[of(i, j)] = []gopprof.Window{minute(from.Add(time.Minute), 0.5)}
		}
		p.add(answer, from, from.Add(5*time.Minute), time.Minute)
		if n := len(p.of); n > pastMost {
			t.Fatalf("after %d answers %d containers are remembered", i+1, n)
		}
	}
	for i := range answers { // all since a moment, and nothing of before
		from := began.Add(time.Duration(i) * 10 * time.Second)
		if known := len(p.of[of(i, 0)].points) == 1; known == from.Before(p.from) {
			t.Errorf("since %s: of %s known %t", p.from.Sub(began), from.Sub(began), known)
		}
	}
	if len(p.of[of(answers-1, 0)].points) != 1 {
		t.Error("the newest answer is not known")
	}
}

// Under the policy "local" nobody asks, and nothing is told.
func TestNoSeriesUnderThePolicyLocal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		series := everyMinute()
		witness := witnessOf(series, 0.9)
		fired := firedNow()
		fired.Evidence.Policy = gopprof.PolicyLocal
		witness.Agree(t.Context(), judge.Fired{Target: target, Evidence: fired.Evidence})
		if points, by := witness.toldNow(target); points != nil || by != "" || len(series.asked) != 0 {
			t.Errorf("by %q: %+v", by, points)
		}
	})
}
