package heapster

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/heapster"
	"github.com/gopprof/gopprof/test/parts"
)

const wholeAnswer = `{"results":[{"statement_id":0,"series":[{"name":"cpu/usage_rate","columns":["time","value","namespace_name","pod_name","container_name"],"values":[[1795334940000,455,"shop","pod","c"]]}]}]}` + "\n"

func answering(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// cut says that more will come than does.
func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "5000")
	fmt.Fprint(w, wholeAnswer)
}

func bomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	defer z.Close()
	for range 64 {
		if _, err := z.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
			return
		}
	}
}

func TestServersThatFailHaveANamedReason(t *testing.T) {
	const jsonType = "application/json"
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    error
		text    string
	}{
		"html":             {answering(200, "text/html", "<html>hello</html>"), errNotInfluxDB, `"<html>hello</html>"`},
		"garbage":          {answering(200, jsonType, "\x00\x01garbage"), errNotInfluxDB, `"\x00\x01garbage"`},
		"empty":            {answering(200, jsonType, ""), errNotWhole, "empty"},
		"other json":       {answering(200, jsonType, `{"status":"ok"}`), errNotInfluxDB, "0 results"},
		"json of a list":   {answering(200, jsonType, `[1,2]`), errNotInfluxDB, "[1,2]"},
		"two documents":    {answering(200, jsonType, wholeAnswer+wholeAnswer), errNotInfluxDB, "more follows"},
		"half, cleanly":    {answering(200, jsonType, wholeAnswer[:100]), errNotWhole, "after 100 bytes"},
		"half, cut":        {cut, nil, "reading answer: unexpected EOF"},
		"max-row-limit":    {answering(200, jsonType, strings.Replace(wholeAnswer, `"]]}`, `"]],"partial":true}`, 1)), errNotWhole, "max-row-limit"},
		"error in words":   {answering(200, jsonType, `{"results":[{"statement_id":0,"error":"database not found: k8s"}]}`), errRefused, "database not found: k8s"},
		"unauthorized":     {answering(401, jsonType, `{"error":"authorization failed"}`), errRefused, `status 401, "authorization failed"`},
		"500":              {answering(500, "text/plain", "oh"), errNotInfluxDB, `status 500, "oh"`},
		"503 without more": {answering(503, jsonType, `{}`), errRefused, "status 503"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		}, heapster.ErrRedirected, ""},
		"gzip bomb":        {bomb, heapster.ErrTooLarge, "4194304"},
		"too many rows":    {answering(200, jsonType, strings.Replace(wholeAnswer, `"values":[`, `"values":[`+strings.Repeat("[],", 50_000), 1)), errTooManyRows, "50000"},
		"objects":          {answering(200, jsonType, `{"results":[`+strings.Repeat("{},", 1_000_000)+`{}]}`), errNotInfluxDB, "100 objects"},
		"one endless row":  {answering(200, jsonType, strings.Replace(wholeAnswer, `"values":[[`, `"values":[[`+strings.Repeat("0,", 1_000_000), 1)), errTooManyRows, "50000"},
		"a long complaint": {answering(200, jsonType, `{"error":"`+strings.Repeat("x", 100_000)+`"}`), errRefused, "xxx\"…"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.handler)
			defer server.Close()
			patient := func(c *Config) { c.Timeout = time.Minute } // a slow machine is not the fault
			checkFailure(t, sourceOf(t, server.URL, patient), c.want, c.text)
		})
	}
}

func checkFailure(t *testing.T, s *Source, want error, text string) {
	t.Helper()
	windows, err := s.Windows(t.Context(), "node-a", at(0), at(780))
	if err == nil || len(windows) > 0 {
		t.Fatalf("got %v, %v", windows, err)
	}
	if ReasonOf(err) != gopprof.ReasonSeriesUnreachable {
		t.Errorf("reason %q", ReasonOf(err))
	}
	if want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), text) || len(err.Error()) > 400 {
		t.Errorf("got error %q, want %v with %q", err, want, text)
	}
	if large := strings.Contains(text, "max-row-limit") || want == errTooManyRows || want == heapster.ErrTooLarge; TooLarge(err) != large {
		t.Errorf("%v: too large: %t", err, !large)
	}
	if n := testutil.ToFloat64(s.metrics.failures.WithLabelValues("series_unreachable")); n != 1 {
		t.Errorf("%v failures counted", n)
	}
}

func TestAServerThatIsAway(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String()
	listener.Close()
	checkFailure(t, sourceOf(t, url, nil), nil, "connection refused")
}

func TestASilentServerIsGivenUp(t *testing.T) {
	closed := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the end of the connection is only seen behind the body
		<-r.Context().Done()
		close(closed)
	}))
	defer server.Close()
	s := sourceOf(t, server.URL, func(c *Config) { c.Timeout = 100 * time.Millisecond })
	checkFailure(t, s, heapster.ErrNoAnswer, "100ms")
	<-closed
}

