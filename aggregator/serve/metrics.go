package serve

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	alerts   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_serve_requests_total",
			Help: "HTTP requests by room (api, apiserver or pages) and status.",
		}, []string{"room", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gopprof_aggregator_serve_request_seconds",
			Help:    "How long answers took, by room (api, apiserver or pages).",
			Buckets: []float64{.005, .025, .1, .5, 1, 5, 30},
		}, []string{"room"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_serve_refused_total",
			Help: "Requests refused before they were looked at: no token or an unknown one, a foreign host or site, too many reports on their way or operations followed.",
		}, []string{"reason"}),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_serve_alerts_total",
			Help: "Alerts that an alerting system told of, by what became of them (asked, duplicate, resolved, refused) and, of refusals, reason.",
		}, []string{"state", "reason"}),
	}
	reg.MustRegister(m.requests, m.seconds, m.refused, m.alerts)
	return m
}

func (m *metrics) requestEnded(w *countedWriter, r *http.Request, start time.Time) {
	room := "pages"
	switch {
	case strings.HasPrefix(r.URL.Path, "/apis"):
		room = "apiserver"
	case strings.Contains(r.URL.Path, "/api/"):
		room = "api"
	}
	status := w.status
	if status == 0 {
		status = http.StatusOK
	}
	m.requests.WithLabelValues(room, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(room).Observe(time.Since(start).Seconds())
}

// countedWriter remembers the status of an answer.
type countedWriter struct {
	http.ResponseWriter
	status int // 0: nothing was written yet
}

func (w *countedWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *countedWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *countedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
