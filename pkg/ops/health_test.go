package ops

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// clock is a time that tests turn on.
type clock struct{ at time.Time }

func (c *clock) now() time.Time         { return c.at }
func (c *clock) passes(d time.Duration) { c.at = c.at.Add(d) }
func live(h *Health) (text string)      { return errorText(h.Live()) }
func ready(h *Health) (text string)     { return errorText(h.ReadyNow()) }
func newClock() *clock                  { return &clock{time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)} }
func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestALoopThatStandsStillIsNotLive(t *testing.T) {
	c := newClock()
	h := NewHealth(c.now)
	watch, send := h.Loop("watch", time.Minute), h.Loop("send", 10*time.Minute)
	steps := []struct {
		after time.Duration
		do    func()
		want  string
	}{
		{0, func() {}, ""},
		{time.Minute, func() {}, ""}, // exactly within
		{time.Second, func() {}, "loop watch: last turned 1m1s ago, must within 1m0s"},
		{0, watch.Turn, ""},
		{9 * time.Minute, func() {}, "loop watch: last turned 9m0s ago, must within 1m0s\nloop send: last turned 10m1s ago, must within 10m0s"},
		{0, watch.End, "loop send: last turned 10m1s ago, must within 10m0s"},
		{0, send.Turn, ""},
	}
	for i, s := range steps {
		c.passes(s.after)
		s.do()
		if got := live(h); got != s.want {
			t.Errorf("step %d: %q, want %q", i, got, s.want)
		}
	}
}

func TestALoopThatNobodyWatchesMayTurn(t *testing.T) {
	var b *Beat
	b.Turn()
	b.End()
}

func TestAPartThatIsNotReadyIsNamed(t *testing.T) {
	h := NewHealth(newClock().now)
	nats, index := errors.New("no connection"), error(nil)
	h.Ready("nats", func() error { return nats })
	h.Ready("index", func() error { return index })
	if got := ready(h); got != "nats: no connection" {
		t.Errorf("%q", got)
	}
	nats, index = nil, errors.New("being rebuilt")
	if got := ready(h); got != "index: being rebuilt" {
		t.Errorf("%q", got)
	}
	index = nil
	if got := ready(h); got != "" {
		t.Errorf("%q", got)
	}
}

func TestTheStatusPort(t *testing.T) {
	c := newClock()
	h := NewHealth(c.now)
	h.Loop("watch", time.Minute)
	h.Ready("nats", func() error { return errors.New("away") })
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "gopprof_test_total", Help: "h"}))
	handler := Handler(reg, h, map[string]http.Handler{"GET /status": http.NotFoundHandler()})

	if code, body := get(t, handler, "/livez"); code != 200 || body != "ok\n" {
		t.Errorf("/livez: %d %q", code, body)
	}
	c.passes(time.Hour)
	if code, body := get(t, handler, "/livez"); code != 503 || !strings.Contains(body, "loop watch") {
		t.Errorf("/livez: %d %q", code, body)
	}
	if code, body := get(t, handler, "/readyz"); code != 503 || body != "nats: away\n" {
		t.Errorf("/readyz: %d %q", code, body)
	}
	if code, body := get(t, handler, "/metrics"); code != 200 || !strings.Contains(body, "gopprof_test_total 0") {
		t.Errorf("/metrics: %d %q", code, body)
	}
	if code, _ := get(t, handler, "/status"); code != 404 {
		t.Errorf("/status: %d", code)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("POST", "/livez", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST /livez: %d", w.Code)
	}
}
