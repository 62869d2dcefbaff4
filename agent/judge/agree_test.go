package judge

import (
	"fmt"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

func (r readings) local(resource gopprof.Resource) Local {
	return func(from, to time.Time) (gopprof.Window, bool) {
		w := r.over(resource, from, to)
		return w, w.CoveredRatio >= gopprof.MinCovered
	}
}

// seriesOf makes Heapster's minutes out of what a target did, with minute ends that are
// phase after ours, as an honest second witness would have written them.
func seriesOf(use readings, phase time.Duration, until time.Time) []gopprof.Window {
	var series []gopprof.Window
	for end := start.Add(phase); !end.After(until); end = end.Add(time.Minute) {
		w := use.over(gopprof.ResourceCPU, end.Add(-time.Minute), end)
		w.Witness, w.CoveredRatio = gopprof.WitnessHeapster, 1
		if w.Readings > 0 {
			series = append(series, w)
		}
	}
	return series
}

// Every phase of onset against the series' minutes confirms, with the points that have
// arrived when a 30 s capture ends: those whose minute ended with the hot span.
func TestEveryPhaseOfOnsetConfirms(t *testing.T) {
	for phase := time.Duration(0); phase < time.Minute; phase += time.Second {
		for calm := 12; calm < 18; calm++ {
			t.Run(fmt.Sprintf("%s after %d calm readings", phase, calm), func(t *testing.T) {
				use := make(readings, calm, calm+12)
				for i := range use {
					use[i] = 0.2
				}
				use = append(use, hot...)
				now := start.Add(time.Duration(len(use)) * step)
				evidence, reason := evidenceOf(cpuOnly().Rules()[0], Seen{Windows: until{use, gopprof.ResourceCPU, now}.Windows("", time.Minute, 2)}, now)
				if evidence == nil {
					t.Fatalf("did not fire: %s", reason)
				}
				got := Agree(*evidence, seriesOf(use, phase, now), use.local(gopprof.ResourceCPU))
				if got.Result != gopprof.AgreementConfirmed {
					t.Errorf("%s: %s (%+v)", got.Result, got.Detail, got.Compared)
				}
			})
		}
	}
}

func minute(from int, ratio float64) gopprof.Window {
	use := gopprof.Use{Mean: ratio, Limit: 1, Ratio: ratio}
	s := start.Add(time.Duration(from) * time.Second)
	return gopprof.Window{Witness: gopprof.WitnessHeapster, Start: s, End: s.Add(time.Minute), CPU: use, Memory: use, HasCPU: true, HasMemory: true, Readings: 1, CoveredRatio: 1}
}

func TestAgree(t *testing.T) {
	use := readings{0.2, 0.2, 0.2, 0.2, 0.2, 0.2}
	use = append(use, hot...)
	s := start.Add(time.Minute)
	evidence := gopprof.Evidence{Resource: gopprof.ResourceCPU, Threshold: 0.8, Windows: []gopprof.Window{{Start: s, End: s.Add(time.Minute)}, {Start: s.Add(time.Minute), End: s.Add(2 * time.Minute)}}}
	withLimit := func(w gopprof.Window, limit float64) gopprof.Window { w.CPU.Limit = limit; return w }
	byRecord := minute(65, 0.9)
	byRecord.Witness = gopprof.WitnessRecord
	memoryOnly := minute(65, 0.9)
	memoryOnly.HasCPU = false
	absurd := func(from int) gopprof.Window {
		w := minute(from, 0.9)
		w.HasCPU, w.HasMemory, w.AbsurdPoints = false, false, 2
		return w
	}
	besides := minute(65, 0.9)
	besides.AbsurdPoints = 1
	for _, c := range []struct {
		name   string
		series []gopprof.Window
		want   gopprof.AgreementResult
		reason gopprof.Reason
		n      int
	}{
		{"saw it", []gopprof.Window{minute(65, 0.91)}, gopprof.AgreementConfirmed, "", 1},
		{"saw it, both minutes", []gopprof.Window{minute(60, 0.91), minute(120, 0.88)}, gopprof.AgreementConfirmed, "", 2},
		{"a little below the threshold", []gopprof.Window{minute(65, 0.79)}, gopprof.AgreementConfirmed, "", 1},
		{"saw nothing", []gopprof.Window{minute(65, 0.3)}, gopprof.AgreementContradicted, "", 1},
		{"only the minute before the heat", []gopprof.Window{minute(0, 0.2)}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesStale, 0},
		{"a minute half before the heat", []gopprof.Window{minute(30, 0.55)}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesStale, 0},
		{"a minute half after the heat", []gopprof.Window{minute(150, 0.5)}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesStale, 0},
		{"nothing", nil, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsent, 0},
		{"no limit in the series", []gopprof.Window{withLimit(minute(65, 0.9), 0)}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsent, 0},
		{"only the memory arrived", []gopprof.Window{memoryOnly}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsent, 0},
		{"no minute is the same to both clocks", []gopprof.Window{absurd(5), absurd(65), absurd(125)}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsurd, 0},
		{"the hot minute cannot be true", []gopprof.Window{minute(5, 0.2), absurd(65)}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsurd, 0},
		{"only absurd, and long ago", []gopprof.Window{absurd(0)}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsurd, 0},
		{"absurd before the heat, and nothing since", []gopprof.Window{absurd(-120), minute(0, 0.2)}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesStale, 0},
		{"one hot minute cannot be true, one can", []gopprof.Window{absurd(60), minute(120, 0.9)}, gopprof.AgreementConfirmed, "", 1},
		{"absurd beside what is compared", []gopprof.Window{besides}, gopprof.AgreementConfirmed, "", 1},
		{"absurd beside another resource", []gopprof.Window{absurdMemory(minute(0, 0.2))}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesStale, 0},
		{"written by ourselves", []gopprof.Window{byRecord}, gopprof.AgreementSingle, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Agree(evidence, c.series, use.local(gopprof.ResourceCPU))
			if got.Result != c.want || got.Reason != c.reason || len(got.Compared) != c.n {
				t.Errorf("got %+v, want %s %s with %d compared", got, c.want, c.reason, c.n)
			}
		})
	}
}

