package observe_test

import (
	"testing"
	"time"

	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// step is a stretch of a target's life.
type step struct {
	lasts time.Duration
	do    func(*world, *load)
}

func uses(cores float64, lasts time.Duration) step {
	return step{lasts, func(_ *world, l *load) { l.cores, l.err = cores, nil }}
}

func fails(lasts time.Duration) step {
	return step{lasts, func(_ *world, l *load) { l.err = errTorn }}
}

func limit(cores float64) step {
	return step{0, func(_ *world, l *load) { l.CPULimitCores = cores }}
}

func set(clock time.Duration) step {
	return step{0, func(w *world, _ *load) { w.set += clock }}
}

// fixed makes an agent that reads at one interval only, or 0 for the default two.
func fixed(interval time.Duration) observe.Config {
	cfg := observe.DefaultConfig()
	if interval > 0 {
		cfg.WarmInterval, cfg.QuietInterval = interval, interval
	}
	return cfg
}

func (w *world) live(l *load, steps []step) {
	w.t.Helper()
	for _, s := range steps {
		s.do(w, l)
		if s.lasts > 0 {
			w.watch(s.lasts)
		}
	}
}

// want is what a window must say of the CPU.
type want struct {
	mean, ratio, covered float64
	readings             int
}

func TestWindows(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name     string
		interval time.Duration // 0: 10s and 30s, as by default
		steps    []step
		want     [2]want // of one minute each, the older first
	}{
		{"readings every 10s", 10 * s,
			[]step{uses(0.2, 60*s), uses(0.9, 60*s)},
			[2]want{{0.2, 0.2, 1, 6}, {0.9, 0.9, 1, 6}}},
		{"readings every 30s", 30 * s,
			[]step{uses(0.2, 60*s), uses(0.9, 60*s)},
			[2]want{{0.2, 0.2, 1, 2}, {0.9, 0.9, 1, 2}}},
		{"windows end at the newest reading, not at the minute", 10 * s,
			[]step{uses(0.2, 70*s), uses(0.9, 70*s)},
			[2]want{{0.2*5/6 + 0.9/6, 0.2*5/6 + 0.9/6, 1, 6}, {0.9, 0.9, 1, 6}}},
		{"a reading every 40s counts by its overlap", 40 * s,
			[]step{uses(0.3, 40*s), uses(0.6, 40*s), uses(0.9, 40*s)},
			[2]want{{0.4, 0.4, 1, 2}, {0.8, 0.8, 1, 2}}},
		{"a young target has only its own windows", 10 * s,
			[]step{uses(0.9, 90*s)},
			[2]want{{0.9, 0.9, 0.5, 3}, {0.9, 0.9, 1, 6}}},
		{"failed readings are made up for by the next, which is as good as a quiet one", 0,
			[]step{uses(0.6, 60*s), uses(0.9, 20*s), fails(29 * s), uses(0.9, 11*s)},
			[2]want{{0.6, 0.6, 1, 6}, {0.9, 0.9, 1, 4}}},
		{"failed for longer: not covered, and not guessed", 10 * s,
			[]step{uses(0.2, 60*s), uses(0.9, 20*s), fails(19 * s), uses(0.9, 21*s)},
			[2]want{{0.2, 0.2, 1, 6}, {0.9, 0.9, 4. / 6, 4}}},
		{"the clock jumps forwards by an hour", 10 * s,
			[]step{uses(0.2, 60*s), uses(0.9, 24*s), set(time.Hour), uses(0.9, 40*s)},
			[2]want{{0.2 + 0.7*4/60, 0.2 + 0.7*4/60, 1, 7}, {0.9, 0.9, 1, 7}}},
		{"the clock jumps backwards by an hour", 10 * s,
			[]step{uses(0.2, 60*s), uses(0.9, 24*s), set(-time.Hour), uses(0.9, 40*s)},
			[2]want{{0.2 + 0.7*4/60, 0.2 + 0.7*4/60, 1, 7}, {0.9, 0.9, 1, 7}}},
		{"the clock jumps to and fro", 10 * s,
			[]step{uses(0.2, 50*s), set(time.Hour), uses(0.2, 10*s), set(-2 * time.Hour), uses(0.9, 30*s), set(90 * time.Minute), uses(0.9, 30*s)},
			[2]want{{0.2, 0.2, 1, 6}, {0.9, 0.9, 1, 6}}},
		{"the limit is doubled: each reading is compared with its own", 10 * s,
			[]step{uses(0.9, 90*s), limit(2), uses(0.9, 30*s)},
			[2]want{{0.9, 0.9, 1, 6}, {0.9, (0.9 + 0.45) / 2, 1, 6}}},
		{"the limit is halved", 10 * s,
			[]step{uses(0.45, 90*s), limit(0.5), uses(0.45, 30*s)},
			[2]want{{0.45, 0.45, 1, 6}, {0.45, (0.45 + 0.9) / 2, 1, 6}}},
		{"the limit appears: before, its share was nothing", 10 * s,
			[]step{limit(0), uses(0.9, 90*s), limit(1), uses(0.9, 30*s)},
			[2]want{{0.9, 0, 1, 6}, {0.9, 0.45, 1, 6}}},
		{"the limit goes: there is nothing to compare with", 10 * s,
			[]step{uses(0.9, 90*s), limit(0), uses(0.9, 30*s)},
			[2]want{{0.9, 0.9, 1, 6}, {0.9, 0, 1, 6}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, fixed(c.interval))
			w.live(w.start("a"), c.steps)
			got := w.Windows(key("a"), time.Minute, 2)
			if len(got) != 2 {
				t.Fatalf("%d windows", len(got))
			}
			if !got[1].End.Equal(w.now()) || !got[1].Start.Equal(got[0].End) || got[0].End.Sub(got[0].Start) != time.Minute {
				t.Errorf("windows are (%v, %v] and (%v, %v], now is %v", got[0].Start, got[0].End, got[1].Start, got[1].End, w.now())
			}
			for i, want := range c.want {
				checkWindow(t, got[i], want)
			}
		})
	}
}

