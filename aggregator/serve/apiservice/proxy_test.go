package apiservice

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/api"
)

func TestPathsOfTheHTTPAPI(t *testing.T) {
	s := newScene(t)
	for from, to := range map[string]string{
		inShop + "pods/web-1/proxy/debug/pprof/profile?seconds=10&cluster=test": "/api/v1/namespaces/shop/pods/web-1/debug/pprof/profile?cluster=prod&seconds=10",
		inShop + "deployments/web/proxy/debug/pprof/heap":                       "/api/v1/namespaces/shop/deployments/web/debug/pprof/heap?cluster=prod",
		inShop + "jobs/j/proxy/debug/pprof/goroutine":                           "/api/v1/namespaces/shop/jobs/j/debug/pprof/goroutine?cluster=prod",
		inShop + "gateway/v1/proxy/reports?limit=2":                             "/api/v1/reports?limit=2",
		anywhere + "gateway/v1/proxy/operations/1/events":                       "/api/v1/operations/1/events",
		anywhere + "gateway/v1/proxy/openapi.json":                              "/api/v1/openapi.json",
		anywhere + "gateway/pages/proxy/reports?namespace=shop":                 "/reports?namespace=shop",
		inShop + "gateway/pages/proxy/operations/1":                             "/operations/1",
		inShop + "gateway/pages/proxy/api/v1/reports/1/drawings/cpu":            "/api/v1/reports/1/drawings/cpu",
		inShop + "gateway/v1/proxy/namespaces/bank/pods/p/debug/pprof/profile":  "/api/v1/namespaces/bank/pods/p/debug/pprof/profile",
	} {
		w := s.do(http.MethodGet, from, "*/*")
		if w.Code != http.StatusOK || w.Body.String() != "inner" || s.passed.URL.RequestURI() != to {
			t.Errorf("%s: %d %s, asked for %s, want %s", from, w.Code, w.Body, s.passed.URL.RequestURI(), to)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		if w := s.do(method, anywhere+"gateway/v1/proxy/operations/1", ""); w.Code != http.StatusOK || s.passed.Method != method {
			t.Errorf("%s: %d, passed %s", method, w.Code, s.passed.Method)
		}
	}
	s.passed = nil
	for _, odd := range []string{
		inShop + "gateway/v1/proxy", inShop + "gateway/v1/proxy/", inShop + "gateway/v2/proxy/reports", inShop + "gateway/v1/proxy/../../../x",
		inShop + "gateway/v1/proxy/reports/..", inShop + "gateway/v1/proxy/./reports", inShop + "gateway/v1/proxy//reports", inShop + "pods/../proxy/debug/pprof/heap",
		inShop + "pods/web-1/proxy/metrics", inShop + "pods/web-1/proxy/debug/pprof", inShop + "pods/web-1/proxy/debug/pprof/", inShop + "pods/web-1/proxy/debug/pprof/a/b",
		inShop + "pods/web-1/proxy/debug/pprof/..", "/apis/gopprof.io/v1/namespaces/../pods/web-1/proxy/debug/pprof/heap",
	} {
		if w := s.do(http.MethodGet, odd, ""); w.Code != http.StatusNotFound || s.passed != nil {
			t.Errorf("%s: %d, passed %v", odd, w.Code, s.passed)
		}
	}
}

// TestPagesThroughKubectlProxy: the bare address leads to the pages, and what they lead to
// stays below it; by a page, since an API server lets no redirection through.
func TestPagesThroughKubectlProxy(t *testing.T) {
	s := newScene(t)
	for _, at := range []string{inShop, anywhere} {
		if w := s.do(http.MethodGet, at+"gateway/pages/proxy", ""); w.Code != http.StatusOK || w.Header().Get("Location") != "" || !strings.Contains(w.Body.String(), `content="0; url=`+at+`gateway/pages/proxy/reports"`) || s.passed != nil {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	for from, want := range map[string]string{"/reports": inShop + "gateway/pages/proxy/reports", "operations/1": "operations/1", "/api/v1/operations/1": inShop + "gateway/pages/proxy/api/v1/operations/1",
		`x"><script>`: `x&#34;&gt;&lt;script&gt;`} {
		s.inner = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", from)
			w.WriteHeader(http.StatusSeeOther)
			_, _ = w.Write([]byte("See Other"))
		}
		w := s.do(http.MethodPost, inShop+"gateway/pages/proxy/operations", "")
		if w.Code != http.StatusOK || w.Header().Get("Location") != "" || !strings.Contains(w.Body.String(), `content="0; url=`+want+`"`) || strings.Contains(w.Body.String(), "See Other") {
			t.Errorf("%s became %d %s", from, w.Code, w.Body)
		}
	}
	s.inner = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/api/v1/operations/1")
		w.WriteHeader(http.StatusAccepted)
	}
	if w := s.do(http.MethodPost, inShop+"gateway/pages/proxy/api/v1/captures", ""); w.Code != http.StatusAccepted || w.Header().Get("Location") != inShop+"gateway/pages/proxy/api/v1/operations/1" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func problem(status int, detail string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		body, _ := json.Marshal(api.Problem{Status: status, Title: http.StatusText(status), Detail: detail, Reason: "unknown"})
		w.Header().Set("Content-Type", api.ContentTypeProblem)
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}
}

// TestProblems: kubectl shows a person what a Status says; programs at the gateway get the
// problem as it is. What go tool pprof reads goes through.
func TestProblems(t *testing.T) {
	s := newScene(t)
	s.inner = problem(404, "no such pod\x1b")
	w := s.do(http.MethodGet, inShop+"pods/web-1/proxy/debug/pprof/heap", "")
	if st := s.status(w); w.Code != 404 || st.Message != "no such pod\uFFFD" || st.Reason != "NotFound" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = s.do(http.MethodGet, inShop+"gateway/v1/proxy/reports/1", "")
	if w.Code != 404 || w.Header().Get("Content-Type") != api.ContentTypeProblem || !strings.Contains(w.Body.String(), `"reason":"unknown"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	s.inner = problem(429, strings.Repeat("x", 100_000))
	if w := s.do(http.MethodGet, inShop+"pods/web-1/proxy/debug/pprof/heap", ""); w.Code != 429 || s.status(w).Message != "Too Many Requests" {
		t.Errorf("a huge one: %d %.200s", w.Code, w.Body)
	}
	s.inner = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Go-Pprof", "1")
		http.Error(w, "budget", http.StatusTooManyRequests)
	}
	if w := s.do(http.MethodGet, inShop+"pods/web-1/proxy/debug/pprof/heap", ""); w.Code != 429 || w.Body.String() != "budget\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestLocation(t *testing.T) {
	s := newScene(t)
	s.inner = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.Header.Get("X-Location"))
		w.WriteHeader(http.StatusAccepted)
	}
	for from, want := range map[string]string{
		"/api/v1/operations/1": anywhere + "gateway/v1/proxy/operations/1", "https://other.example/": "https://other.example/", "/reports/1": "/reports/1",
	} {
		r := httptest.NewRequest(http.MethodPost, anywhere+"gateway/v1/proxy/captures", nil)
		r.Header.Set("X-Location", from)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if got := w.Header().Get("Location"); w.Code != 202 || got != want {
			t.Errorf("%s: %d %s, want %s", from, w.Code, got, want)
		}
	}
	s.inner = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/api/v1/operations/1")
		_, _ = w.Write([]byte("x"))
	}
	if got := s.do(http.MethodGet, inShop+"gateway/v1/proxy/captures", "").Header().Get("Location"); got != inShop+"gateway/v1/proxy/operations/1" {
		t.Errorf("in a namespace: %s", got)
	}
}

// TestEventsFlow: what is flushed arrives before the answer has ended.
func TestEventsFlow(t *testing.T) {
	s := newScene(t)
	release := make(chan struct{})
	s.inner = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("one\n"))
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-release
		_, _ = w.Write([]byte("two\n"))
	}
	server := httptest.NewServer(s.handler)
	defer server.Close()
	for _, path := range []string{"gateway/v1/proxy/operations/1/events", "pods/web-1/proxy/debug/pprof/profile"} {
		release = make(chan struct{})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+inShop+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(answer.Body)
		first, err := lines.ReadString('\n')
		close(release)
		second, _ := lines.ReadString('\n')
		_ = answer.Body.Close()
		if err != nil || first != "one\n" || second != "two\n" {
			t.Errorf("%s: %q, %q, %v", path, first, second, err)
		}
	}
}

// FuzzPath: whatever is asked for, the HTTP API sees paths of its own only, as they are.
func FuzzPath(f *testing.F) {
	f.Add("GET", inShop+"gateway/v1/proxy/reports")
	f.Add("POST", anywhere+"gateway/v1/proxy/a/../../..")
	f.Add("GET", inShop+"pods/p/proxy/debug/pprof/..")
	f.Add("GET", inShop+"pods/p/proxy/debug/pprof/heap")
	f.Add("GET", inShop+"reports/\x00")
	f.Add("HEAD", "/apis/gopprof.io/v1/namespaces/./targets")
	f.Add("GET", "//apis/gopprof.io/v1/%2e%2e")
	f.Fuzz(func(t *testing.T, method, asked string) {
		if _, err := http.NewRequest(method, "/", nil); err != nil || strings.Contains(asked, "?") {
			return // no request is like that
		}
		s := newScene(t)
		w := s.do(method, asked, tableFirst)
		if w.Code >= 500 {
			t.Errorf("%s %q: %d %s", method, asked, w.Code, w.Body)
		}
		if s.passed != nil && (!strings.HasPrefix(s.passed.URL.Path, "/api/v1/") || path.Clean(s.passed.URL.Path) != s.passed.URL.Path) {
			t.Errorf("%s %q: passed %q", method, asked, s.passed.URL.Path)
		}
	})
}