// absurdMemory is a window whose point of memory was dropped.
func absurdMemory(w gopprof.Window) gopprof.Window {
	w.HasMemory, w.AbsurdPoints = false, 1
	return w
}

// A leak is read once a minute by Heapster and every ten seconds by us: comparing its
// minute's end with our mean over the minute would contradict every steep climb.
func TestClimbingMemoryIsComparedAtTheMinutesEnd(t *testing.T) {
	var use readings
	for i := range 18 {
		use = append(use, 0.35+0.035*float64(i))
	}
	s := start.Add(time.Minute)
	evidence := gopprof.Evidence{Resource: gopprof.ResourceMemory, Threshold: 0.99, Windows: []gopprof.Window{{Start: s, End: s.Add(time.Minute)}, {Start: s.Add(time.Minute), End: s.Add(2 * time.Minute)}}}
	got := Agree(evidence, []gopprof.Window{minute(90, use[14])}, use.local(gopprof.ResourceMemory))
	if got.Result != gopprof.AgreementConfirmed {
		t.Errorf("%+v", got)
	}
}

// What fires at once has a span of one reading: only what the series say of that moment
// counts, and a quiet minute before it or after it says nothing.
func TestAtOnceComparesWithTheIntervalThatTouchesIt(t *testing.T) {
	calm := readings{0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}
	stays := append(calm[:11:11], 0.96, 0.96, 0.96, 0.96, 0.96, 0.96, 0.96, 0.96)
	falls := append(calm[:11:11], 0.96, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
	evidence := gopprof.Evidence{
		Resource: gopprof.ResourceMemory, Threshold: 0.95, AtOnce: true,
		Windows: []gopprof.Window{{Start: start.Add(110 * time.Second), End: start.Add(120 * time.Second)}},
	}
	for _, c := range []struct {
		name   string
		use    readings
		series []gopprof.Window
		want   gopprof.AgreementResult
		n      int
	}{
		{"ended most of a minute before, quiet", stays, []gopprof.Window{minute(-5, 0.5)}, gopprof.AgreementUnavailable, 0},
		{"ended a moment before, quiet", stays, []gopprof.Window{minute(49, 0.5)}, gopprof.AgreementUnavailable, 0},
		{"ended as the reading began", stays, []gopprof.Window{minute(50, 0.5)}, gopprof.AgreementUnavailable, 0},
		{"ended before the jump, which is in the reading", stays, []gopprof.Window{minute(51, 0.5)}, gopprof.AgreementUnavailable, 0},
		{"ended a little before the jump", stays, []gopprof.Window{minute(56, 0.5)}, gopprof.AgreementUnavailable, 0},
		{"ended in the reading and saw it", stays, []gopprof.Window{minute(56, 0.96)}, gopprof.AgreementConfirmed, 1},
		{"ended after it and saw it", stays, []gopprof.Window{minute(65, 0.96)}, gopprof.AgreementConfirmed, 1},
		{"ended after it and saw nearly as much", stays, []gopprof.Window{minute(70, 0.93)}, gopprof.AgreementConfirmed, 1},
		{"ended after it and saw nothing", stays, []gopprof.Window{minute(70, 0.5)}, gopprof.AgreementContradicted, 1},
		{"began after it", stays, []gopprof.Window{minute(120, 0.96)}, gopprof.AgreementUnavailable, 0},
		{"the minute before beside the one that saw it", stays, []gopprof.Window{minute(5, 0.5), minute(65, 0.96)}, gopprof.AgreementConfirmed, 1},
		{"ended when it was quiet again", falls, []gopprof.Window{minute(90, 0.5)}, gopprof.AgreementUnavailable, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Agree(evidence, c.series, c.use.local(gopprof.ResourceMemory))
			if got.Result != c.want || len(got.Compared) != c.n || (got.Result == gopprof.AgreementUnavailable) != (got.Reason == gopprof.ReasonSeriesStale) {
				t.Errorf("got %+v, want %s with %d compared", got, c.want, c.n)
			}
		})
	}
}

