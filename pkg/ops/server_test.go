package ops

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gopprof/gopprof/test/poll"
)

func TestCheckListen(t *testing.T) {
	cases := []struct {
		listen        string
		authenticated bool
		want          string // part of the problem
	}{
		{"127.0.0.1:9393", false, ""},
		{"127.8.8.8:0", false, ""},
		{"[::1]:9393", false, ""},
		{"localhost:9393", false, ""},
		{":9393", true, ""},
		{"0.0.0.0:9393", true, ""},
		{"", false, "not host:port"},
		{"127.0.0.1", false, "not host:port"},
		{"127.0.0.1:", false, "port"},
		{"127.0.0.1:http", false, "port"},
		{"127.0.0.1:70000", true, "port"},
		{"127.0.0.1:-1", true, "port"},
		{":9393", false, "beyond loopback"},
		{"0.0.0.0:9393", false, "beyond loopback"},
		{"[::]:9393", false, "beyond loopback"},
		{"10.0.0.1:9393", false, "beyond loopback"},
		{"example.org:9393", false, "beyond loopback"},
	}
	for _, c := range cases {
		got := CheckListen(c.listen, c.authenticated)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%q, %t: %q, want %q", c.listen, c.authenticated, got, c.want)
		}
		reported := ""
		ServerConfig{Listen: c.listen, Authenticated: c.authenticated}.Check(func(key, problem string) { reported = key + problem })
		if (reported == "") != (got == "") {
			t.Errorf("%q: reported %q", c.listen, reported)
		}
	}
}

// TestARunningRequestMayFinish stops the server in the middle of a request.
func TestARunningRequestMayFinish(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	s, err := NewServer("127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(started)
		<-finish
		_, _ = io.WriteString(w, "whole")
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + s.Addr())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		answer <- string(body) + errorText(err)
	}()
	<-started
	stop()
	close(finish)
	if got := <-answer; got != "whole" {
		t.Errorf("answer %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := http.Get("http://" + s.Addr()); err == nil {
		t.Error("still listening")
	}
}

func TestAnAddressInUseIsAnError(t *testing.T) {
	s, err := NewServer("127.0.0.1:0", http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := Serve(t.Context(), s.Addr(), http.NotFoundHandler()); err == nil || !strings.HasPrefix(err.Error(), `listening on "127.0.0.1:`) {
		t.Errorf("err %v", err)
	}
}

func TestServingEndsWithItsListener(t *testing.T) {
	s, err := NewServer("127.0.0.1:0", http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil {
		t.Error("a closed server runs")
	}
}

func TestMetricsMayBeReachedFromElsewhere(t *testing.T) {
	for listen, want := range map[string]string{"": "", ":9395": "", "0.0.0.0:9395": "", "9395": "metrics_listen"} {
		got := ""
		ServerConfig{Listen: "127.0.0.1:9393", MetricsListen: listen}.Check(func(key, _ string) { got = key })
		if got != want {
			t.Errorf("%q: reported %q, want %q", listen, got, want)
		}
	}
	h := MetricsHandler(NewRegistry())
	for path, want := range map[string]int{"/metrics": 200, "/livez": 404, "/status": 404, "/debug/pprof/": 404} {
		if code, _ := get(t, h, path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
}

// Whoever opens connections without end has a bounded number of them.
func TestMetricsForWhoOpensConnectionsWithoutEnd(t *testing.T) {
	s, err := NewMetricsServer("127.0.0.1:0", NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // guards the next three
	closed, most, all := 0, 0, 0
	s.http.ConnState = func(_ net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch state {
		case http.StateNew:
			all++
			most = max(most, all-closed)
		case http.StateClosed:
			closed++
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var conns []net.Conn
	for range 2 * strangersMost {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	taken := func(n, gone int) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return all >= n && closed >= gone
		}
	}
	poll.Until(t, "connections are taken", taken(strangersMost, 0))
	for i, c := range conns { // who waits has the place of who leaves
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		poll.Until(t, "the next one is taken", taken(min(strangersMost+i+1, len(conns)), i+1))
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if most > strangersMost+1 { // one is let in before it is told that another left
		t.Errorf("%d connections at once, want %d at most", most, strangersMost)
	}
}
