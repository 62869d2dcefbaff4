package forward

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/connect"
	"github.com/gopprof/gopprof/pkg/api"
)

// scene is a server behind a Forwarder, both without a port of their own.
type scene struct {
	got     *http.Request // that came through; nil when none did
	forward *Forwarder
}

func newScene(t *testing.T, gateway bool) *scene {
	t.Helper()
	s := &scene{}
	server, err := connect.Options{Server: "https://gopprof.example/prefix", Getenv: func(name string) string {
		return map[string]string{connect.EnvToken: "secret"}[name]
	}, UserAgent: "me"}.Open()
	if err != nil {
		t.Fatal(err)
	}
	server.Gateway = gateway
	server.HTTP.Transport = credentials(func(r *http.Request) (*http.Response, error) {
		s.got = r
		body := "answer"
		if r.Body != nil {
			sent, _ := io.ReadAll(r.Body)
			body += string(sent)
		}
		return &http.Response{StatusCode: 200, Header: http.Header{"Set-Cookie": {"a=b"}, "Content-Type": {"application/octet-stream"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})
	s.forward = New(server, "home")
	return s
}

type credentials func(*http.Request) (*http.Response, error)

func (c credentials) RoundTrip(r *http.Request) (*http.Response, error) { return c(r) }

func (s *scene) ask(r *http.Request) *httptest.ResponseRecorder {
	s.got = nil
	w := httptest.NewRecorder()
	s.forward.ServeHTTP(w, r)
	return w
}

func request(method, target string, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(""))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func TestForwards(t *testing.T) {
	s := newScene(t, false)
	r := httptest.NewRequest("POST", "http://localhost:7481/api/v1/captures?a=b", strings.NewReader("{}"))
	r.Header = http.Header{
		"Content-Type": {"application/json"}, "Idempotency-Key": {"k"}, "Authorization": {"Bearer mine"}, "Cookie": {"c=d"}, "Impersonate-User": {"root"},
		"X-Remote-User": {"root"}, "X-Forwarded-For": {"1.2.3.4"}, "Connection": {"Idempotency-Key2"}, "Origin": {"http://localhost:7481"}, "Sec-Fetch-Site": {"same-origin"},
	}
	w := s.ask(r)
	if w.Code != 200 || w.Body.String() != "answer{}" || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
	if s.got == nil || s.got.Method != "POST" || s.got.URL.String() != "https://gopprof.example/prefix/api/v1/captures?a=b" || s.got.Host != "" {
		t.Fatalf("%+v", s.got)
	}
	s.got.Header.Del("User-Agent")
	if len(s.got.Header) != 2 || s.got.Header.Get("Content-Type") == "" || s.got.Header.Get(api.HeaderIdempotencyKey) != "k" {
		t.Errorf("%v", s.got.Header)
	}
}

func TestTheNamespaceOfThePath(t *testing.T) {
	s := newScene(t, true)
	for path, want := range map[string]string{
		"/api/v1/namespaces/shop/pods/web-1/debug/pprof/profile": "/apis/gopprof.io/v1/namespaces/shop/gateway/v1/proxy/namespaces/shop/pods/web-1/debug/pprof/profile",
		"/api/v1/namespaces/shop/pods/web-1/debug/pprof/":        "/apis/gopprof.io/v1/namespaces/shop/gateway/v1/proxy/namespaces/shop/pods/web-1/debug/pprof/",
		"/api/v1/reports": "/apis/gopprof.io/v1/namespaces/home/gateway/v1/proxy/reports",
	} {
		if w := s.ask(request("GET", "http://127.0.0.1:1"+path)); w.Code != 200 || s.got.URL.Path != "/prefix"+want {
			t.Errorf("%s: %d %v", path, w.Code, s.got)
		}
	}
}

func TestRefuses(t *testing.T) {
	s := newScene(t, false)
	const path = "/api/v1/reports"
	for name, r := range map[string]*http.Request{
		"a name that was rebound":  request("GET", "http://evil.example"+path),
		"with a port":              request("GET", "http://evil.example:7481"+path),
		"a name like loopback":     request("GET", "http://127.0.0.1.evil.example"+path),
		"another address":          request("GET", "http://10.0.0.1"+path),
		"another origin":           request("GET", "http://localhost"+path, "Origin", "https://evil.example"),
		"another port":             request("GET", "http://localhost:1"+path, "Origin", "http://localhost:2"),
		"another scheme":           request("GET", "http://localhost:1"+path, "Origin", "https://localhost:1"),
		"a sandbox":                request("POST", "http://localhost"+path, "Origin", "null"),
		"two origins":              request("GET", "http://localhost"+path, "Origin", "http://localhost", "Origin", "http://evil.example"),
		"a picture of a page":      request("GET", "http://localhost"+path, "Sec-Fetch-Site", "cross-site"),
		"a neighbour":              request("GET", "http://localhost"+path, "Sec-Fetch-Site", "same-site"),
		"the pages":                request("GET", "http://localhost/reports/x"),
		"the root":                 request("GET", "http://localhost/"),
		"another API":              request("GET", "http://localhost/api/v2/x"),
		"up":                       request("GET", "http://localhost/api/v1/../../metrics"),
		"up, escaped":              request("GET", "http://localhost/api/v1/%2e%2e/%2e%2e/metrics"),
		"up, wholly escaped":       request("GET", "http://localhost/api/v1/..%2f..%2fmetrics"),
		"an escaped slash":         request("GET", "http://localhost/api/v1/namespaces/a%2fb/pods/c"),
		"an empty part":            request("GET", "http://localhost/api/v1//reports"),
		"a backslash":              request("GET", "http://localhost/api/v1/a%5cb"),
		"a control character":      request("GET", "http://localhost/api/v1/a%0ab"),
		"a request without a host": func() *http.Request { r := request("GET", "http://localhost"+path); r.Host = ""; return r }(),
	} {
		w := s.ask(r)
		var p api.Problem
		if w.Code < 400 || s.got != nil || json.Unmarshal(w.Body.Bytes(), &p) != nil || p.Status != w.Code || p.Reason == "" {
			t.Errorf("%s: %d %s, through: %v", name, w.Code, w.Body, s.got != nil)
		}
	}
}

func TestAServerThatDoesNotAnswer(t *testing.T) {
	s := newScene(t, false)
	s.forward.proxy.Transport = credentials(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	if w := s.ask(request("GET", "http://localhost/api/v1/reports")); w.Code != 502 || !strings.Contains(w.Body.String(), "no_answer") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
