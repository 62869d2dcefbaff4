package observe_test

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/agent/observe"
)

func TestTargetsNearTheirLimitAreReadOften(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*load)
		want time.Duration
	}{
		{"idle", func(*load) {}, 30 * time.Second},
		{"half of the CPU", func(l *load) { l.cores = 0.5 }, 10 * time.Second},
		{"less than half of the CPU", func(l *load) { l.cores = 0.49 }, 30 * time.Second},
		{"half of the memory", func(l *load) { l.WorkingSetBytes = 500 }, 10 * time.Second},
		{"throttled", func(l *load) { l.throttled = 0.2 }, 10 * time.Second},
		{"all it can without limits", func(l *load) {
			l.cores, l.throttled, l.WorkingSetBytes, l.CPULimitCores, l.MemoryLimitBytes = 9, 1, 900, 0, 0
		}, 30 * time.Second},
		{"unreadable", func(l *load) { l.err = errTorn }, 30 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, observe.DefaultConfig())
			c.do(w.start("a"))
			w.watch(10 * time.Minute)
			reads := w.reads["a"]
			for i := len(reads) - 5; i < len(reads); i++ {
				if pace := reads[i] - reads[i-1]; pace != c.want {
					t.Errorf("reading %d came %v after the one before, want %v", i, pace, c.want)
				}
			}
		})
	}
}

func TestPanicCostsOneTargetOneTurn(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	w.start("a").panics = true
	w.start("b")
	seen := w.Observe(t.Context(), w.targets, w.now())
	if len(seen) != 2 || !errors.Is(seen[0].Err, observe.ErrPanicked) || seen[1].Err != nil {
		t.Errorf("observed %+v, want the panic of a, and b", seen)
	}
	if _, err := w.CPUSeconds(t.Context(), w.targets[0]); !errors.Is(err, observe.ErrPanicked) {
		t.Errorf("CPU seconds: %v", err)
	}
	w.load[key("a")].panics = false
	if seen := w.watch(time.Minute); seen[len(seen)-1].Err != nil {
		t.Errorf("a minute later: %+v", seen[len(seen)-1])
	}
}

func TestTargetThatIsProfiledByHandIsLeftAlone(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	w.start("a")
	w.targets[0].ByHand = true
	if seen := w.watch(time.Minute); len(seen) != 0 || len(w.reads["a"]) != 0 {
		t.Errorf("observed %+v, read %d times", seen, len(w.reads["a"]))
	}
}

func TestNewTargetIsReadOftenAtFirst(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	w.start("a")
	w.watch(3 * time.Minute)
	want := []time.Duration{0, 10, 20, 30, 40, 50, 60, 90, 120, 150, 180}
	for i := range want {
		want[i] *= time.Second
	}
	if !slices.Equal(w.reads["a"], want) {
		t.Errorf("read at %v, want %v", w.reads["a"], want)
	}
}

func TestTargetThatCoolsDownStaysWarmForAWhile(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	l := w.start("a")
	l.cores = 0.9
	w.watch(5 * time.Minute)
	l.cores = 0.1
	w.watch(50 * time.Second)
	if got := len(w.reads["a"]); got != 36 {
		t.Errorf("%d readings in 5 hot minutes and 50 cool seconds, want one every 10s: 36", got)
	}
	w.watch(5 * time.Minute)
	if pace := lastPace(w, "a"); pace != 30*time.Second {
		t.Errorf("after 5 cool minutes the pace is %v", pace)
	}
}

func TestGoneTellsWhatIsWrong(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	l := w.start("a")
	for _, c := range []struct {
		err    error
		detail string
		gone   bool
	}{
		{nil, "", false},
		{errTorn, "torn", false},
		{fmt.Errorf("process 7: %w", observe.ErrGone), "process 7: cgroup is gone", true},
		{nil, "", false},
	} {
		l.err = c.err
		w.watch(time.Minute)
		if detail, gone := w.Gone(key("a")); detail != c.detail || gone != c.gone {
			t.Errorf("after %v: %q, %v", c.err, detail, gone)
		}
	}
	if detail, gone := w.Gone("never seen"); detail != "" || gone {
		t.Errorf("never seen: %q, %v", detail, gone)
	}
}

func TestGoneTargetIsLookedForSeldom(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	l := w.start("a")
	l.cores = 0.9
	w.watch(2 * time.Minute)
	l.err = observe.ErrGone
	w.watch(5 * time.Minute)
	if pace := lastPace(w, "a"); pace != 30*time.Second {
		t.Errorf("a gone target is looked for every %v", pace)
	}
}

