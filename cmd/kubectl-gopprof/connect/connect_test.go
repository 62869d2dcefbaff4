package connect

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestPick(t *testing.T) {
	for name, c := range map[string]struct {
		o    Options
		env  string
		want string // "" is Kubernetes, "!" an error
	}{
		"a plugin":                    {Options{}, "", ""},
		"for hosts":                   {Options{Hosts: true}, "", HostsServer},
		"for hosts, with kubeconfig":  {Options{Hosts: true, Kubeconfig: "f"}, "", ""},
		"for hosts, with context":     {Options{Hosts: true, Context: "c"}, "https://e", ""},
		"by flag":                     {Options{Server: "https://f"}, "https://e", "https://f"},
		"by environment":              {Options{}, "https://e", "https://e"},
		"for hosts, by environment":   {Options{Hosts: true}, "https://e", "https://e"},
		"flags of both":               {Options{Server: "https://f", Context: "c"}, "", "!"},
		"impersonation of a server":   {Options{Server: "https://f", As: "bob"}, "", "!"},
		"a token for a kubeconfig":    {Options{Context: "c", TokenFile: "t"}, "", "!"},
		"a token for the default":     {Options{TokenFile: "t"}, "", "!"},
		"a token for this machine":    {Options{Hosts: true, TokenFile: "t"}, "", HostsServer},
		"a token for the environment": {Options{CAFile: "t"}, "https://e", "https://e"},
	} {
		c.o.Getenv = env(map[string]string{EnvServer: c.env})
		got, err := c.o.pick()
		if (err != nil) != (c.want == "!") || (err == nil && got != c.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestServersThatAreRefused(t *testing.T) {
	for server, want := range map[string]string{
		"gopprof.example": "must be a URL", "ftp://x": "must be a URL", "http://": "must be a URL", "https://user:geheim@x": "no user or password",
		"https://x/?a=b": "end with the path", "https://x/#f": "end with the path", "http://gopprof.example": "not asked by https", "://": "must be a URL",
		"http://127.0.0.1.evil.example": "not asked by https",
	} {
		_, err := Options{Server: server, Getenv: env(map[string]string{EnvToken: "secret"})}.Open()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", server, err)
		}
	}
	if _, err := (Options{Server: "http://gopprof.example", Getenv: env(nil)}).Open(); err != nil {
		t.Errorf("without a token: %v", err)
	}
}

func TestTokens(t *testing.T) {
	var got http.Header
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		if r.URL.Path == "/elsewhere" {
			http.Redirect(w, r, "https://evil.example/", http.StatusFound)
		}
	}))
	defer server.Close()
	dir := t.TempDir()
	ca, token := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token")
	write(t, ca, pemOf("CERTIFICATE", server.Certificate().Raw))
	write(t, token, "first\n")
	s, err := Options{Server: server.URL + "/prefix/", CAFile: ca, TokenFile: token, UserAgent: "me", Getenv: env(map[string]string{EnvToken: "other"})}.Open()
	if err != nil {
		t.Fatal(err)
	}
	if u := s.URL("shop", "/api/v1/reports").String(); u != server.URL+"/prefix/api/v1/reports" {
		t.Errorf("%s", u)
	}
	if p := s.Page("/reports/x"); p != server.URL+"/prefix/reports/x" {
		t.Errorf("%s", p)
	}
	for _, want := range []string{"first", "second"} {
		write(t, token, want)
		if _, err := s.HTTP.Get(server.URL); err != nil || got.Get("Authorization") != "Bearer "+want || got.Get("User-Agent") != "me" {
			t.Errorf("%v, %v", got, err)
		}
	}
	if resp, err := s.HTTP.Get(server.URL + "/elsewhere"); err != nil || resp.StatusCode != http.StatusFound {
		t.Errorf("a redirect is followed: %v, %v", resp, err)
	}
	write(t, token, "")
	if _, err := s.HTTP.Get(server.URL); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("%v", err)
	}
	for _, o := range []Options{{TokenFile: filepath.Join(dir, "none")}, {CAFile: filepath.Join(dir, "none")}, {CAFile: token}} {
		o.Server, o.Getenv = server.URL, env(nil)
		if _, err := o.Open(); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestPathsWithoutPrefix(t *testing.T) {
	s, err := Options{Server: "http://localhost:1", Getenv: env(nil)}.Open()
	if err != nil {
		t.Fatal(err)
	}
	if u := s.URL("", "/api/v1/reports"); u.Path != "/api/v1/reports" || s.Name != "http://localhost:1" {
		t.Errorf("%q of %s", u.Path, s.Name)
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST:80": true, "127.0.0.1": true, "127.9.9.9:7": true, "[::1]": true, "[::1]:80": true, "::1": true, "[::ffff:127.0.0.1]:1": true,
		"": false, "evil.example": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false, "10.0.0.1": false, "0.0.0.0": false, "[::1%lo]": false, "localhost:80:90": false,
	} {
		if Loopback(host) != want {
			t.Errorf("%q is not %v", host, want)
		}
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
