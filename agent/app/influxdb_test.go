package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/observe/heapster"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
)

// What a capture says of its second witness, when that is a real InfluxDB or something that
// pretends to be one: unavailable with the reason, and never a wrong confirmed.

// witnessAt asks the series at an address, once: nothing more will come.
func witnessAt(t *testing.T, url string, change func(*heapster.Config)) *secondWitness {
	t.Helper()
	c := heapster.DefaultConfig()
	c.URL, c.Jitter, c.Timeout = url, 0, 20*time.Second // a slow machine is not the fault
	if change != nil {
		change(&c)
	}
	source, err := heapster.New(c, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(source.Close)
	w := witnessOf(source, 0.9)
	w.wait, w.every = 0, 30*time.Second
	return w
}

// agreed asks anew: no answer of before counts.
func agreed(t *testing.T, w *secondWitness) gopprof.Agreement {
	t.Helper()
	w.asked = time.Time{}
	return w.Agree(t.Context(), firedNow())
}

func expectAgreement(t *testing.T, got gopprof.Agreement, result gopprof.AgreementResult, reason gopprof.Reason) {
	t.Helper()
	if got.Result != result || got.Reason != reason || (result == gopprof.AgreementUnavailable) != (len(got.Compared) == 0) {
		t.Errorf("%s %s (%s), compared %+v; want %s %s", got.Result, got.Reason, got.Detail, got.Compared, result, reason)
	}
}

// hotAnswer is InfluxDB's answer of a minute at 0.9 of the limit that ended a moment ago.
func hotAnswer() string {
	at := time.Now().Add(-20 * time.Second).UnixMilli()
	table := `{"name":%q,"columns":["time","value","namespace_name","pod_name","container_name"],"values":[[%d,%d,"shop","api-1","api"]]}`
	return `{"results":[{"statement_id":0,"series":[` +
		fmt.Sprintf(table, "cpu/usage_rate", at, 900) + "," + fmt.Sprintf(table, "cpu/limit", at, 1000) + "]}]}\n"
}

func says(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestServersThatAreNoWitness(t *testing.T) {
	const jsonType = "application/json"
	ends := func(w http.ResponseWriter, _ *http.Request) { // says that more will come than does
		w.Header().Set("Content-Type", jsonType)
		w.Header().Set("Content-Length", "9000")
		_, _ = io.WriteString(w, hotAnswer())
	}
	hangs := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	drips := func(w http.ResponseWriter, r *http.Request) { // the whole answer, a byte again and again before its end
		w.Header().Set("Content-Type", jsonType)
		head, rest, _ := strings.Cut(hotAnswer(), ",")
		_, _ = io.WriteString(w, head)
		next := time.NewTicker(5 * time.Millisecond)
		defer next.Stop()
		for range 1000 {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-next.C:
			}
		}
		_, _ = io.WriteString(w, ","+rest)
	}
	resets := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	whole := hotAnswer()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		reason  gopprof.Reason
	}{
		"HTML":               {says(200, "text/html", "<html>"+whole+"</html>"), gopprof.ReasonSeriesUnreachable},
		"HTML called JSON":   {says(200, jsonType, "<html>"+whole+"</html>"), gopprof.ReasonSeriesUnreachable},
		"garbage":            {says(200, jsonType, "\x00\x01\x02"+whole), gopprof.ReasonSeriesUnreachable},
		"nothing":            {says(200, jsonType, ""), gopprof.ReasonSeriesUnreachable},
		"half, cleanly":      {says(200, jsonType, whole[:len(whole)-20]), gopprof.ReasonSeriesUnreachable},
		"half, cut":          {ends, gopprof.ReasonSeriesUnreachable},
		"twice":              {says(200, jsonType, whole+whole), gopprof.ReasonSeriesUnreachable},
		"a part":             {says(200, jsonType, strings.Replace(whole, `"]]}`, `"]],"partial":true}`, 1)), gopprof.ReasonSeriesUnreachable},
		"an error beside it": {says(500, jsonType, whole), gopprof.ReasonSeriesUnreachable},
		"unauthorized":       {says(401, jsonType, `{"error":"authorization failed"}`), gopprof.ReasonSeriesUnreachable},
		"hanging":            {hangs, gopprof.ReasonSeriesUnreachable},
		"dripping":           {drips, gopprof.ReasonSeriesUnreachable},
		"resetting":          {resets, gopprof.ReasonSeriesUnreachable},
		"no series":          {says(200, jsonType, `{"results":[{"statement_id":0}]}`), gopprof.ReasonSeriesAbsent},
	} {
		t.Run(name, func(t *testing.T) {
			var handler atomic.Pointer[http.HandlerFunc]
			handler.Store(&c.handler)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load())(w, r) }))
			defer server.Close()
			endless := name == "hanging" || name == "dripping"
			w := witnessAt(t, server.URL, func(c *heapster.Config) {
				if endless {
					c.Timeout = 200 * time.Millisecond
				}
			})
			expectAgreement(t, agreed(t, w), gopprof.AgreementUnavailable, c.reason)
			if endless {
				return // its time-out is too short for a busy machine
			}
			mended := says(200, jsonType, hotAnswer())
			handler.Store(&mended) // the way back is automatic
			expectAgreement(t, agreed(t, w), gopprof.AgreementConfirmed, "")
		})
	}
}

