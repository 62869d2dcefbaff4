package ops

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAsk(t *testing.T) {
	h := NewHealth(newClock().now)
	away := errors.New("away")
	h.Ready("nats", func() error { return away })
	server := httptest.NewServer(Handler(prometheus.NewRegistry(), h, nil))
	defer server.Close()
	status := ServerConfig{Listen: strings.TrimPrefix(server.URL, "http://")}
	ask := func(status ServerConfig) (string, error) {
		var out strings.Builder
		err := Ask(t.Context(), status, http.MethodGet, "/readyz", &out)
		return out.String(), err
	}
	if out, err := ask(status); err == nil || err.Error() != "nats: away" || out != "" {
		t.Errorf("not ready, and %q, %v", out, err)
	}
	away = nil
	if out, err := ask(status); err != nil || out == "" {
		t.Errorf("ready, and %q, %v", out, err)
	}
	if _, err := ask(ServerConfig{Listen: "127.0.0.1:0"}); err == nil {
		t.Error("nobody knows the port")
	}
	if _, err := ask(ServerConfig{Listen: "192.0.2.1:80", Authenticated: true}); err == nil || !strings.Contains(err.Error(), "beyond loopback") {
		t.Errorf("beyond loopback anybody may answer: %v", err)
	}
	server.Close()
	if _, err := ask(status); err == nil {
		t.Error("nobody listens")
	}
}
