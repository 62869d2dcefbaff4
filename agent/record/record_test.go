package record_test

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/agent/observe/heapster"
	"github.com/gopprof/gopprof/agent/record"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
)

func startInfluxDB(t *testing.T) *parts.InfluxDB {
	t.Helper()
	parts.Need(t, "influxd")
	db, err := parts.StartInfluxDB(t.Context(), t.TempDir())
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

// running is a recorder whose Run has been started and ends with the test.
type running struct {
	*record.Recorder
	reg  *prometheus.Registry
	logs *observer.ObservedLogs
}

func run(t *testing.T, url string, change func(*record.Config)) running {
	t.Helper()
	r := prepare(t, url, change)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

func prepare(t *testing.T, url string, change func(*record.Config)) running {
	t.Helper()
	c := record.DefaultConfig()
	c.URL = url
	if change != nil {
		change(&c)
	}
	c.Check(func(key, problem string) { t.Fatalf("%s: %s", key, problem) })
	core, logs := observer.New(zap.InfoLevel)
	r := running{reg: prometheus.NewRegistry(), logs: logs}
	var err error
	if r.Recorder, err = record.New(c, zap.New(core), r.reg); err != nil {
		t.Fatal(err)
	}
	return r
}

// await waits until the sum of a metric's series reaches n.
func (r running) await(t *testing.T, metric string, n float64) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); r.sum(t, metric) < n; {
		if time.Now().After(deadline) {
			t.Fatalf("%s is %v, want %v; logged %v", metric, r.sum(t, metric), n, r.logs.All())
		}
		tick := time.NewTimer(5 * time.Millisecond)
		<-tick.C
	}
}

func (r running) sum(t *testing.T, metric string) float64 {
	t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == metric {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func target(pod string) gopprof.Target {
	return gopprof.Target{Cluster: "c1", Node: "n=1, x", Namespace: "shop", Pod: pod, Container: "main", Image: "shop/web:1.4"}
}

func TestRoundTripThroughInfluxDB(t *testing.T) {
	db := startInfluxDB(t)
	r := run(t, db.URL, nil)
	end := time.Now().Truncate(time.Second)
	r.Record(t.Context(), end.Add(-time.Minute), []record.Point{
		{Target: target("web"), CPULimitCores: 1.5, HasMemory: true, WorkingSetBytes: 1 << 20, MemoryLimitBytes: 1 << 21},
	})
	r.Record(t.Context(), end, []record.Point{
		{Target: target("web"), HasCPU: true, CPUCores: 1.2344, CPULimitCores: 1.5, HasMemory: true, WorkingSetBytes: 1<<20 + 0.4, MemoryLimitBytes: 1 << 21},
		{Target: target("nolimit"), HasCPU: true, CPUCores: 0.3},
		{Target: target("bad\ncpu/limit,type=pod_container value=1i"), HasCPU: true},
		{Target: target("NaN"), HasCPU: true, CPUCores: math.NaN(), CPULimitCores: 1},
	})
	r.await(t, "gopprof_agent_record_points_total", 3+4+3+2)

	c := heapster.DefaultConfig()
	c.URL, c.Jitter, c.ClusterName = db.URL, 0, "c1"
	source, err := heapster.New(c, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	got, err := source.Windows(t.Context(), "n=1, x", end.Add(-2*time.Minute), end)
	if err != nil || len(got) != 3 {
		t.Fatalf("got %v, %v", got, err)
	}
	web := got[target("web").Series()]
	if len(web) != 2 {
		t.Fatalf("windows %+v", web)
	}
	want := gopprof.Window{
		Witness: gopprof.WitnessRecord, Start: end.Add(-time.Minute).UTC(), End: end.UTC(),
		CPU:      gopprof.Use{Mean: 1.234, Limit: 1.5, Ratio: 1.234 / 1.5},
		Memory:   gopprof.Use{Mean: 1 << 20, Limit: 1 << 21, Ratio: 0.5},
		Readings: 1, CoveredRatio: 1, HasCPU: true, HasMemory: true,
	}
	if web[1] != want {
		t.Errorf("got  %+v\nwant %+v", web[1], want)
	}
	if w := web[0]; w.HasCPU || w.CPU.Limit != 1.5 || !w.HasMemory {
		t.Errorf("an interval without CPU became %+v", w)
	}
	if w := got[target("nolimit").Series()][0]; !w.HasCPU || w.CPU.Mean != 0.3 || w.CPU.Limited() || w.HasMemory {
		t.Errorf("a target without limits became %+v", w)
	}
	if w := got[target("NaN").Series()][0]; w.HasCPU || w.CPU.Limit != 1 {
		t.Errorf("a use that is no number became %+v", w)
	}
	if n := r.sum(t, "gopprof_agent_record_failures_total"); n != 2 {
		t.Errorf("%v left out, want the target that cannot be named and the value that is no number", n)
	}
}

// The series are Heapster's to the letter: integers, and its tags.
func TestTheSeriesAreHeapsters(t *testing.T) {
	db := startInfluxDB(t)
	r := run(t, db.URL, nil)
	r.Record(t.Context(), time.Unix(1795334940, 5e8), []record.Point{{Target: target("web"), HasCPU: true, CPUCores: 1, HasMemory: true, WorkingSetBytes: 5}})
	r.await(t, "gopprof_agent_record_points_total", 4)
	for statement, want := range map[string]string{
		"SHOW FIELD KEYS":               `["value","integer"]`,
		`SHOW SERIES`:                   `cpu/limit,cluster_name=c1,container_base_image=shop/web:1.4,container_name=main,namespace_name=shop,nodename=n\\=1\\,\\ x,pod_name=web,source=gopprof,type=pod_container`,
		`SELECT value FROM "cpu/limit"`: `[1795334940000,0]`,
		"SHOW RETENTION POLICIES":       `["default","0s","168h0m0s",1,true]`,
	} {
		answer, err := db.Query(t.Context(), "k8s", statement)
		if err != nil || !strings.Contains(answer, want) || strings.Contains(answer, "float") {
			t.Errorf("%s: %s, %v", statement, answer, err)
		}
	}
}

// Heapster's older points may be floats: InfluxDB then drops single points and keeps the rest.
func TestATypeConflictLosesOnlyItsPoints(t *testing.T) {
	db := startInfluxDB(t)
	if _, err := db.Query(t.Context(), "", `CREATE DATABASE k8s WITH NAME "default"`); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), "k8s", "default", []byte("cpu/limit,a=b value=1.5 1795334940000000000\n")); err != nil {
		t.Fatal(err)
	}
	r := run(t, db.URL, nil)
	for range 2 {
		r.Record(t.Context(), time.Unix(1795334940, 0), []record.Point{{Target: target("web"), HasCPU: true, CPUCores: 1}})
	}
	r.await(t, "gopprof_agent_record_failures_total", 2)
	answer, err := db.Query(t.Context(), "k8s", `SELECT value FROM "cpu/usage_rate"`)
	if err != nil || !strings.Contains(answer, "[1795334940000,1000]") {
		t.Errorf("%s, %v", answer, err)
	}
	if r.logs.Len() != 1 || !strings.Contains(r.logs.All()[0].ContextMap()["error"].(string), "field type conflict") {
		t.Errorf("logged %v, want the conflict once", r.logs.All())
	}
}

// While InfluxDB does not answer, Record returns at once, keeps a bounded number of batches,
// the newest, and goes on when it answers again.
func TestASilentInfluxDBHoldsNobodyUp(t *testing.T) {
	arrived, release := make(chan string), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, 1<<16)
		n, _ := r.Body.Read(body)
		arrived <- string(body[:n])
		<-release
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	r := run(t, server.URL, func(c *record.Config) { c.MaxBatches = 2 })
	point := []record.Point{{Target: target("web")}}
	r.Record(t.Context(), time.Unix(1, 0), point)
	<-arrived
	for second := range 5 {
		r.Record(t.Context(), time.Unix(int64(second+2), 0), point)
	}
	if n := r.sum(t, "gopprof_agent_record_dropped_total"); n != 3 {
		t.Errorf("%v batches dropped, want 3", n)
	}
	close(release)
	for _, want := range []string{" 5\n", " 6\n"} {
		if got := <-arrived; !strings.HasSuffix(got, want) {
			t.Errorf("wrote %q, want the end %q", got, want)
		}
	}
	r.await(t, "gopprof_agent_record_points_total", 6)
}