func TestLateTurnsDoNotAddUp(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	w.start("a").cores = 0.9
	for w.clock < 10*time.Minute {
		w.Observe(t.Context(), w.targets, w.now())
		w.pass(w.Next(w.now()).Sub(w.now()) + 300*time.Millisecond)
	}
	if got := len(w.reads["a"]); got != 60 {
		t.Errorf("%d readings within ten minutes, each a little late, want 60", got)
	}
}

func lastPace(w *world, name string) time.Duration {
	reads := w.reads[name]
	return reads[len(reads)-1] - reads[len(reads)-2]
}

func TestObserveTellsNewGoneAndFailedTargetsApart(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	w.start("good")
	w.start("torn").err = errTorn
	w.start("gone").err = fmt.Errorf("reading: %w", observe.ErrGone)
	got := w.Observe(t.Context(), w.targets, w.now())
	if len(got) != 3 {
		t.Fatalf("observed %d targets, want 3", len(got))
	}
	if !got[0].New || got[0].Err != nil {
		t.Errorf("good: %+v", got[0])
	}
	if got[1].New || !errors.Is(got[1].Err, errTorn) {
		t.Errorf("torn: %+v", got[1])
	}
	if got[2].New || !errors.Is(got[2].Err, observe.ErrGone) {
		t.Errorf("gone: %+v", got[2])
	}
	if again := w.Observe(t.Context(), w.targets, w.now()); len(again) != 0 {
		t.Errorf("observed %d targets that were not due", len(again))
	}
}

func TestFailingTargetHoldsUpNoOther(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	w.start("torn").err = errTorn
	w.start("hot").cores = 0.9
	w.watch(2 * time.Minute)
	windows := w.Windows(key("hot"), time.Minute, 2)
	if len(windows) != 2 || windows[0].CoveredRatio != 1 || windows[1].CoveredRatio != 1 {
		t.Errorf("windows of the good target: %+v", windows)
	}
	if windows := w.Windows(key("torn"), time.Minute, 2); windows != nil {
		t.Errorf("windows of the failing target: %+v", windows)
	}
}

func TestGoneTargetHasNoWindowsButIsRemembered(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	l := w.start("a")
	l.cores = 0.9
	w.watch(2 * time.Minute)
	end := w.now()
	l.err = observe.ErrGone
	w.watch(10 * time.Second)
	if windows := w.Windows(key("a"), time.Minute, 2); windows != nil {
		t.Errorf("windows of a gone target: %+v", windows)
	}
	if r, ok := w.Latest(key("a")); ok {
		t.Errorf("latest reading of a gone target: %+v", r)
	}
	if over, ok := w.Over(key("a"), end.Add(-time.Minute), end); !ok || !near(over.CPU.Mean, 0.9) {
		t.Errorf("the minute before it went is %v: %+v", ok, over)
	}
	l.err, l.Instance = nil, 2
	w.watch(40 * time.Second)
	if _, ok := w.Over(key("a"), end.Add(-time.Minute), end); ok {
		t.Error("the new cgroup is told to have a past")
	}
}

func TestTargetThatIsNotObservedAnyMoreIsForgotten(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	w.start("a").cores = 0.9
	w.start("b")
	w.watch(2 * time.Minute)
	end := w.now()
	w.targets = w.targets[1:]
	w.watch(30 * time.Second)
	if w.forgot[key("a")] == 0 {
		t.Error("the reader was not told to forget")
	}
	if _, ok := w.Over(key("a"), end.Add(-time.Minute), end); !ok {
		t.Error("forgotten before its capture could be compared with the series")
	}
	w.watch(10 * time.Minute)
	if r := w.Readings(key("a"), time.Time{}); r != nil {
		t.Errorf("still remembered after ten minutes: %d readings", len(r))
	}
}

func TestTargetThatIsNotObservedAnyMoreIsForgottenThoughTheClockIsSetBack(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	w.start("a").cores = 0.9
	w.start("b")
	w.watch(2 * time.Minute)
	w.targets = w.targets[1:]
	w.watch(30 * time.Second)
	w.set = -time.Hour
	w.watch(10 * time.Minute)
	if r := w.Readings(key("a"), time.Time{}); r != nil {
		t.Errorf("still remembered after ten minutes: %d readings", len(r))
	}
}