func checkWindow(t *testing.T, got gopprof.Window, want want) {
	t.Helper()
	if got.Witness != gopprof.WitnessCadvisor || !got.HasCPU || !got.HasMemory {
		t.Errorf("window of %q, CPU %v, memory %v", got.Witness, got.HasCPU, got.HasMemory)
	}
	if !near(got.CPU.Mean, want.mean) || !near(got.CPU.Ratio, want.ratio) {
		t.Errorf("CPU is %+v, want mean %v, ratio %v", got.CPU, want.mean, want.ratio)
	}
	if !near(got.CoveredRatio, want.covered) || got.Readings != want.readings {
		t.Errorf("covered %v by %d readings, want %v by %d", got.CoveredRatio, got.Readings, want.covered, want.readings)
	}
}

func TestWindowsOfMemoryAndThrottling(t *testing.T) {
	w := newWorld(t, fixed(10*time.Second))
	l := w.start("a")
	l.WorkingSetBytes, l.AnonymousBytes, l.throttled = 200, 100, 0.5
	w.watch(90 * time.Second)
	l.WorkingSetBytes, l.AnonymousBytes, l.MemoryLimitBytes, l.throttled = 800, 400, 2000, 1
	w.watch(30 * time.Second)
	got := w.Windows(key("a"), time.Minute, 1)[0]
	want := gopprof.Use{Mean: 500, Limit: 2000, Ratio: (0.2 + 0.4) / 2}
	if !near(got.Memory.Mean, want.Mean) || got.Memory.Limit != want.Limit || !near(got.Memory.Ratio, want.Ratio) {
		t.Errorf("memory is %+v, want %+v", got.Memory, want)
	}
	if !near(got.AnonymousBytes, 250) || !near(got.ThrottledRatio, 0.75) {
		t.Errorf("anonymous %v, throttled %v, want 250, 0.75", got.AnonymousBytes, got.ThrottledRatio)
	}
	latest, ok := w.Latest(key("a"))
	if !ok || latest.Memory != (gopprof.Use{Mean: 800, Limit: 2000, Ratio: 0.4}) || !latest.End.Equal(w.now()) || latest.ThrottledRatio != 1 {
		t.Errorf("latest reading is %v: %+v", ok, latest)
	}
}

