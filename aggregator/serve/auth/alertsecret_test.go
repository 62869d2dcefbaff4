package auth

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/config"
)

const alertSecret = "alert-secret-0123456789"

// door is a guard with a secret for alerts; file of tokens or none.
func door(t *testing.T, tokens *Tokens, namespaces ...string) (ask func(method, path string, authorize func(*http.Request)) (int, Caller), path string, logs *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	path = filepath.Join(t.TempDir(), "secret")
	write(t, path, alertSecret+"\n")
	secret, err := OpenAlertSecret(config.SecretFile(path), namespaces, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	var caller Caller
	h := Guard(Options{Tokens: tokens, Alerts: secret, Log: zap.New(core), Refuse: func(w http.ResponseWriter, _ *http.Request, p api.Problem) { w.WriteHeader(p.Status) }},
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { caller = From(r.Context()) }))
	return func(method, to string, authorize func(*http.Request)) (int, Caller) {
		caller = Caller{}
		r := httptest.NewRequest(method, "http://127.0.0.1"+to, nil)
		authorize(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, caller
	}, path, logs
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func password(token string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth("alertmanager", token) }
}

// The secret opens the one path for the one method, by either way of bringing it, and lets
// its bearer profile in its namespaces and do nothing else.
func TestAlertSecretOpensOneDoor(t *testing.T) {
	ask, _, logs := door(t, open(t).tokens, "shop")
	for name, way := range map[string]func(*http.Request){"bearer": bearer(alertSecret), "basic": password(alertSecret)} {
		status, caller := ask(http.MethodPost, api.PathAlerts, way)
		if status != 200 || caller.Name != "alertmanager" {
			t.Errorf("%s: %d, %+v", name, status, caller)
		}
		if !may(t, caller, Profile, "shop") || may(t, caller, Profile, "bank") || may(t, caller, Profile, All) || may(t, caller, View, "shop") || may(t, caller, Control, All) {
			t.Errorf("%s: rights %+v", name, caller.Rights)
		}
		for _, other := range []string{api.PathCaptures, api.PathReports, api.PathAlerts + "/", api.PathAlerts + "x", "/", api.PathPause, "/x" + api.PathAlerts} {
			if status, _ := ask(http.MethodPost, other, way); status != 401 {
				t.Errorf("%s opens POST %s: %d", name, other, status)
			}
		}
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
			if status, _ := ask(method, api.PathAlerts, way); status != 401 {
				t.Errorf("%s opens %s: %d", name, method, status)
			}
		}
	}
	for _, wrong := range []string{"", alertSecret[1:], alertSecret + "0", alertSecret + "\n", strings.ToUpper(alertSecret)} {
		if status, _ := ask(http.MethodPost, api.PathAlerts, password(wrong)); status != 401 {
			t.Errorf("%q: %d", wrong, status)
		}
	}
	for _, line := range logs.All() {
		for _, f := range line.Context {
			if strings.Contains(line.Message+f.String, alertSecret) {
				t.Errorf("the secret stands in the log: %+v", line)
			}
		}
	}
}

// Who has a token comes in as ever.
func TestTokensOpenTheAlertsToo(t *testing.T) {
	ask, _, _ := door(t, open(t).tokens)
	if status, caller := ask(http.MethodPost, api.PathAlerts, bearer(shopToken)); status != 200 || caller.Name != "team-shop" {
		t.Errorf("%d, %+v", status, caller)
	}
	if status, caller := ask(http.MethodPost, api.PathAlerts, bearer(alertSecret)); status != 200 || !may(t, caller, Profile, "bank") {
		t.Errorf("a secret of all namespaces: %d, %+v", status, caller)
	}
}

// Without tokens everybody on this host is anonymous, but not where a secret was asked for.
func TestNobodyIsAnonymousBeforeAnAlertSecret(t *testing.T) {
	ask, _, _ := door(t, nil)
	if status, _ := ask(http.MethodPost, api.PathAlerts, func(*http.Request) {}); status != 401 {
		t.Errorf("without secret: %d", status)
	}
	if status, _ := ask(http.MethodPost, api.PathAlerts, bearer("wrong-secret-0123456789")); status != 401 {
		t.Errorf("with a wrong one: %d", status)
	}
	if status, caller := ask(http.MethodGet, api.PathReports, func(*http.Request) {}); status != 200 || caller.Name != "anonymous" {
		t.Errorf("elsewhere: %d, %+v", status, caller)
	}
}

func TestAlertSecretIsReadAgain(t *testing.T) {
	ask, path, logs := door(t, open(t).tokens)
	write(t, path, "another-secret-0123456789")
	if status, _ := ask(http.MethodPost, api.PathAlerts, bearer(alertSecret)); status != 401 {
		t.Errorf("the old one: %d", status)
	}
	if status, _ := ask(http.MethodPost, api.PathAlerts, bearer("another-secret-0123456789")); status != 200 {
		t.Errorf("the new one: %d", status)
	}
	write(t, path, "") // a moment between two secrets: whoever notifies tries again
	if status, _ := ask(http.MethodPost, api.PathAlerts, bearer(alertSecret)); status != 503 {
		t.Errorf("while there is none: %d", status)
	}
	if status, _ := ask(http.MethodPost, api.PathAlerts, bearer("anybody's guess")); status != 503 {
		t.Errorf("a guess while there is none: %d", status)
	}
	if n := logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
		t.Errorf("%d lines in the log for one trouble, want 1: strangers must not fill it", n)
	}
	if status, _ := ask(http.MethodPost, api.PathAlerts, bearer(shopToken)); status != 200 {
		t.Errorf("a token meanwhile: %d", status)
	}
}

func TestAlertSecretsThatAreNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	for _, text := range []string{"", "short", "with spaces in between", "fifteen-chars-1\n"} {
		write(t, path, text)
		if _, err := OpenAlertSecret(config.SecretFile(path), nil, zap.NewNop()); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := OpenAlertSecret(config.SecretFile(path+"-none"), nil, zap.NewNop()); err == nil {
		t.Error("no file is no error")
	}
}
