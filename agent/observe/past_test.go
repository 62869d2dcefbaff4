package observe_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// past is what is told of a target at the end of a capture that ends now.
func (w *world) past(t gopprof.Target) observe.Past {
	return w.Past(t, w.now().Add(-gopprof.HistoryLength), w.now())
}

// inOrder requires points that follow each other, oldest first, without a gap.
func inOrder(t *testing.T, points []gopprof.Point) {
	t.Helper()
	for i, p := range points {
		if !p.End.After(p.Start) || p.Start.Location() != time.UTC || i > 0 && !p.Start.Equal(points[i-1].End) {
			t.Fatalf("point %d of %d: %+v after %+v", i, len(points), p, points[max(0, i-1)])
		}
	}
}

func TestPastIsTheLastQuarterOfAnHour(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	l := w.start("web")
	l.cores, l.throttled, l.WorkingSetBytes, l.AnonymousBytes = 0.87654321, 0.123456, 900, 700
	w.watch(25 * time.Minute)
	w.pass(3 * time.Second)
	points := w.past(w.targets[0]).Points
	inOrder(t, points)
	if first, last := points[0], points[len(points)-1]; len(points) != 90 ||
		first.Start.After(w.now().Add(-gopprof.HistoryLength)) || !last.End.Equal(w.now().Add(-3*time.Second)) {
		t.Errorf("%d points of %s to %s", len(points), first.Start, last.End)
	}
	want := gopprof.Point{
		HasCPU: true, CPUCores: 0.8765, CPULimitCores: 1, ThrottledRatio: 0.12,
		HasMemory: true, MemoryBytes: 900, MemoryLimitBytes: 1000, AnonymousBytes: 700,
	}
	want.Start, want.End = points[7].Start, points[7].End
	if points[7] != want {
		t.Errorf("%+v\nwant %+v", points[7], want)
	}
}

// A witness that does not account for a resource says so, and nothing is 0 of it.
func TestPastTellsWhatWasRead(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	cpu, memory := w.start("cpu"), w.start("memory")
	cpu.HasMemory, memory.HasCPU = false, false
	cpu.cores = 0.5
	w.watch(time.Minute)
	for _, p := range w.past(w.targets[0]).Points {
		if !p.HasCPU || p.HasMemory || p.MemoryLimitBytes != 0 || p.CPULimitCores != 1 {
			t.Errorf("of CPU alone: %+v", p)
		}
	}
	for _, p := range w.past(w.targets[1]).Points {
		if p.HasCPU || !p.HasMemory || p.MemoryLimitBytes != 1000 || p.CPULimitCores != 0 {
			t.Errorf("of memory alone: %+v", p)
		}
	}
}

// Reading ten times a second gives more than a capture may carry: what is old is told
// coarsely, what is new exactly, and as much is used in all.
func TestPastIsThinnedOut(t *testing.T) {
	cfg := observe.DefaultConfig()
	cfg.WarmInterval, cfg.QuietInterval, cfg.Keep = 100*time.Millisecond, 100*time.Millisecond, 6*time.Minute
	w := newWorld(t, cfg)
	l := w.start("web")
	for i := range 360 { // of a second each
		l.cores = float64(i%7) / 7
		w.watch(time.Second)
	}
	points := w.past(w.targets[0]).Points
	inOrder(t, points)
	if len(points) > gopprof.MaxHistory || len(points) < gopprof.MaxHistory*9/10 {
		t.Fatalf("%d points, want nearly %d", len(points), gopprof.MaxHistory)
	}
	for _, p := range points[len(points)-gopprof.MaxHistory/2:] {
		if p.End.Sub(p.Start) != 100*time.Millisecond {
			t.Errorf("the newest: %s long", p.End.Sub(p.Start))
		}
	}
	used := 0.0
	for _, p := range points {
		used += p.CPUCores * p.End.Sub(p.Start).Seconds()
	}
	if before := used - l.CPU.Seconds(); math.Abs(before) > 1 {
		t.Errorf("%g CPU seconds told, %g used", used, l.CPU.Seconds())
	}
	if told, err := json.Marshal(points); err != nil || len(told) > 128<<10 {
		t.Errorf("%d bytes, %v", len(told), err)
	}
}

// What is configured to be forgotten sooner is not told.
func TestPastIsNotLongerThanWhatIsKept(t *testing.T) {
	cfg := observe.DefaultConfig()
	cfg.Keep = 5 * time.Minute
	w := newWorld(t, cfg)
	w.start("web").cores = 0.9
	w.watch(20 * time.Minute)
	if points := w.past(w.targets[0]).Points; len(points) != 30 {
		t.Errorf("%d points of five minutes", len(points))
	}
}

func TestPastOfATargetThatIsNotThere(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	l := w.start("web")
	l.cores = 0.9
	w.watch(5 * time.Minute)
	web := w.targets[0]

	recreated := web
	recreated.PodUID = "another"
	if past := w.past(recreated); past.Points != nil {
		t.Errorf("of a pod of the same name: %d points", len(past.Points))
	}
	restarted := web
	restarted.ContainerID = "c2"
	if past := w.past(restarted); past.Points != nil {
		t.Errorf("of another container: %d points", len(past.Points))
	}
	otherCgroup := web
	otherCgroup.Cgroup.Instance = 2
	if past := w.past(otherCgroup); past.Points != nil {
		t.Errorf("of another cgroup: %d points", len(past.Points))
	}

	l.err = observe.ErrGone
	w.watch(30 * time.Second)
	w.targets = nil
	w.watch(time.Minute)
	if past := w.past(web); len(past.Points) < 25 {
		t.Errorf("gone a minute ago: %d points", len(past.Points))
	}
	w.watch(5 * time.Minute)
	if past := w.past(web); past.Points != nil {
		t.Errorf("gone long ago: %d points", len(past.Points))
	}
}

// A wall clock that was set moves no point against another.
func TestPastAfterTheClockWasSet(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	w.start("web").cores = 0.9
	w.watch(5 * time.Minute)
	w.set = -time.Hour
	w.watch(5 * time.Minute)
	points := w.past(w.targets[0]).Points
	inOrder(t, points)
	if len(points) != 60 || !points[59].End.Equal(w.now()) {
		t.Errorf("%d points until %s, now %s", len(points), points[len(points)-1].End, w.now())
	}
}

func TestPastNamesWhatStandsInForALimit(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	w.start("web").CPUBasis = gopprof.BasisNode
	w.watch(time.Minute)
	if past := w.past(w.targets[0]); past.CPUBasis != gopprof.BasisNode || past.MemoryBasis != gopprof.BasisLimit {
		t.Errorf("%+v", past)
	}
}
