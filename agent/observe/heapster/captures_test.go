package heapster

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
)

// zero is the first stamp of the captures: 13.5 minutes of genuine Heapster, in which only the
// use is invented. The tests name points by the seconds since.
const zero = 1795334880

func at(seconds int64) time.Time { return time.Unix(zero+seconds, 0).UTC() }

func startInfluxDB(t *testing.T, o parts.InfluxDBOptions) *parts.InfluxDB {
	t.Helper()
	parts.Need(t, "influxd")
	db, err := parts.StartInfluxDBWith(t.Context(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Stop(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func load(t *testing.T, db *parts.InfluxDB, capture string) {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", capture))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	export, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Import(t.Context(), export); err != nil {
		t.Fatal(err)
	}
}

// sourceOf returns a source without jitter whose clock stands at the captures' end.
func sourceOf(t *testing.T, url string, change func(*Config)) *Source {
	t.Helper()
	c := DefaultConfig()
	c.URL, c.Jitter = url, 0
	if change != nil {
		change(&c)
	}
	c.Check(func(key, problem string) { t.Fatalf("%s: %s", key, problem) })
	s, err := New(c, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.now = func() time.Time { return at(800) }
	return s
}

func ask(t *testing.T, s *Source, node string, from, to int64) map[gopprof.SeriesKey][]gopprof.Window {
	t.Helper()
	windows, err := s.Windows(t.Context(), node, at(from), at(to))
	if err != nil {
		t.Fatal(err)
	}
	return windows
}

// story tells windows in a form that a test can be read by: the end, then each use in
// millicores or MiB over its limit; "-" is not reported.
func story(windows []gopprof.Window) string {
	var out []string
	for _, w := range windows {
		out = append(out, fmt.Sprintf("%d: %s %s", w.End.Unix()-zero, use(w.HasCPU, w.CPU, 1000), use(w.HasMemory, w.Memory, 1.0/(1<<20))))
	}
	return strings.Join(out, "\n")
}

func use(has bool, u gopprof.Use, unit float64) string {
	mean := "-"
	if has {
		mean = fmt.Sprintf("%.0f", u.Mean*unit)
	}
	return fmt.Sprintf("%s/%.0f", mean, u.Limit*unit)
}

func series(pod, container string) gopprof.SeriesKey {
	return gopprof.SeriesKey{Namespace: "shop", Pod: pod, Container: container}
}

func TestGenuineCapturesGiveTheirWindows(t *testing.T) {
	db := startInfluxDB(t, parts.InfluxDBOptions{})
	load(t, db, "capture-default-schema.lp.gz")
	load(t, db, "capture-withfields.lp.gz")
	for _, database := range []string{"k8s", "k8s_fields"} {
		s := sourceOf(t, db.URL, func(c *Config) { c.Database = database })
		a, b := ask(t, s, "node-a", 0, 780), ask(t, s, "node-b", 0, 780)
		for key, want := range map[gopprof.SeriesKey]string{
			series("web-6d5f9c7b8-hot01", "web"): `
60: 455/500 155/256
120: 457/500 145/256
180: 467/500 142/256
240: 450/500 150/256
300: 466/500 158/256
360: 460/500 155/256
420: 453/500 145/256
480: 469/500 142/256
540: 452/500 150/256
600: 461/500 158/256
660: 465/500 155/256
720: 450/500 145/256`,
			series("api-7c9d8f6b5-mix02", "api"): `
60: 300/1000 200/512
120: 300/1000 200/512
180: 300/1000 200/512
240: 887/1000 200/512
300: 950/1000 200/512
360: 950/1000 200/512
420: 950/1000 200/512
480: 362/1000 200/512
540: 300/1000 200/512
600: 300/1000 200/512
660: 300/1000 200/512
720: 300/1000 200/512`,
			series("cache-0", "cache"): `
60: 100/500 70/128
120: 100/500 75/128
180: 100/500 79/128
240: 100/500 84/128
300: 100/500 89/128
360: 100/500 94/128
420: 100/500 99/128
480: 100/500 103/128
540: 100/500 108/128
600: 100/500 113/128
660: 100/500 118/128
720: 100/500 123/128`,
			// It restarted: Heapster lost two points of its CPU and one of its memory.
			series("crash-loop-05", "crash"): `
60: 190/200 30/64
120: 190/200 30/64
180: 190/200 30/64
240: -/200 -/64
300: -/200 30/64
360: 190/200 30/64
420: 190/200 30/64
480: 189/200 30/64
540: 190/200 30/64
600: 190/200 30/64
660: 190/200 30/64
720: 190/200 30/64`,
			// It lived for a while only; its first minute has no rate yet.
			series("late-06", "late"): `
180: -/200 40/64
240: 185/200 40/64
300: 185/200 40/64
360: 185/200 40/64
420: 185/200 40/64`,
		} {
			got := story(a[key]) + story(b[key])
			if got != strings.TrimSpace(want) {
				t.Errorf("%s: windows of %v:\n%s\nwant:%s", database, key, got, want)
			}
		}
		checkGenuine(t, database, a, b)
	}
}

func checkGenuine(t *testing.T, database string, a, b map[gopprof.SeriesKey][]gopprof.Window) {
	t.Helper()
	if len(a) != 5 || len(b) != 3 {
		t.Errorf("%s: %d containers on node-a and %d on node-b, want 5 and 3", database, len(a), len(b))
	}
	agent := a[gopprof.SeriesKey{Namespace: "kube-system", Pod: "node-agent-a", Container: "agent"}]
	if len(agent) != 12 {
		t.Fatalf("%s: %d windows of node-agent-a", database, len(agent))
	}
	for _, w := range agent {
		if ratio, ok := w.Ratio(gopprof.ResourceMemory); !ok || ratio < 0.906 || ratio > 0.907 {
			t.Errorf("%s: node-agent-a's memory is %v, %v of its limit, want 0.906", database, ratio, ok)
		}
		if w.End.Sub(w.Start) != time.Minute || w.Witness != gopprof.WitnessHeapster || w.CoveredRatio != 1 || w.Readings != 1 {
			t.Errorf("%s: window %+v", database, w)
		}
	}
	for _, k := range []gopprof.SeriesKey{series("batch-nolimit-03", "batch"), series("api-7c9d8f6b5-mix02", "sidecar")} {
		for _, w := range a[k] {
			if _, limited := w.Ratio(gopprof.ResourceCPU); limited || !w.HasCPU || w.CPU.Mean == 0 {
				t.Errorf("%s: %v has no limit, got %+v", database, k, w)
			}
		}
	}
}

func TestOnlyWholeIntervalsInsideTheSpan(t *testing.T) {
	db := startInfluxDB(t, parts.InfluxDBOptions{})
	load(t, db, "capture-default-schema.lp.gz")
	s := sourceOf(t, db.URL, nil)
	api := series("api-7c9d8f6b5-mix02", "api")
	for _, c := range []struct {
		from, to int64
		want     string
	}{
		{270, 390, "360: 950/1000 200/512"},                        // two minutes of heat hold one whole
		{240, 360, "300: 950/1000 200/512\n360: 950/1000 200/512"}, // both ends count
		{241, 359, ""},                         // no stamp has its whole minute inside
		{300, 350, ""},                         // shorter than an interval: not asked
		{660, 100000, "720: 300/1000 200/512"}, // nothing of the future
		{-600, 60, "0: -/1000 200/512\n60: 300/1000 200/512"}, // at 0 Heapster had no rate yet
	} {
		got := story(ask(t, s, "node-a", c.from, c.to)[api])
		if got != c.want {
			t.Errorf("windows in [%d, %d]:\n%s\nwant:\n%s", c.from, c.to, got, c.want)
		}
	}
	if got := ask(t, s, "node-c' OR 'a'='a", 0, 780); len(got) != 0 {
		t.Errorf("a node's name was taken for a part of the statement: %v", got)
	}
}
