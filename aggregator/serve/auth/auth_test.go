package auth

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/test/poll"
)

const (
	shopToken  = "shop-token-0123456789"
	adminToken = "admin-token-0123456789"
	tokensYAML = `tokens:
- {token: shop-token-0123456789, name: team-shop, namespaces: [shop, cart]}
- {token: admin-token-0123456789, name: ada@example.com, namespaces: ["*"]}
`
)

func write(t *testing.T, path, text string) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil { // as Kubernetes replaces secrets
		t.Fatal(err)
	}
}

type scene struct {
	tokens *Tokens
	path   string
	now    time.Time
	logs   *observer.ObservedLogs
}

func open(t *testing.T) *scene {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	s := &scene{path: filepath.Join(t.TempDir(), "tokens.yaml"), now: time.Now(), logs: logs}
	write(t, s.path, tokensYAML)
	tokens, err := OpenTokens(s.path, func() time.Time { return s.now }, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	s.tokens = tokens
	return s
}

// may asks for what needs no asking elsewhere.
func may(t *testing.T, c Caller, v Verb, namespace string) bool {
	t.Helper()
	ok, err := c.May(t.Context(), v, namespace)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestFind(t *testing.T) {
	s := open(t)
	shop, ok := s.tokens.Find(shopToken)
	if !ok || shop.Name != "team-shop" {
		t.Errorf("shop: %+v %v", shop, ok)
	}
	for namespace, want := range map[string]bool{"shop": true, "cart": true, "bank": false, All: false, "*": false} {
		if may(t, shop, View, namespace) != want || may(t, shop, Profile, namespace) != want || may(t, shop, Control, namespace) {
			t.Errorf("shop in %q: not %v", namespace, want)
		}
	}
	operator, ok := s.tokens.Find(adminToken)
	if !ok || !may(t, operator, View, "bank") || !may(t, operator, Profile, All) || may(t, operator, Control, All) {
		t.Errorf("everywhere: %+v %v", operator, ok)
	}
	for _, token := range []string{"", "shop", shopToken + " ", shopToken[:len(shopToken)-1], strings.ToUpper(shopToken), "*"} {
		if c, ok := s.tokens.Find(token); ok || may(t, c, View, "shop") {
			t.Errorf("%q is %+v", token, c)
		}
	}
}

func TestRoles(t *testing.T) {
	s := open(t)
	for role, want := range map[Role][]Verb{
		"": {View, Profile}, RoleViewer: {View}, RoleProfiler: {View, Profile}, RoleAdmin: {View, Profile, Control},
	} {
		write(t, s.path, `tokens: [{token: 0123456789abcdef, name: n, namespaces: ["*"], role: "`+string(role)+`"}]`)
		tokens, err := OpenTokens(s.path, time.Now, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		c, _ := tokens.Find("0123456789abcdef")
		for _, v := range []Verb{View, Profile, Control} {
			if may(t, c, v, All) != slices.Contains(want, v) {
				t.Errorf("role %q: %s is not as it should be", role, v)
			}
		}
	}
	for _, wrong := range []string{`role: boss, namespaces: ["*"]`, `role: admin, namespaces: [shop]`} {
		write(t, s.path, `tokens: [{token: 0123456789abcdef, name: n, `+wrong+`}]`)
		if _, err := OpenTokens(s.path, time.Now, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "tokens[0].role") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestTokensAreReadAgain(t *testing.T) {
	s := open(t)
	write(t, s.path, strings.ReplaceAll(tokensYAML, shopToken, "another-token-9876543210"))
	if _, ok := s.tokens.Find(shopToken); !ok {
		t.Error("the file is looked at for every request")
	}
	s.now = s.now.Add(lookAgain)
	if _, ok := s.tokens.Find(shopToken); ok {
		t.Error("a token that was taken away is still good")
	}
	if _, ok := s.tokens.Find("another-token-9876543210"); !ok {
		t.Error("a new token is not known")
	}
	for _, broken := range []string{"tokens: [", "tokens: [{token: short, name: x, namespaces: [a]}]"} {
		write(t, s.path, broken)
		s.now = s.now.Add(lookAgain)
		if _, ok := s.tokens.Find(adminToken); !ok {
			t.Errorf("%q locked everybody out", broken)
		}
		s.now = s.now.Add(lookAgain)
		s.tokens.Find(adminToken)
	}
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(lookAgain)
	if _, ok := s.tokens.Find(adminToken); !ok {
		t.Error("a file that is gone for a moment locked everybody out")
	}
	if n := s.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
		t.Errorf("logged %d times that tokens cannot be read", n)
	}
	for _, l := range s.logs.All() {
		for _, v := range l.ContextMap() {
			if text, ok := v.(string); ok && (strings.Contains(text, "token-0") || strings.Contains(text, "short")) {
				t.Errorf("a token was logged: %s", text)
			}
		}
	}
}

// A token that is taken away is not good any more, also where the file's size and the time that
// it bears are what they were.
func TestTokensAreReadAgainWhateverTheFileLooksLike(t *testing.T) {
	s := open(t)
	was, err := os.Stat(s.path)
	if err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "the file is changed at another time", func() bool { // which passes in steps
		if err := os.WriteFile(s.path, []byte(strings.ReplaceAll(tokensYAML, shopToken, strings.Repeat("x", len(shopToken)))), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(s.path, was.ModTime(), was.ModTime()); err != nil {
			t.Fatal(err)
		}
		now, err := os.Stat(s.path)
		return err == nil && now.Sys().(*syscall.Stat_t).Ctim != was.Sys().(*syscall.Stat_t).Ctim
	})
	s.now = s.now.Add(lookAgain)
	if _, ok := s.tokens.Find(shopToken); ok {
		t.Error("a token that was taken away is still good")
	}
}

// stated is a file of which this much is known.
type stated struct {
	os.FileInfo
	of syscall.Stat_t
}

func (s stated) Sys() any { return &s.of }

// A file that is looked at while it is written is another one when it is whole, also within one
// step of the clock of changes.
func TestFileThatIsLookedAtWhileItIsWritten(t *testing.T) {
	half := syscall.Stat_t{Dev: 1, Ino: 2, Ctim: syscall.Timespec{Sec: 3, Nsec: 4}}
	if !same(stated{of: half}, stated{of: half}) {
		t.Error("not what it is")
	}
	whole, replaced, later, elsewhere := half, half, half, half
	whole.Size, replaced.Ino, later.Ctim.Nsec, elsewhere.Dev = 5, 6, 7, 8
	for _, other := range []syscall.Stat_t{whole, replaced, later, elsewhere} {
		if same(stated{of: half}, stated{of: other}) {
			t.Errorf("%+v is %+v", other, half)
		}
	}
}

// A token in the wrong place of the file must not reach a log by way of the error.
func TestTokensInTheWrongPlace(t *testing.T) {
	for _, text := range []string{
		shopToken + ": team-shop\n", "tokens: " + shopToken, "tokens:\n- " + shopToken, "tokens:\n  " + shopToken + ": x",
		"tokens:\n- {" + shopToken + ": x}", "tokens: [{token: x, name: " + shopToken + "!, namespaces: []}]", shopToken, "tokens: {" + shopToken,
	} {
		path := filepath.Join(t.TempDir(), "tokens.yaml")
		write(t, path, text)
		_, err := OpenTokens(path, time.Now, zap.NewNop())
		if err == nil || strings.Contains(err.Error(), shopToken[:6]) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTokensMistakes(t *testing.T) {
	for key, entry := range map[string]TokenEntry{
		"tokens[0].token":      {Token: "short", Name: "a", Namespaces: []string{"x"}},
		"tokens[0].token ":     {Token: "with a space in it", Name: "a", Namespaces: []string{"x"}},
		"tokens[0].name":       {Token: shopToken, Name: "a\nb", Namespaces: []string{"x"}},
		"tokens[0].namespaces": {Token: shopToken, Name: "a"},
	} {
		var keys []string
		TokensFile{Tokens: []TokenEntry{entry}}.Check(func(key, problem string) {
			keys = append(keys, key)
			if strings.Contains(problem, entry.Token) {
				t.Errorf("a token is repeated: %s", problem)
			}
		})
		if len(keys) != 1 || keys[0] != strings.TrimSpace(key) {
			t.Errorf("%s: reported %v", key, keys)
		}
	}
	twice := TokenEntry{Token: shopToken, Name: "a", Namespaces: []string{"x"}}
	n := 0
	TokensFile{Tokens: []TokenEntry{twice, twice}}.Check(func(string, string) { n++ })
	if n != 1 {
		t.Errorf("a token twice: %d mistakes", n)
	}
	if _, err := OpenTokens("/nonexistent/tokens", time.Now, zap.NewNop()); err == nil {
		t.Error("a file that is not there was read")
	}
}

// guarded answers what a request met: a status and, when it was let through, its caller.
func guarded(o Options, r *http.Request) (int, string, http.Header) {
	o.Refuse = func(w http.ResponseWriter, _ *http.Request, p api.Problem) { w.WriteHeader(p.Status) }
	w := httptest.NewRecorder()
	name := ""
	Guard(o, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { name = From(r.Context()).Name })).ServeHTTP(w, r)
	return w.Code, name, w.Header()
}

func TestTokensAtTheDoor(t *testing.T) {
	o := Options{Tokens: open(t).tokens}
	for name, c := range map[string]struct {
		prepare func(*http.Request)
		caller  string
	}{
		"bearer":                  {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+shopToken) }, "team-shop"},
		"bearer in small":         {func(r *http.Request) { r.Header.Set("Authorization", "bearer "+shopToken) }, "team-shop"},
		"basic":                   {func(r *http.Request) { r.SetBasicAuth("whoever", adminToken) }, "ada@example.com"},
		"nothing":                 {func(*http.Request) {}, ""},
		"unknown":                 {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+shopToken+"x") }, ""},
		"as user name":            {func(r *http.Request) { r.SetBasicAuth(shopToken, "") }, ""},
		"without scheme":          {func(r *http.Request) { r.Header.Set("Authorization", shopToken) }, ""},
		"in the address":          {func(r *http.Request) { r.URL.RawQuery = "token=" + shopToken }, ""},
		"another host, no matter": {func(r *http.Request) { r.Host = "gopprof.example"; r.SetBasicAuth("", shopToken) }, "team-shop"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		c.prepare(r)
		status, caller, header := guarded(o, r)
		want := 200
		if c.caller == "" {
			want = 401
			if got := strings.Join(header.Values("WWW-Authenticate"), ","); !strings.Contains(got, "Bearer") || !strings.Contains(got, "Basic") {
				t.Errorf("%s: WWW-Authenticate %q", name, got)
			}
		}
		if status != want || caller != c.caller {
			t.Errorf("%s: %d, caller %q", name, status, caller)
		}
	}
}

func TestHostsWithoutTokens(t *testing.T) {
	o := Options{Hosts: []string{"gopprof.example"}}
	for host, want := range map[string]int{
		"localhost": 200, "localhost:7480": 200, "LOCALHOST:1": 200, "127.0.0.1": 200, "127.0.0.1:7480": 200, "127.8.8.8": 200,
		"[::1]:7480": 200, "[::1]": 200, "gopprof.example": 200, "gopprof.example:443": 200, "GOPPROF.example": 200,
		"": 403, "evil.example": 403, "evil.example:7480": 403, "127.0.0.1.evil.example": 403, "localhost.evil.example": 403,
		"10.0.0.1": 403, "0.0.0.0": 403, "[::]": 403, "gopprof.example.evil": 403, "xgopprof.example": 403,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		status, caller, _ := guarded(o, r)
		if status != want || (want == 200) != (caller == "anonymous") {
			t.Errorf("%q: %d, caller %q", host, status, caller)
		}
	}
}

func TestOtherSites(t *testing.T) {
	o := Options{Hosts: []string{"gopprof.example"}, Origins: []string{"https://gopprof.example"}}
	for name, c := range map[string]struct {
		method, key, value string
		want               int
	}{
		"a program":                 {"POST", "X-Nothing", "", 200},
		"this page":                 {"POST", "Sec-Fetch-Site", "same-origin", 200},
		"another site's form":       {"POST", "Sec-Fetch-Site", "cross-site", 403},
		"another port's form":       {"POST", "Sec-Fetch-Site", "same-site", 403},
		"an old browser":            {"POST", "Origin", "http://evil.example", 403},
		"a sandboxed page":          {"POST", "Origin", "null", 403},
		"another site's deletion":   {"DELETE", "Origin", "http://evil.example", 403},
		"the front":                 {"POST", "Origin", "https://gopprof.example", 200},
		"another site's link to us": {"GET", "Sec-Fetch-Site", "cross-site", 200},
	} {
		r := httptest.NewRequest(c.method, "http://localhost/api/v1/captures", nil)
		r.Header.Set(c.key, c.value)
		if status, _, _ := guarded(o, r); status != c.want {
			t.Errorf("%s: %d", name, status)
		}
	}
}

func TestNobodySeesNothing(t *testing.T) {
	if may(t, From(t.Context()), View, "shop") || may(t, Caller{Rights: Fixed{Namespaces: []string{"*", ""}, Verbs: []Verb{View}}}, View, All) {
		t.Error("a request without caller sees something")
	}
}
