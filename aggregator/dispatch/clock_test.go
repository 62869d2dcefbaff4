package dispatch

import (
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/bus/buckettest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// timed asks for one workload with a clock that is set.
type timed struct {
	*clock
	*Dispatcher
	t *testing.T
}

func newTimed(t *testing.T, budget *buckettest.KV) timed {
	c := newClock()
	return timed{c, newDispatcher(testConfig(), c.deps(budget)), t}
}

// fire asks for a new capture, which ends half a minute later where it was granted.
func (d timed) fire() bool {
	d.t.Helper()
	f := firing("web", "cpu", d.now().Add(-2*time.Millisecond)) // made a moment before it is asked for
	if !d.Decide(d.t.Context(), f).Go {
		return false
	}
	d.add(30 * time.Second)
	if err := d.Ended(d.t.Context(), f.Capture); err != nil {
		d.t.Fatal(err)
	}
	return true
}

// granted fires once a minute for as long as that.
func (d timed) granted(within time.Duration) (n int) {
	for end := d.now().Add(within); d.now().Before(end); d.add(time.Minute) {
		if d.fire() {
			n++
		}
	}
	return n
}

// What ended before the clock was set back is not running again, and a budget that was used
// up is whole again after an hour of the clock as it is now. Set forwards, it is whole at
// once, and no more than whole.
func TestBudgetThoughTheClockIsSet(t *testing.T) {
	perHour := testConfig().Budget.PerWorkloadPerHour
	for set, first := range map[time.Duration]int{time.Hour: perHour, -time.Hour: 0, -24 * time.Hour: 0} {
		d := newTimed(t, buckettest.NewKV())
		if n := d.granted(20 * time.Minute); n != perHour {
			t.Fatalf("%d granted before the clock was set, want %d", n, perHour)
		}
		d.add(set)
		if n := d.granted(time.Hour); n != first {
			t.Errorf("set by %s: %d granted in the hour after, want %d", set, n, first)
		}
		if n := d.granted(time.Hour); n != perHour {
			t.Errorf("set by %s: %d granted in the second hour, want %d", set, n, perHour)
		}
	}
}

// Two captures of an hour's four, both ended: the clock that is set back refuses nobody.
func TestEndedCapturesDoNotRunAgain(t *testing.T) {
	d := newTimed(t, buckettest.NewKV())
	if first, second := d.fire(), d.fire(); !first || !second {
		t.Fatal("refused within the budget")
	}
	d.add(-time.Hour)
	if !d.fire() {
		t.Error("refused, though nothing runs and the hour's budget is half used")
	}
}

// What runs while the clock is set back counts as running no longer than its lifetime.
func TestRunningCapturesThoughTheClockIsSet(t *testing.T) {
	d := newTimed(t, buckettest.NewKV())
	for range testConfig().Budget.PerWorkloadAtOnce {
		if !d.Decide(t.Context(), firing("web", "cpu", d.now())).Go {
			t.Fatal("refused within the budget")
		}
	}
	d.add(-time.Hour)
	if d.Decide(t.Context(), firing("web", "cpu", d.now())).Go {
		t.Error("granted beside those that run")
	}
	d.add(testConfig().CaptureLifetime + time.Second)
	if !d.Decide(t.Context(), firing("web", "cpu", d.now())).Go {
		t.Error("refused after their lifetime")
	}
}

// A budget that lasts is not written again and again, nor by replicas whose clocks are a
// little apart.
func TestClocksThatAreALittleApartCostNothing(t *testing.T) {
	budget := buckettest.NewKV()
	ahead, behind := newTimed(t, budget), newTimed(t, budget)
	ahead.add(time.Minute)
	if n := ahead.granted(10 * time.Minute); n != 4 {
		t.Fatalf("%d granted", n)
	}
	behind.add(10 * time.Minute)
	writes := budget.Writes()
	if n := behind.granted(10 * time.Minute); n != 0 || budget.Writes() != writes {
		t.Errorf("%d granted and %d writes by the other replica", n, budget.Writes()-writes)
	}
	set := newTimed(t, budget)
	set.add(-time.Hour)
	if n := set.granted(30 * time.Minute); n != 0 || budget.Writes() > writes+1 {
		t.Errorf("%d granted and %d writes after the clock was set back, want 1 write", n, budget.Writes()-writes)
	}
}

// A node is neither lost nor kept for ever by a clock that is set.
func TestNodesThoughTheClockIsSet(t *testing.T) {
	d := newTimed(t, buckettest.NewKV())
	heard := func() int {
		d.Observe(gopprof.NodeState{Cluster: "c", Node: "n"})
		return len(d.Nodes())
	}
	for _, set := range []time.Duration{0, time.Hour, -2 * time.Hour, time.Hour} {
		if d.add(set); heard() != 1 {
			t.Errorf("set by %s: the node that speaks is not there", set)
		}
	}
	d.add(testConfig().ForgetAfter + time.Second)
	if n := len(d.Nodes()); n != 0 {
		t.Errorf("%d nodes after their silence", n)
	}
}
