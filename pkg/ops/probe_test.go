package ops

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestProbe(t *testing.T) {
	h := NewHealth(newClock().now)
	away := errors.New("away")
	h.Ready("nats", func() error { return away })
	server := httptest.NewServer(Handler(prometheus.NewRegistry(), h, nil))
	defer server.Close()
	status := ServerConfig{Listen: strings.TrimPrefix(server.URL, "http://")}

	if err := Probe(t.Context(), status, CheckLive); err != nil {
		t.Errorf("alive, and %v", err)
	}
	if err := Probe(t.Context(), status, CheckReady); err == nil || err.Error() != "nats: away" {
		t.Errorf("not ready, and %v", err)
	}
	away = nil
	if err := Probe(t.Context(), status, CheckReady); err != nil {
		t.Errorf("ready, and %v", err)
	}
	if err := Probe(t.Context(), status, "metrics"); err == nil {
		t.Error("a check of that name is not known")
	}
	if err := Probe(t.Context(), ServerConfig{Listen: "127.0.0.1:0"}, CheckLive); err == nil {
		t.Error("nobody knows the port")
	}
	if err := Probe(t.Context(), ServerConfig{Listen: "192.0.2.1:80", Authenticated: true}, CheckLive); err == nil || !strings.Contains(err.Error(), "beyond loopback") {
		t.Errorf("beyond loopback anybody may answer: %v", err)
	}
	server.Close()
	if err := Probe(t.Context(), status, CheckLive); err == nil {
		t.Error("nobody listens")
	}
}