// A server that is slow, and in time, is a witness: it holds its answer back until somebody
// with less patience has given it up, and it is the time-out that tells them apart.
func TestSlowServerIsAWitness(t *testing.T) {
	begun, gate := make(chan struct{}, 10), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i, part := range strings.SplitAfter(hotAnswer(), ",") {
			_, _ = io.WriteString(w, part)
			_ = http.NewResponseController(w).Flush()
			if i > 0 {
				continue
			}
			begun <- struct{}{}
			select {
			case <-gate:
			case <-r.Context().Done():
				return
			}
		}
	}))
	defer server.Close()
	patient, said := witnessAt(t, server.URL, nil), make(chan gopprof.Agreement, 1)
	go func() { said <- agreed(t, patient) }()
	select {
	case <-begun:
	case got := <-said:
		t.Fatalf("said before anything was answered: %+v", got)
	}
	impatient := witnessAt(t, server.URL, func(c *heapster.Config) { c.Timeout = 200 * time.Millisecond })
	expectAgreement(t, agreed(t, impatient), gopprof.AgreementUnavailable, gopprof.ReasonSeriesUnreachable)
	select {
	case got := <-said:
		t.Errorf("said before the answer was whole: %+v", got)
	default:
		close(gate)
		expectAgreement(t, <-said, gopprof.AgreementConfirmed, "")
	}
}

// database is a real InfluxDB whose points are written as Heapster does.
type database struct {
	*parts.InfluxDB
	t *testing.T
}

func newDatabase(t *testing.T) database {
	t.Helper()
	parts.Need(t, "influxd")
	db, err := parts.StartInfluxDB(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Stop() }) // it may be stopped by then
	return database{db, t}
}

func (d database) create() {
	d.t.Helper()
	for _, q := range []string{"DROP DATABASE k8s", `CREATE DATABASE k8s WITH NAME "default"`} {
		if _, err := d.Query(d.t.Context(), "", q); err != nil {
			d.t.Fatal(err)
		}
	}
}

// put writes points of the target, each "measurement[,tag=value] field=value"; a conflict
// of types drops single points, which InfluxDB calls an error.
func (d database) put(at time.Time, points ...string) error {
	var lines strings.Builder
	for _, p := range points {
		name, fields, _ := strings.Cut(p, " ")
		fmt.Fprintf(&lines, "%s,type=pod_container,nodename=n,namespace_name=shop,pod_name=api-1,container_name=api %s %d\n", name, fields, at.UnixNano())
	}
	return d.Write(d.t.Context(), "k8s", "default", []byte(lines.String()))
}

