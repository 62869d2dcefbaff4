package auth

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/pkg/api"
)

// reviews is an API server that knows one token.
type reviews struct {
	token string
	err   error
	asked int
}

func (r *reviews) Find(_ context.Context, token string) (Caller, bool, error) {
	r.asked++
	return Caller{Name: "system:serviceaccount:shop:ci", Rights: Fixed{}}, token == r.token, r.err
}

func TestTheFileIsAskedFirst(t *testing.T) {
	known := &reviews{token: "account"}
	both, alone := Options{Tokens: open(t).tokens, Reviews: known}, Options{Reviews: known}
	for _, c := range []struct {
		name    string
		options Options
		token   string
		status  int
		caller  string
		asked   int
	}{
		{"of the file", both, shopToken, 200, "team-shop", 0},
		{"of an account", both, "account", 200, "system:serviceaccount:shop:ci", 1},
		{"of nobody", both, "what", 401, "", 1},
		{"of nobody, no file", alone, "what", 401, "", 1},
		{"of an account, no file", alone, "account", 200, "system:serviceaccount:shop:ci", 1},
		{"none", alone, "", 401, "", 0},
	} {
		known.asked = 0
		r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
		if c.token != "" {
			r.SetBasicAuth("x", c.token)
		}
		if status, caller, _ := guarded(c.options, r); status != c.status || caller != c.caller || known.asked != c.asked {
			t.Errorf("%s: %d, caller %q, asked %d times", c.name, status, caller, known.asked)
		}
	}
	known.err = errors.New("away")
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth("", "account")
	if status, caller, _ := guarded(alone, r); status != 503 || caller != "" {
		t.Errorf("while nobody can say: %d, caller %q", status, caller)
	}
}

func TestObjectsOfPaths(t *testing.T) {
	for path, want := range map[string]object{
		"/api/v1/reports":                                                         {resource: "reports"},
		"/api/v1/reports/42/profiles/cpu":                                         {resource: "reports/profiles/cpu", name: "42"},
		"/api/v1/namespaces/shop/pods/web-1/debug/pprof/heap":                     {resource: "pods/debug/pprof/heap", namespace: "shop", name: "web-1"},
		"/apis/gopprof.io/v1/namespaces/shop/reports":                             {resource: "reports", namespace: "shop"},
		"/apis/gopprof.io/v1/namespaces/shop/pods/web-1/proxy/debug/pprof/heap":   {resource: "pods/proxy/debug/pprof/heap", namespace: "shop", name: "web-1"},
		"/apis/gopprof.io/v1/gateway/v1/proxy/operations/42":                      {resource: "operations", name: "42"},
		"/apis/gopprof.io/v1/namespaces/a/gateway/v1/proxy/namespaces/b/pods/p/x": {resource: "pods/x", namespace: "b", name: "p"},
		"/apis/gopprof.io/v1/":                                                    {resource: "/apis/gopprof.io/v1/", quiet: true},
		"/apis":                                                                   {resource: "/apis", quiet: true},
		"/openapi/v2":                                                             {resource: "/openapi/v2", quiet: true},
		"/":                                                                       {resource: "/"},
		"/style.css":                                                              {resource: "/style.css"},
		"/apis/gopprof.io/v1/gateway/v1/proxy/":                                   {resource: "gateway/proxy", name: "v1"},
		"/apis/gopprof.io/v1/gateway/v1/proxy/gateway/v1/proxy/gateway/v1/proxy/a/b ": {resource: "a", name: "b "},
	} {
		if got := objectOf(path); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
}

// oneLine returns the fields of the one line that a request left.
func oneLine(t *testing.T, logs *observer.ObservedLogs) (zapcore.Level, map[string]any) {
	t.Helper()
	all := logs.TakeAll()
	if len(all) != 1 {
		t.Fatalf("%d lines, want 1", len(all))
	}
	return all[0].Level, all[0].ContextMap()
}

func TestEveryRequestLeavesALine(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	o := Options{Tokens: open(t).tokens, Log: zap.New(core), Refuse: func(w http.ResponseWriter, _ *http.Request, p api.Problem) { w.WriteHeader(p.Status) }}
	h := Guard(o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost:
			About(r.Context(), "shop", "web-1")
			w.WriteHeader(http.StatusAccepted)
		case http.MethodPut:
			panic("broken")
		default:
			_, _ = w.Write([]byte("x"))
		}
	}))
	for _, c := range []struct {
		method, path, token string
		site                string
		want                map[string]any
	}{
		{"GET", "/api/v1/reports?secret=hunter2", shopToken, "", map[string]any{"who": "team-shop", "verb": "list", "resource": "reports", "status": int64(200)}},
		{"POST", "/api/v1/captures", shopToken, "", map[string]any{"verb": "create", "resource": "captures", "namespace": "shop", "name": "web-1", "status": int64(202)}},
		{"GET", "/api/v1/reports/42", "hunter2", "", map[string]any{"who": "", "verb": "get", "name": "42", "status": int64(401), "way": "direct"}},
		{"DELETE", "/api/v1/operations/42", shopToken, "cross-site", map[string]any{"who": "", "verb": "delete", "name": "42", "status": int64(403)}},
		{"PUT", "/api/v1/pause", shopToken, "", map[string]any{"who": "team-shop", "verb": "update", "resource": "pause", "status": int64(500)}},
		{"GET", "/api/v1/reports/\x1b[31m\u202e" + strings.Repeat("x", 1000), shopToken, "", map[string]any{"status": int64(200)}},
	} {
		r := httptest.NewRequest(c.method, "http://localhost/", nil)
		r.URL.Path, r.URL.RawQuery, _ = strings.Cut(c.path, "?")
		r.Header.Set("Authorization", "Bearer "+c.token)
		r.Header.Set("Sec-Fetch-Site", c.site)
		func() {
			defer func() { _ = recover() }()
			h.ServeHTTP(httptest.NewRecorder(), r)
		}()
		level, got := oneLine(t, logs)
		for key, want := range c.want {
			if got[key] != want {
				t.Errorf("%s %s: %s is %v, want %v", c.method, c.path, key, got[key], want)
			}
		}
		for key, value := range got {
			text, _ := value.(string)
			if strings.Contains(text, "hunter2") || strings.Contains(text, shopToken) || strings.ContainsAny(text, "\x1b\u202e") || len(text) > 320 {
				t.Errorf("%s %s: %s is %q", c.method, c.path, key, text)
			}
		}
		if level != zapcore.InfoLevel {
			t.Errorf("%s %s: at level %s", c.method, c.path, level)
		}
	}
}

// TestPanicsGoOn: the line about a panic does not keep it from whoever recovers.
func TestPanicsGoOn(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the panic is gone")
		}
	}()
	audited(zap.NewNop(), wayDirect, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken") })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}