func TestCgroupNamedAnewIsReadAtOnce(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	l := w.start("a")
	w.targets[0].Cgroup.PID = 100
	l.err = observe.ErrGone
	w.watch(5 * time.Minute)
	before := len(w.reads["a"])
	w.pass(time.Second)
	w.targets[0].Cgroup.PID, l.err = 101, nil
	got := w.Observe(t.Context(), w.targets, w.now())
	if len(got) != 1 || got[0].Err != nil || len(w.reads["a"]) != before+1 {
		t.Errorf("observed %+v", got)
	}
}

func TestNextIsNeverFarAway(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	if got := w.Next(w.now()).Sub(w.now()); got != 10*time.Second {
		t.Errorf("without targets Next is %v away, want the warm interval", got)
	}
	w.start("a")
	w.watch(5 * time.Minute)
	for _, jump := range []time.Duration{0, time.Hour, -2 * time.Hour, time.Hour} {
		w.set += jump
		w.Observe(t.Context(), w.targets, w.now())
		if got := w.Next(w.now()).Sub(w.now()); got <= 0 || got > 10*time.Second {
			t.Errorf("after the clock was set by %v Next is %v away", jump, got)
		}
	}
}

// Of a target that is profiled by hand and not observed, the reader keeps nothing: nobody would
// tell it that it has gone.
func TestCPUSecondsOfWhatIsNotObserved(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	w.start("a")
	w.start("b")
	other := w.targets[1]
	w.targets = w.targets[:1]
	w.watch(10 * time.Second)
	for _, x := range append(w.targets[:1:1], other) {
		if _, err := w.CPUSeconds(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	if w.forgot[other.Key()] != 1 || w.forgot[w.targets[0].Key()] != 0 {
		t.Errorf("forgotten: %v", w.forgot)
	}
}

func TestCPUSecondsAreReadNow(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	l := w.start("a")
	l.cores = 0.5
	w.pass(10 * time.Second)
	got, err := w.CPUSeconds(t.Context(), w.targets[0])
	if err != nil || !near(got, 5) {
		t.Errorf("CPUSeconds = %v, %v, want 5", got, err)
	}
	l.HasCPU = false
	if got, err := w.CPUSeconds(t.Context(), w.targets[0]); err == nil {
		t.Errorf("without CPU accounting: %v", got)
	}
	l.err = observe.ErrGone
	if _, err := w.CPUSeconds(t.Context(), w.targets[0]); !errors.Is(err, observe.ErrGone) {
		t.Errorf("of a gone cgroup: %v", err)
	}
}

func TestOtherContainerUnderTheSameNameStartsAnew(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*world, *load)
	}{
		{"another container ID", func(w *world, _ *load) { w.targets[0].ContainerID = "c2" }},
		{"another cgroup", func(_ *world, l *load) { l.Instance = 2 }},
		{"CPU time went back", func(_ *world, l *load) { l.CPU = time.Second }},
		{"periods went back", func(_ *world, l *load) { l.Periods = 1 }},
		{"throttled periods went back", func(_ *world, l *load) { l.ThrottledPeriods = 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, observe.DefaultConfig())
			l := w.start("a")
			l.cores, l.throttled = 0.9, 0.9
			w.watch(3 * time.Minute)
			w.pass(10 * time.Second)
			c.do(w, l)
			got := w.Observe(t.Context(), w.targets, w.now())
			if len(got) != 1 || !got[0].New {
				t.Fatalf("observed %+v, want New", got)
			}
			if windows := w.Windows(key("a"), time.Minute, 2); windows != nil {
				t.Errorf("right after the restart: %+v", windows)
			}
			l.cores = 0.1
			w.watch(time.Minute)
			windows := w.Windows(key("a"), time.Minute, 2)
			if windows[0].Readings != 0 || !near(windows[1].CPU.Mean, 0.1) || windows[1].CoveredRatio != 1 {
				t.Errorf("a minute after the restart: %+v", windows)
			}
		})
	}
}

func TestReadingsAreKeptForAWhileOnly(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	w.start("a").cores = 0.9
	w.watch(2 * time.Hour)
	if n := len(w.Readings(key("a"), time.Time{})); n != 120 {
		t.Errorf("%d readings kept, want those of 20 minutes: 120", n)
	}
	if n := len(w.Readings(key("a"), w.now().Add(-time.Minute))); n != 6 {
		t.Errorf("%d readings of the last minute, want 6", n)
	}
}

func TestMemoryIsSmallWhenManyTargetsAreWarm(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	for i := range 250 {
		w.start(fmt.Sprint("pod", i)).cores = 0.9
	}
	before := heap()
	w.watch(25 * time.Minute)
	clear(w.reads)
	if used := heap() - before; used > 250*16<<10 {
		t.Errorf("250 targets take %d bytes, want at most 16 KB each", used)
	}
}