// The wait ends with the context, and with it the exchange itself: nothing is left behind
// that could pile up.
func TestTheContextEndsTheExchange(t *testing.T) {
	arrived, closed := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-r.Context().Done()
		closed <- struct{}{}
	}))
	defer server.Close()
	s := sourceOf(t, server.URL, func(c *Config) { c.Timeout = time.Minute })
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := s.Windows(ctx, "n", at(0), at(780))
			done <- err
		}()
		<-arrived
		cancel()
		if err := <-done; ReasonOf(err) != gopprof.ReasonCancelled {
			t.Errorf("got %v", err)
		}
		<-closed
	}
}

func TestTheContextEndsTheJitter(t *testing.T) {
	s := sourceOf(t, "http://127.0.0.1:1", func(c *Config) { c.Jitter = time.Minute })
	s.random = func(most int64) int64 { return most - 1 }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Windows(ctx, "n", at(0), at(780)); ReasonOf(err) != gopprof.ReasonCancelled {
		t.Errorf("got %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Windows(ctx, "n", at(0), at(780)); ReasonOf(err) != gopprof.ReasonSeriesUnreachable {
		t.Errorf("got %v", err)
	}
}

func TestAuthenticationAndTLS(t *testing.T) {
	db := startInfluxDB(t, parts.InfluxDBOptions{Username: "heap", Password: "pass word", TLS: true})
	load(t, db, "capture-default-schema.lp.gz")
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := sourceOf(t, db.URL, func(c *Config) {
		c.Username, c.PasswordFile, c.CAFile = "heap", config.SecretFile(password), db.CAFile
	})
	checkFailure(t, s, errRefused, "status 401")
	if err := os.WriteFile(password, []byte("pass word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, s, "node-a", 0, 780); len(got) != 5 {
		t.Errorf("%d containers after the password was mended", len(got))
	}
	checkFailure(t, sourceOf(t, db.URL, func(c *Config) { c.CAFile = db.CAFile }), errRefused, "status 401")
	checkFailure(t, sourceOf(t, db.URL, nil), nil, "certificate signed by unknown authority")
	checkFailure(t, sourceOf(t, strings.Replace(db.URL, "https", "http", 1), nil), nil, "")
	missing := sourceOf(t, db.URL, func(c *Config) {
		c.Username, c.PasswordFile, c.CAFile = "heap", "/nowhere", db.CAFile
	})
	checkFailure(t, missing, nil, "reading password")
}

func TestInfluxDBsOwnRowLimit(t *testing.T) {
	db := startInfluxDB(t, parts.InfluxDBOptions{MaxRowLimit: 20})
	load(t, db, "capture-default-schema.lp.gz")
	checkFailure(t, sourceOf(t, db.URL, nil), errNotWhole, "max-row-limit")
	checkFailure(t, sourceOf(t, db.URL, func(c *Config) { c.Database = "nope" }), errRefused, "database not found")
	checkFailure(t, sourceOf(t, db.URL, func(c *Config) { c.RetentionPolicy = "nope" }), errRefused, "retention policy not found")
}

func TestTheServerStopsAtTooManyRows(t *testing.T) {
	db := startInfluxDB(t, parts.InfluxDBOptions{})
	load(t, db, "capture-default-schema.lp.gz")
	s := sourceOf(t, db.URL, func(c *Config) { c.MaxRows = 100 })
	if _, err := s.Windows(t.Context(), "node-a", at(0), at(780)); !errors.Is(err, errTooManyRows) || !TooLarge(err) {
		t.Errorf("got %v", err)
	}
	if got := ask(t, s, "node-a", 0, 240); len(got) != 5 {
		t.Errorf("%d containers", len(got))
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	notPEM := filepath.Join(t.TempDir(), "ca")
	if err := os.WriteFile(notPEM, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, change := range map[string]func(*Config){
		"no such file":         func(c *Config) { c.CAFile = "/nowhere" },
		"no certificate in it": func(c *Config) { c.CAFile = notPEM },
		"must begin with http": func(c *Config) { c.URL = "" },
		"must not hold a user": func(c *Config) { c.URL = "http://u:p@h/" },
	} {
		c := DefaultConfig()
		c.URL = "https://h:1"
		change(&c)
		if _, err := New(c, zap.NewNop(), prometheus.NewRegistry()); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %q", err, text)
		}
	}
}

// A server that goes away and comes back is two lines of log, not one for each query.
func TestLogsAreTransitions(t *testing.T) {
	broken := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken {
			answering(500, "text/plain", "oh")(w, r)
			return
		}
		answering(200, "application/json", wholeAnswer)(w, r)
	}))
	defer server.Close()
	s := sourceOf(t, server.URL, nil)
	core, logs := observer.New(zap.InfoLevel)
	s.status.log = zap.New(core)
	for _, broken = range []bool{true, true, true, false, false, true} {
		_, _ = s.Windows(t.Context(), "n", at(0), at(780))
	}
	var got []string
	for _, entry := range logs.All() {
		got = append(got, entry.Message)
	}
	if want := "series lost, series reachable again, series' schema found, series lost"; strings.Join(got, ", ") != want {
		t.Errorf("logged %q, want %q", got, want)
	}
}
