package heapster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
)

// These tests write points as Heapster does, into a real InfluxDB, and read them back.

var container = series("pod", "c")

func newDatabase(t *testing.T) *parts.InfluxDB {
	t.Helper()
	db := startInfluxDB(t, parts.InfluxDBOptions{})
	if _, err := db.Query(t.Context(), "", `CREATE DATABASE k8s WITH NAME "default"`); err != nil {
		t.Fatal(err)
	}
	return db
}

// put writes points, each "measurement[,tag=value] field=value seconds".
func put(t *testing.T, db *parts.InfluxDB, points ...string) {
	t.Helper()
	if err := db.Write(t.Context(), "k8s", "default", lines(points)); err != nil {
		t.Fatal(err)
	}
}

func lines(points []string) []byte {
	var out strings.Builder
	for _, p := range points {
		var name, fields string
		var seconds int64
		if _, err := fmt.Sscan(p, &name, &fields, &seconds); err != nil {
			panic(err)
		}
		fmt.Fprintf(&out, "%s,type=pod_container,nodename=n,namespace_name=shop,pod_name=pod,container_name=c %s %d\n", name, fields, (zero+seconds)*1e9)
	}
	return []byte(out.String())
}

func expect(t *testing.T, s *Source, want string) []gopprof.Window {
	t.Helper()
	windows := ask(t, s, "n", 0, 780)[container]
	if got := story(windows); got != strings.TrimSpace(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, strings.TrimSpace(want))
	}
	return windows
}

func TestAbsurdValuesAreDroppedAndCounted(t *testing.T) {
	db := newDatabase(t)
	s := sourceOf(t, db.URL, nil)
	put(t, db,
		"cpu/usage_rate value=-5i 60", "cpu/limit value=1000i 60", "memory/working_set value=-1i 60", "memory/limit value=1048576i 60",
		"cpu/usage_rate value=9223372036854775807i 120", "cpu/limit value=-1000i 120", "memory/working_set value=9223372036854775807i 120",
		"cpu/usage_rate value=500i 180", "memory/working_set value=524288i 180",
		"cpu/usage_rate value=0i 240", "memory/working_set value=0i 240")
	windows := expect(t, s, "60: -/1000 -/1\n120: -/1000 -/1\n180: 500/1000 0/1\n240: 0/1000 0/1")
	if windows[0].AbsurdPoints != 2 || windows[1].AbsurdPoints != 3 || windows[2].AbsurdPoints != 0 {
		t.Errorf("absurd points: %d, %d, %d, want 2, 3, 0", windows[0].AbsurdPoints, windows[1].AbsurdPoints, windows[2].AbsurdPoints)
	}
	if n := testutil.ToFloat64(s.metrics.dropped.WithLabelValues("series_absurd")); n != 5 {
		t.Errorf("%v points counted as dropped, want 5", n)
	}
}

// A rate of 1.8e19 is only possible where the field is a float; InfluxDB then answers floats
// for integers of the other measurements too.
func TestFloatsAmongIntegers(t *testing.T) {
	db := newDatabase(t)
	s := sourceOf(t, db.URL, nil)
	put(t, db,
		"cpu/usage_rate value=1.8446744073709552e19 60", "cpu/limit value=1000i 60", "memory/working_set value=524288i 60", "memory/limit value=1048576i 60",
		"cpu/usage_rate value=307445734561825.9 120", "cpu/limit value=1000i 120",
		"cpu/usage_rate value=950.5 180", "cpu/limit value=1000i 180")
	windows := expect(t, s, "60: -/1000 0/1\n120: -/1000 -/1\n180: 950/1000 -/1")
	if windows[2].CPU.Ratio != 0.9505 {
		t.Errorf("ratio %v", windows[2].CPU.Ratio)
	}
}

func TestLatePointsAreSeen(t *testing.T) {
	db := newDatabase(t)
	s := sourceOf(t, db.URL, nil)
	expect(t, s, "")
	put(t, db, "cpu/limit value=1000i 60", "cpu/limit value=1000i 120", "cpu/usage_rate value=1i 120")
	expect(t, s, "60: -/1000 -/0\n120: 1/1000 -/0")
	put(t, db, "cpu/usage_rate value=2i 60")
	expect(t, s, "60: 2/1000 -/0\n120: 1/1000 -/0")
}

func TestPointsOfTheFutureAreIgnored(t *testing.T) {
	db := newDatabase(t)
	s := sourceOf(t, db.URL, nil)
	s.now = func() time.Time { return at(150) }
	put(t, db, "cpu/limit value=1000i 120", "cpu/usage_rate value=1i 120", "cpu/limit value=1000i 180", "cpu/usage_rate value=2i 180")
	expect(t, s, "120: 1/1000 -/0")
}

