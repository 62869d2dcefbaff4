package heapster

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/heapster"
)

// What the series say is doubted where it cannot be true as a whole: then a window reports
// nothing, and says so, since half of it could still confirm what was not.

// A point of the future says that this node's clock and the writer's are apart: no minute
// is the same one to both. It is looked for whenever the present is asked for, however long
// before the query the caller looked at his clock.
func TestPointsOfTheFutureMakeEveryMinuteDoubtful(t *testing.T) {
	db := newDatabase(t)
	put(t, db, "cpu/limit value=1000i 60", "cpu/usage_rate value=900i 60", "cpu/limit value=1000i 120", "cpu/usage_rate value=900i 120",
		"cpu/limit value=1000i 3720", "cpu/usage_rate value=900i 3720")
	s := sourceOf(t, db.URL, func(c *Config) { c.Jitter = 2 * time.Second })
	s.random = func(int64) int64 { return 0 }
	for name, c := range map[string]struct {
		now, to int64
		want    string
		absurd  int
	}{
		"asked for at the very moment": {150, 150, "60: -/1 -/0\n120: -/1 -/0", 2},
		"asked for a moment before":    {150, 148, "60: -/1 -/0\n120: -/1 -/0", 2},
		"asked for ahead of its time":  {150, 780, "60: -/1 -/0\n120: -/1 -/0", 2},
		"the future has come":          {3725, 3725, "60: 900/1 -/0\n120: 900/1 -/0\n3720: 900/1 -/0", 0},
		"the clock is a little behind": {3680, 3680, "60: 900/1 -/0\n120: 900/1 -/0", 0},
		"what was long ago":            {10_000, 150, "60: 900/1 -/0\n120: 900/1 -/0", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s.now = func() time.Time { return at(c.now) }
			windows := ask(t, s, "n", 0, c.to)[container]
			if got := strings.ReplaceAll(story(windows), "/1000", "/1"); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
			for _, w := range windows {
				if w.AbsurdPoints != c.absurd {
					t.Errorf("%s: %d absurd points, want %d", w.End, w.AbsurdPoints, c.absurd)
				}
			}
		})
	}
	if n := testutil.ToFloat64(s.metrics.dropped.WithLabelValues("series_absurd")); n != 3*2 {
		t.Errorf("%v points counted as dropped, want those of the future alone: 6", n)
	}
}

// A container of which there are only points of the future is not one without points.
func TestOnlyPointsOfTheFuture(t *testing.T) {
	db := newDatabase(t)
	put(t, db, "cpu/limit value=1000i 3720", "cpu/usage_rate value=900i 3720")
	s := sourceOf(t, db.URL, nil)
	s.now = func() time.Time { return at(150) }
	windows := ask(t, s, "n", 0, 150)[container]
	if len(windows) != 1 || windows[0].HasCPU || windows[0].AbsurdPoints != 2 || !windows[0].End.Equal(at(150)) {
		t.Errorf("got %+v, want one window that reports nothing", windows)
	}
}

// Two clusters in one database write two truths for one minute. Neither is believed, nor is
// the limit that one of them lent to a later minute; what both say alike is.
func TestTwoValuesForOneMinute(t *testing.T) {
	db := newDatabase(t)
	s := sourceOf(t, db.URL, nil)
	put(t, db,
		"cpu/usage_rate,cluster_name=a value=900i 60", "cpu/limit,cluster_name=a value=1000i 60",
		"cpu/usage_rate,cluster_name=b value=100i 60", "cpu/limit,cluster_name=b value=1000i 60",
		"memory/working_set,cluster_name=a value=1048576i 60", "memory/limit,cluster_name=a value=2097152i 60",
		"memory/working_set,cluster_name=b value=1060000i 60", "memory/limit,cluster_name=b value=2097152i 60",
		"cpu/usage_rate,cluster_name=a value=900i 120", "cpu/limit,cluster_name=a value=1000i 120",
		"cpu/limit,cluster_name=b value=4000i 120",
		"cpu/usage_rate,cluster_name=a value=900i 180",
		"cpu/usage_rate,cluster_name=a value=900i 240", "cpu/limit,cluster_name=a value=1000i 240")
	windows := expect(t, s, "60: -/1000 1/2\n120: -/1000 -/2\n180: -/1000 -/2\n240: 900/1000 -/2")
	for i, want := range []int{1, 1, 0, 0} {
		if windows[i].AbsurdPoints != want {
			t.Errorf("%s: %d absurd points, want %d", windows[i].End, windows[i].AbsurdPoints, want)
		}
	}
}

// Both schemas at once are one writer's two ways of saying it, or two writers.
func TestBothSchemasThatDiffer(t *testing.T) {
	db := newDatabase(t)
	s := sourceOf(t, db.URL, nil)
	put(t, db,
		"cpu/usage_rate value=900i 60", "cpu/limit value=1000i 60", "cpu usage_rate=900i,limit=1000i 60",
		"cpu/usage_rate value=900i 120", "cpu/limit value=1000i 120", "cpu usage_rate=200i,limit=1000i 120")
	expect(t, s, "60: 900/1000 -/0\n120: -/1000 -/0")
}

// How far two values may be apart, and that their order changes nothing.
func TestValuesApart(t *testing.T) {
	for _, c := range []struct {
		values   []float64
		disputed bool
	}{
		{[]float64{1}, false},
		{[]float64{0, 0}, false},
		{[]float64{1, 1, 1}, false},
		{[]float64{1, 0.96}, false},
		{[]float64{0.96, 1}, false},
		{[]float64{1, 0.94}, true},
		{[]float64{0.94, 1}, true},
		{[]float64{0, 0.001}, true},
		{[]float64{1, 1, 3, 1, 3}, true},
	} {
		var s slot
		absurd := 0
		for _, v := range c.values {
			absurd += s.keep(heapster.Point{Metric: heapster.MetricCPUUse, Value: v})
		}
		want := 0
		if c.disputed {
			want = 1
		}
		if s.disputed[heapster.MetricCPUUse] != c.disputed || absurd != want || s.absurd != want {
			t.Errorf("%v: disputed %v with %d absurd, want %v", c.values, s.disputed[heapster.MetricCPUUse], absurd, c.disputed)
		}
	}
}

// An absurd value beside a true one leaves the true one.
func TestAbsurdBesideTrue(t *testing.T) {
	var s slot
	s.keep(heapster.Point{Metric: heapster.MetricCPUUse, Absurd: true, Value: -1})
	s.keep(heapster.Point{Metric: heapster.MetricCPUUse, Value: 0.5})
	s.keep(heapster.Point{Metric: heapster.MetricCPULimit, Value: 1})
	if u, ok := s.use(heapster.MetricCPUUse, heapster.MetricCPULimit); !ok || u.Ratio != 0.5 || s.absurd != 1 {
		t.Errorf("%+v, %v with %d absurd", u, ok, s.absurd)
	}
	if w := s.window(gopprof.WitnessHeapster, at(0), at(60)); w.AbsurdPoints != 1 || !w.HasCPU {
		t.Errorf("%+v", w)
	}
}
