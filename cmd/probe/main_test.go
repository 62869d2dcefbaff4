package main

import (
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopprof/gopprof/pkg/ops"
)

// The very port that both programs have is asked.
func TestProbe(t *testing.T) {
	health := ops.NewHealth(time.Now)
	var away error
	health.Ready("nats", func() error { return away })
	server := httptest.NewServer(ops.Handler(prometheus.NewRegistry(), health, nil))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	if err := probe(address + "/livez"); err != nil {
		t.Errorf("alive, and %v", err)
	}
	if err := probe(address + "/readyz"); err != nil {
		t.Errorf("ready, and %v", err)
	}
	away = fmt.Errorf("away")
	if err := probe(address + "/readyz"); err == nil || err.Error() != "nats: away" {
		t.Errorf("not ready, and %v", err)
	}
	server.Close()
	if err := probe(address + "/livez"); err == nil || !strings.Contains(err.Error(), "status.listen") {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestWhatIsNotAsked(t *testing.T) {
	for question, want := range map[string]string{
		"127.0.0.1:9393/metrics":  "neither /livez nor /readyz",
		"127.0.0.1:9393":          "neither /livez nor /readyz",
		"localhost:9393/livez":    "does not begin with IP:PORT",
		"127.0.0.1/livez":         "does not begin with IP:PORT",
		"192.0.2.1:80/livez":      "beyond loopback",
		"[2001:db8::1]:80/readyz": "beyond loopback",
	} {
		if err := probe(question); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", question, err, want)
		}
	}
}

func TestAnswers(t *testing.T) {
	for sent, want := range map[string]string{
		"HTTP/1.0 200 OK\r\n\r\n":                                     "",
		"HTTP/1.1 503 Service Unavailable\r\nX: y\r\n\r\nstore: full": "store: full",
		"HTTP/1.0 500 Internal Server Error\r\n\r\n":                  "500 Internal Server Error",
		"SSH-2.0-x\r\n": "what answers is no HTTP server",
		"":              "no answer: EOF",
		"HTTP/1.0 503 x\r\n\r\n" + strings.Repeat("y", 1<<20): strings.Repeat("y", answerMost-len("HTTP/1.0 503 x\r\n\r\n")),
	} {
		got := ""
		if err := answer(strings.NewReader(sent)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.40q: %.80q, want %.80q", sent, got, want)
		}
	}
}

// A port that accepts and says nothing is no yes, and is not waited for longer than a probe
// may take.
func TestSilence(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.Close()
		}
	}()
	defer l.Close()
	if err := probe(l.Addr().String() + "/livez"); err == nil {
		t.Error("a connection that ends is taken for a yes")
	}
}
