package ops

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler serves the status port: /livez, /readyz, /metrics, and what extra adds by its
// pattern (as http.ServeMux takes it).
func Handler(reg prometheus.Gatherer, health *Health, extra map[string]http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /livez", checkHandler(health.Live))
	mux.Handle("GET /readyz", checkHandler(health.ReadyNow))
	mux.Handle("GET /metrics", metricsHandler(reg))
	for pattern, h := range extra {
		mux.Handle(pattern, h)
	}
	return mux
}

func metricsHandler(reg prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// MetricsHandler serves /metrics alone.
func MetricsHandler(reg prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metricsHandler(reg))
	return mux
}

// checkHandler answers 200 "ok", or 503 with one line per problem.
func checkHandler(check func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if err := check(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
	})
}