// Throttling's level is not one of CPU: there quiet CPU, seen by both, still compares.
func TestThrottledAtOnceComparesTheUseOfCPU(t *testing.T) {
	use := readings{0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4}
	evidence := gopprof.Evidence{
		Resource: gopprof.ResourceThrottled, Threshold: 0.9, AtOnce: true,
		Windows: []gopprof.Window{{Start: start.Add(50 * time.Second), End: start.Add(time.Minute)}},
	}
	if got := Agree(evidence, []gopprof.Window{minute(5, 0.42)}, use.local(gopprof.ResourceCPU)); got.Result != gopprof.AgreementConfirmed {
		t.Errorf("%+v", got)
	}
}

// Throttling has no series; there the use of CPU must be alike.
func TestThrottledComparesTheUseOfCPU(t *testing.T) {
	use := make(readings, 12)
	for i := range use {
		use[i] = 0.4
	}
	evidence := gopprof.Evidence{Resource: gopprof.ResourceThrottled, Threshold: 0.25, Windows: []gopprof.Window{{Start: start, End: start.Add(time.Minute)}, {Start: start.Add(time.Minute), End: start.Add(2 * time.Minute)}}}
	if got := Agree(evidence, []gopprof.Window{minute(20, 0.42)}, use.local(gopprof.ResourceCPU)); got.Result != gopprof.AgreementConfirmed {
		t.Errorf("alike: %+v", got)
	}
	if got := Agree(evidence, []gopprof.Window{minute(20, 0.9)}, use.local(gopprof.ResourceCPU)); got.Result != gopprof.AgreementContradicted {
		t.Errorf("unlike: %+v", got)
	}
}