// A limit is a setting: a point of it that was lost is the one before. One that changed is
// the one of its own interval. One that was never seen is not "no limit".
func TestLimits(t *testing.T) {
	db := newDatabase(t)
	s := sourceOf(t, db.URL, nil)
	put(t, db,
		"cpu/usage_rate value=400i 60", "memory/working_set value=1048576i 60",
		"cpu/usage_rate value=400i 120", "cpu/limit value=500i 120",
		"cpu/usage_rate value=400i 180",
		"cpu/usage_rate value=400i 240", "cpu/limit value=1000i 240",
		"cpu/usage_rate value=400i 300", "cpu/limit value=0i 300")
	windows := expect(t, s, "60: 400/500 -/0\n120: 400/500 -/0\n180: 400/500 -/0\n240: 400/1000 -/0\n300: 400/0 -/0")
	if _, ok := windows[4].Ratio(gopprof.ResourceCPU); ok || !windows[4].HasCPU {
		t.Errorf("limit 0 is no limit, got %+v", windows[4])
	}
}

func TestBothSchemasAtOnceAndAChangeBetweenThem(t *testing.T) {
	db := newDatabase(t)
	s := sourceOf(t, db.URL, nil)
	put(t, db, "cpu/usage_rate value=100i 60", "cpu/limit value=1000i 60", "memory/working_set value=1048576i 60", "memory/limit value=2097152i 60")
	expect(t, s, "60: 100/1000 1/2")
	if s.status.schema != "default" {
		t.Errorf("schema %q", s.status.schema)
	}
	put(t, db, "cpu usage_rate=200i,limit=1000i 120", "memory working_set=1048576i,limit=2097152i 120")
	expect(t, s, "60: 100/1000 1/2\n120: 200/1000 1/2")
	if s.status.schema != "default+withfields" {
		t.Errorf("schema %q", s.status.schema)
	}
	windows, err := s.Windows(t.Context(), "n", at(60), at(120))
	if err != nil || story(windows[container]) != "120: 200/1000 1/2" {
		t.Errorf("%v, %v", windows, err)
	}
}

func TestGenuineHeapsterIsPreferredToOurOwnRecord(t *testing.T) {
	db := newDatabase(t)
	s := sourceOf(t, db.URL, nil)
	put(t, db, "cpu/usage_rate,source=gopprof value=100i 50", "cpu/limit,source=gopprof value=1000i 50",
		"cpu/usage_rate,source=gopprof value=100i 110", "cpu/limit,source=gopprof value=1000i 110")
	for _, w := range expect(t, s, "110: 100/1000 -/0") {
		if w.Witness != gopprof.WitnessRecord {
			t.Errorf("witness %q", w.Witness)
		}
	}
	put(t, db, "cpu usage_rate=900i,limit=1000i 120")
	for _, w := range expect(t, s, "120: 900/1000 -/0") {
		if w.Witness != gopprof.WitnessHeapster {
			t.Errorf("witness %q", w.Witness)
		}
	}
}

func TestClusterName(t *testing.T) {
	db := newDatabase(t)
	put(t, db, "cpu/usage_rate,cluster_name=a value=100i 60", "cpu/limit,cluster_name=a value=1000i 60",
		"cpu/usage_rate,cluster_name=b value=900i 60", "cpu/limit,cluster_name=b value=1000i 60")
	expect(t, sourceOf(t, db.URL, func(c *Config) { c.ClusterName = "a" }), "60: 100/1000 -/0")
	expect(t, sourceOf(t, db.URL, func(c *Config) { c.ClusterName = "b" }), "60: 900/1000 -/0")
	expect(t, sourceOf(t, db.URL, func(c *Config) { c.ClusterName = "' OR ''='" }), "")
}

// Only containers count: a pod's own series, nodes' and those of other nodes are not asked for.
func TestOnlyThisNodesContainers(t *testing.T) {
	db := newDatabase(t)
	s := sourceOf(t, db.URL, nil)
	stamp := (zero + 60) * int64(1e9)
	text := fmt.Sprintf(`cpu/usage_rate,type=pod,nodename=n,namespace_name=shop,pod_name=pod value=1i %[1]d
cpu/usage_rate,type=pod_container,nodename=m,namespace_name=shop,pod_name=pod,container_name=c value=2i %[1]d
cpu/usage_rate,type=pod_container,nodename=n,namespace_name=shop,pod_name=pod value=3i %[1]d
cpu/usage_rate,type=node,nodename=n value=4i %[1]d
`, stamp)
	if err := db.Write(t.Context(), "k8s", "default", []byte(text)); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, s, "n", 0, 780); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	if n := testutil.ToFloat64(s.metrics.dropped.WithLabelValues("undecodable")); n != 1 {
		t.Errorf("%v rows counted as undecodable, want the one without a container", n)
	}
}