func TestRealInfluxDBAsAWitness(t *testing.T) {
	db := newDatabase(t)
	w := witnessAt(t, db.URL, nil)
	expectAgreement(t, agreed(t, w), gopprof.AgreementUnavailable, gopprof.ReasonSeriesUnreachable) // there is no database

	const limit, hot, cool = "cpu/limit value=1000i", "cpu/usage_rate value=900i", "cpu/usage_rate value=300i"
	minute := -20 * time.Second // of the hot span, by its end
	for _, c := range []struct {
		name   string
		points map[time.Duration][]string // by when, from now
		result gopprof.AgreementResult
		reason gopprof.Reason
	}{
		{"empty", nil, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsent},
		{"hot", map[time.Duration][]string{minute: {limit, hot}}, gopprof.AgreementConfirmed, ""},
		{"cool", map[time.Duration][]string{minute: {limit, cool}}, gopprof.AgreementContradicted, ""},
		{"no limit", map[time.Duration][]string{minute: {"cpu/limit value=0i", hot}}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsent},
		{"memory alone", map[time.Duration][]string{minute: {"memory/limit value=1048576i", "memory/working_set value=1000000i"}}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsent},
		{"points of the past", map[time.Duration][]string{-150 * time.Second: {limit, hot}}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesStale},
		{"points of an hour ago", map[time.Duration][]string{-time.Hour: {limit, hot}}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsent},
		{"points of the future alone", map[time.Duration][]string{time.Hour: {limit, hot}}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsurd},
		{"a clock that is ahead", map[time.Duration][]string{minute: {limit, hot}, time.Hour: {limit, hot}}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsurd},
		{"negative", map[time.Duration][]string{minute: {limit, "cpu/usage_rate value=-900i"}}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsurd},
		{"enormous", map[time.Duration][]string{minute: {limit, "cpu/usage_rate value=9223372036854775807i"}}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsurd},
		{"both schemas", map[time.Duration][]string{minute: {limit, hot, "cpu usage_rate=900i,limit=1000i"}}, gopprof.AgreementConfirmed, ""},
		{"both schemas that differ", map[time.Duration][]string{minute: {limit, hot, "cpu usage_rate=300i,limit=1000i"}}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsurd},
		{"schemas that change", map[time.Duration][]string{-75 * time.Second: {limit, hot}, minute: {"cpu usage_rate=900i,limit=1000i"}}, gopprof.AgreementConfirmed, ""},
		{"two clusters", map[time.Duration][]string{minute: {limit, "cpu/usage_rate,cluster_name=a value=900i", "cpu/usage_rate,cluster_name=b value=100i"}}, gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsurd},
		{"our own record", map[time.Duration][]string{minute: {"cpu/limit,source=gopprof value=1000i", "cpu/usage_rate,source=gopprof value=900i"}}, gopprof.AgreementSingle, ""},
		{"floats", map[time.Duration][]string{minute: {"cpu/limit value=1000", "cpu/usage_rate value=900.5"}}, gopprof.AgreementConfirmed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			db.create()
			for at, points := range c.points {
				if err := db.put(time.Now().Add(at), points...); err != nil {
					t.Fatal(err)
				}
			}
			expectAgreement(t, agreed(t, w), c.result, c.reason)
		})
	}

	// A conflict of int and float drops the later type's point and keeps the rest.
	db.create()
	if err := db.put(time.Now().Add(-10*time.Minute), "cpu/usage_rate value=1i", "cpu/limit value=1000i"); err != nil {
		t.Fatal(err)
	}
	if err := db.put(time.Now().Add(minute), "cpu/usage_rate value=900.5", "cpu/limit value=1000i"); err == nil {
		t.Error("there was no conflict")
	}
	expectAgreement(t, agreed(t, w), gopprof.AgreementUnavailable, gopprof.ReasonSeriesAbsent)
	if err := db.put(time.Now().Add(minute), hot); err != nil {
		t.Fatal(err)
	}
	expectAgreement(t, agreed(t, w), gopprof.AgreementConfirmed, "")

	if err := db.Stop(); err != nil {
		t.Fatal(err)
	}
	expectAgreement(t, agreed(t, w), gopprof.AgreementUnavailable, gopprof.ReasonSeriesUnreachable)
}