func TestWindowsSayWhatTheCgroupDoesNotAccountFor(t *testing.T) {
	w := newWorld(t, fixed(10*time.Second))
	a, b := w.start("a"), w.start("b")
	a.HasCPU, b.HasMemory = false, false
	w.watch(time.Minute)
	if got := w.Windows(key("a"), time.Minute, 1)[0]; got.HasCPU || !got.HasMemory || got.CoveredRatio != 1 {
		t.Errorf("without CPU accounting: %+v", got)
	}
	if got := w.Windows(key("b"), time.Minute, 1)[0]; !got.HasCPU || got.HasMemory {
		t.Errorf("without memory accounting: %+v", got)
	}
}

func TestFirstReadingAfterALongGapTellsNothing(t *testing.T) {
	w := newWorld(t, fixed(10*time.Second))
	l := w.start("a")
	l.cores = 0.9
	w.watch(2 * time.Minute)
	w.pass(10 * time.Minute) // the agent stood still
	w.Observe(t.Context(), w.targets, w.now())
	if r, ok := w.Latest(key("a")); ok {
		t.Errorf("latest reading: %+v", r)
	}
	for _, window := range w.Windows(key("a"), time.Minute, 2) {
		if window.CoveredRatio != 0 {
			t.Errorf("window of the time that nobody looked: %+v", window)
		}
	}
	w.watch(time.Minute)
	if got := w.Windows(key("a"), time.Minute, 1)[0]; got.CoveredRatio != 1 || !near(got.CPU.Mean, 0.9) {
		t.Errorf("a minute later: %+v", got)
	}
}

func TestOver(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name       string
		steps      []step
		start, end time.Duration // before now
		ok         bool
		mean       float64
	}{
		{"the series' minute between two readings", []step{uses(0.2, 85*s), uses(0.8, 60*s)}, 75 * s, 15 * s, true, (0.2*15 + 0.8*45) / 60},
		{"ends before the newest reading is due", []step{uses(0.9, 120*s)}, 50 * s, -10 * s, true, 0.9},
		{"too little of it was seen", []step{uses(0.9, 120*s)}, 47 * s, -13 * s, false, 0.9},
		{"before the target lived", []step{uses(0.9, 60*s)}, 300 * s, 240 * s, false, 0},
		{"in the future", []step{uses(0.9, 60*s)}, -60 * s, -120 * s, false, 0},
		{"nothing long", []step{uses(0.9, 60*s)}, 10 * s, 10 * s, false, 0},
		{"told by the clock as it was set since", []step{uses(0.2, 60*s), uses(0.9, 60*s), set(time.Hour), uses(0.1, 30*s)}, 90 * s, 30 * s, true, 0.9},
		{"told by the clock as it was set back", []step{uses(0.2, 60*s), uses(0.9, 60*s), set(-time.Hour), uses(0.1, 30*s)}, 90 * s, 30 * s, true, 0.9},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, fixed(10*s))
			w.live(w.start("a"), c.steps)
			start, end := w.now().Add(-c.start), w.now().Add(-c.end)
			got, ok := w.Over(key("a"), start, end)
			if ok != c.ok || !near(got.CPU.Mean, c.mean) {
				t.Errorf("Over = %v: %+v, want %v, mean %v", ok, got, c.ok, c.mean)
			}
			if ok && (!got.Start.Equal(start) || !got.End.Equal(end)) {
				t.Errorf("told as (%v, %v], asked for (%v, %v]", got.Start, got.End, start, end)
			}
		})
	}
}

func TestReadingsAreDisjointThoughTheClockJumps(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	w.live(w.start("a"), []step{
		uses(0.9, 60*time.Second), set(time.Hour), uses(0.1, 5*time.Minute), set(-3 * time.Hour), uses(0.9, 5*time.Minute),
	})
	readings := w.Readings(key("a"), time.Time{})
	if !readings[len(readings)-1].End.Equal(w.now()) {
		t.Errorf("the newest ends at %v, now is %v", readings[len(readings)-1].End, w.now())
	}
	for i := 1; i < len(readings); i++ {
		r := readings[i]
		sane := r.CPU.Mean > 0.1-1e-6 && r.CPU.Mean < 0.9+1e-6 && r.End.Sub(r.Start) >= time.Second
		if !sane || !r.Start.Equal(readings[i-1].End) {
			t.Errorf("reading %d: %+v, the one before ended at %v", i, r, readings[i-1].End)
		}
	}
}