func TestMemoryIsBoundedWhenTargetsComeAndGo(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	before := heap()
	for i := range 40 {
		w.targets = nil
		clear(w.load)
		for j := range 50 {
			w.start(fmt.Sprint("pod", i, "-", j)).cores = 0.9
		}
		w.watch(30 * time.Second)
		clear(w.reads)
		clear(w.forgot)
	}
	if used := heap() - before; used > 1<<20 {
		t.Errorf("after 2,000 targets %d bytes are in use", used)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestItMayBeAskedWhileItObserves(t *testing.T) {
	w := newWorld(t, observe.DefaultConfig())
	w.start("a").cores = 0.9
	w.watch(3 * time.Minute)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 100 {
				w.Windows(key("a"), time.Minute, 2)
				w.Over(key("a"), epoch, epoch.Add(time.Minute))
				w.Readings(key("a"), epoch)
				w.Latest(key("a"))
				w.Next(epoch)
			}
		})
	}
	w.watch(10 * time.Minute)
	group.Wait()
}

func TestTroubleIsLoggedOnceAndSoIsItsEnd(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	w := &world{t: t, load: map[string]*load{}, reads: map[string][]time.Duration{}, forgot: map[string]int{}}
	w.Observer = observe.New(observe.DefaultConfig(), w, zap.New(core), prometheus.NewRegistry())
	w.live(w.start("a"), []step{
		uses(0.9, time.Minute), fails(5 * time.Minute), uses(0.9, time.Minute),
		{5 * time.Minute, func(_ *world, l *load) { l.err = observe.ErrGone }},
		{time.Minute, func(_ *world, l *load) { l.err, l.Instance = nil, 2 }},
	})
	var got []string
	for _, e := range logs.All() {
		got = append(got, fmt.Sprint(e.Message, " ", e.ContextMap()["reason"]))
	}
	want := []string{
		"target could not be read no_readings", "target read again <nil>",
		"target could not be read gone", "target read again <nil>", "target started anew <nil>",
	}
	if !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}

func TestMetricsCountReadingsAndFailures(t *testing.T) {
	reg := prometheus.NewRegistry()
	w := &world{t: t, load: map[string]*load{}, reads: map[string][]time.Duration{}, forgot: map[string]int{}}
	w.Observer = observe.New(observe.DefaultConfig(), w, zap.NewNop(), reg)
	w.start("hot").cores = 0.9
	w.start("quiet")
	w.start("gone").err = observe.ErrGone
	w.watch(2 * time.Minute)
	const want = `
# HELP gopprof_agent_observe_failures_total Cgroups that could not be read: gone, or no_readings when they exist.
# TYPE gopprof_agent_observe_failures_total counter
gopprof_agent_observe_failures_total{reason="gone"} 5
# HELP gopprof_agent_observe_readings_total Cgroups that were looked at.
# TYPE gopprof_agent_observe_readings_total counter
gopprof_agent_observe_readings_total 27
# HELP gopprof_agent_observe_restarts_total Targets whose history began anew because their counters did.
# TYPE gopprof_agent_observe_restarts_total counter
gopprof_agent_observe_restarts_total 0
# HELP gopprof_agent_observe_targets Targets whose cgroups are read, by how often: warm or quiet.
# TYPE gopprof_agent_observe_targets gauge
gopprof_agent_observe_targets{pace="quiet"} 2
gopprof_agent_observe_targets{pace="warm"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestConfigTellsEveryMistake(t *testing.T) {
	var keys []string
	report := func(key, _ string) { keys = append(keys, key) }
	observe.DefaultConfig().Check(report)
	if len(keys) > 0 {
		t.Errorf("the defaults are wrong: %v", keys)
	}
	observe.Config{WarmRatio: 2, WarmThrottledRatio: math.NaN(), WarmFor: -1, QuietInterval: -1, Keep: -3}.Check(report)
	want := []string{"warm_interval", "quiet_interval", "warm_ratio", "warm_throttled_ratio", "warm_for", "keep"}
	if !slices.Equal(keys, want) {
		t.Errorf("mistakes in %v, want %v", keys, want)
	}
	keys = nil
	wide := observe.DefaultConfig()
	wide.Keep = 24 * time.Hour
	if wide.Check(report); !slices.Equal(keys, []string{"keep"}) {
		t.Errorf("a day of readings: mistakes in %v", keys)
	}
}