func TestRunEndsWithItsContextAmidAWrite(t *testing.T) {
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.Read(make([]byte, 1<<16))
		close(arrived)
		<-r.Context().Done()
	}))
	defer server.Close()
	r := prepare(t, server.URL, func(c *record.Config) { c.Timeout = time.Minute })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	r.Record(ctx, time.Unix(1, 0), []record.Point{{Target: target("web")}})
	<-arrived
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := r.sum(t, "gopprof_agent_record_failures_total"); n != 0 || r.logs.Len() != 0 {
		t.Errorf("being stopped was counted as %v failures, logged %v", n, r.logs.All())
	}
}

// What an InfluxDB that fails says is in the log once, and once that it works again.
func TestFailuresAreLoggedAsTransitions(t *testing.T) {
	db := startInfluxDB(t)
	if err := db.Stop(); err != nil {
		t.Fatal(err)
	}
	r := run(t, db.URL, nil)
	point := []record.Point{{Target: target("web")}}
	for n := range 3 {
		r.Record(t.Context(), time.Unix(1795334940, 0), point)
		r.await(t, "gopprof_agent_record_failures_total", float64(n+1))
	}
	again, err := parts.StartInfluxDBWith(t.Context(), t.TempDir(), parts.InfluxDBOptions{Listen: db.Listen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Stop() })
	for n := range 2 {
		r.Record(t.Context(), time.Unix(1795334940, 0), point)
		r.await(t, "gopprof_agent_record_points_total", float64(2*n+2))
	}
	var got []string
	for _, entry := range r.logs.All() {
		got = append(got, entry.Message)
	}
	if strings.Join(got, ", ") != "recording failed, recording works again" {
		t.Errorf("logged %q", got)
	}
}

func TestADatabaseThatMayNotBeCreatedIsNamed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/write" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"error":"database not found: \"k8s\""}`))
			return
		}
		_, _ = w.Write([]byte(`{"results":[{"error":"user w not authorized"}]}`))
	}))
	defer server.Close()
	r := run(t, server.URL, nil)
	r.Record(t.Context(), time.Unix(1, 0), []record.Point{{Target: target("web")}})
	r.await(t, "gopprof_agent_record_failures_total", 1)
	if text := r.logs.All()[0].ContextMap()["error"]; !strings.Contains(text.(string), `creating database "k8s"`) || !strings.Contains(text.(string), "not authorized") {
		t.Errorf("logged %v", text)
	}
}

func TestNothingToRecordSendsNothing(t *testing.T) {
	r := run(t, "http://127.0.0.1:1", nil)
	r.Record(t.Context(), time.Unix(1, 0), nil)
	r.Record(t.Context(), time.Unix(1, 0), []record.Point{{Target: target("")}})
	r.await(t, "gopprof_agent_record_failures_total", 1)
	if r.logs.Len() != 0 {
		t.Errorf("logged %v", r.logs.All())
	}
	if n, err := testutil.GatherAndCount(r.reg, "gopprof_agent_record_dropped_total"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
