package observe_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

var (
	epoch   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	errTorn = errors.New("torn")
)

// world stands in for the kernel: targets that use what they are told to while its clock
// goes on, and a wall clock that can be set.
type world struct {
	t       *testing.T
	clock   time.Duration
	set     time.Duration // what was added to the wall clock
	load    map[string]*load
	targets []gopprof.Target
	reads   map[string][]time.Duration // when each target was read
	forgot  map[string]int
	*observe.Observer
}

// load is one target as the kernel has it.
type load struct {
	cores     float64 // used from now on
	throttled float64 // share of the periods from now on
	err       error
	panics    bool
	observe.Sample
}

func newWorld(t *testing.T, cfg observe.Config) *world {
	w := &world{t: t, load: map[string]*load{}, reads: map[string][]time.Duration{}, forgot: map[string]int{}}
	w.Observer = observe.New(cfg, w, zap.NewNop(), prometheus.NewRegistry())
	return w
}

// start adds a target with limits of one core and 1000 bytes.
func (w *world) start(name string) *load {
	l := &load{Sample: observe.Sample{
		Instance: 1, HasCPU: true, HasMemory: true, CPULimitCores: 1, MemoryLimitBytes: 1000,
	}}
	t := gopprof.Target{Namespace: "shop", Pod: name, Container: "app", ContainerID: "c1"}
	w.load[t.Key()] = l
	w.targets = append(w.targets, t)
	return l
}

func key(name string) string { return "shop/" + name + "/app" }

func (w *world) now() time.Time { return epoch.Add(w.clock + w.set) }

// pass lets time pass without anybody looking.
func (w *world) pass(d time.Duration) {
	for _, l := range w.load {
		l.CPU += time.Duration(l.cores * float64(d))
		periods := uint64(d / (100 * time.Millisecond))
		l.Periods += periods
		l.ThrottledPeriods += uint64(l.throttled * float64(periods))
	}
	w.clock += d
}

// watch observes as an agent does, for as long as that.
func (w *world) watch(d time.Duration) []observe.Observed {
	w.t.Helper()
	var all []observe.Observed
	for end := w.clock + d; ; {
		all = append(all, w.Observe(w.t.Context(), w.targets, w.now())...)
		wait := w.Next(w.now()).Sub(w.now())
		if wait <= 0 {
			w.t.Fatalf("after %v: Next is %v from now", w.clock, wait)
		}
		if w.clock+wait >= end {
			w.pass(end - w.clock)
			return append(all, w.Observe(w.t.Context(), w.targets, w.now())...)
		}
		w.pass(wait)
	}
}

func (w *world) Read(_ context.Context, t gopprof.Target, now time.Time) (observe.Sample, error) {
	l := w.load[t.Key()]
	w.reads[t.Pod] = append(w.reads[t.Pod], w.clock)
	if l.panics {
		panic("a defect")
	}
	s := l.Sample
	s.At, s.Clock = now, w.clock
	return s, l.err
}

func (w *world) Forget(key string) { w.forgot[key]++ }

func near(a, b float64) bool { return a-b < 1e-6 && b-a < 1e-6 }
