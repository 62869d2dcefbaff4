package discover_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

func endpoint(scheme, host string, port int, path string) gopprof.Endpoint {
	return gopprof.Endpoint{Scheme: scheme, Host: host, Port: port, Path: path}
}

func TestCheckEndpoint(t *testing.T) {
	const pprof = discover.DefaultPath
	for _, e := range []gopprof.Endpoint{
		endpoint("http", "10.0.0.1", 6060, pprof),
		endpoint("https", "fd00::1", 1, pprof),
		endpoint("http", "127.0.0.1", 65535, "/a/b.c/d_e~f-g"),
		endpoint("http", "localhost", 80, "/x"),
		endpoint("http", "db-1.example.com", 80, pprof),
		endpoint("http", "::ffff:10.0.0.1", 80, pprof),
		endpoint("http", "3com.example", 80, pprof),
	} {
		if err := discover.CheckEndpoint(e); err != nil {
			t.Errorf("%+v: %v", e, err)
		}
	}
	for _, e := range []gopprof.Endpoint{
		{},
		endpoint("ftp", "10.0.0.1", 80, pprof), endpoint("HTTP", "10.0.0.1", 80, pprof),
		endpoint("http", "10.0.0.1", 0, pprof), endpoint("http", "10.0.0.1", -1, pprof), endpoint("http", "10.0.0.1", 65536, pprof),
		endpoint("http", "", 80, pprof), endpoint("http", "a b", 80, pprof), endpoint("http", "x@evil", 80, pprof),
		endpoint("http", "evil:80", 80, pprof), endpoint("http", "evil/", 80, pprof), endpoint("http", "-a", 80, pprof),
		endpoint("http", "a..b", 80, pprof), endpoint("http", strings.Repeat("a.", 127)+"a", 80, pprof), endpoint("http", strings.Repeat("a", 64), 80, pprof),
		endpoint("http", "0.0.0.0", 80, pprof), endpoint("http", "::", 80, pprof), endpoint("http", "224.0.0.1", 80, pprof),
		endpoint("http", "255.255.255.255", 80, pprof), endpoint("http", "ff02::1", 80, pprof),
		endpoint("http", "169.254.169.254", 80, pprof), endpoint("http", "::ffff:169.254.169.254", 80, pprof), endpoint("http", "fe80::1", 80, pprof),
		endpoint("http", "fd00::1%eth0", 80, pprof), endpoint("http", "[fd00::1]", 80, pprof),
		endpoint("http", "2130706433", 80, pprof), endpoint("http", "0x7f.1", 80, pprof), endpoint("http", "127.1", 80, pprof), endpoint("http", "0177.0.0.1", 80, pprof),
		endpoint("http", "10.0.0.1", 80, ""), endpoint("http", "10.0.0.1", 80, "/"), endpoint("http", "10.0.0.1", 80, "debug"),
		endpoint("http", "10.0.0.1", 80, "@evil:80/x"), endpoint("http", "10.0.0.1", 80, "/a/"), endpoint("http", "10.0.0.1", 80, "//evil/x"),
		endpoint("http", "10.0.0.1", 80, "/a/../b"), endpoint("http", "10.0.0.1", 80, "/.."), endpoint("http", "10.0.0.1", 80, "/."),
		endpoint("http", "10.0.0.1", 80, "/a?b"), endpoint("http", "10.0.0.1", 80, "/a#b"), endpoint("http", "10.0.0.1", 80, "/%2e%2e"),
		endpoint("http", "10.0.0.1", 80, "/a\r\nHost: evil"), endpoint("http", "10.0.0.1", 80, "/a\n"), endpoint("http", "10.0.0.1", 80, "/"+strings.Repeat("a", 256)),
	} {
		if err := discover.CheckEndpoint(e); err == nil {
			t.Errorf("%+v: accepted", e)
		}
	}
}

func TestCheckEndpointTellsEverything(t *testing.T) {
	err := discover.CheckEndpoint(endpoint("x", "y z", 0, "p"))
	for _, part := range []string{"scheme", "host", "port", "path"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not tell of the %s", err, part)
		}
	}
}

// What was accepted reaches exactly the host, port and path that it names.
func FuzzCheckEndpoint(f *testing.F) {
	f.Add("http", "10.0.0.1", 6060, discover.DefaultPath)
	f.Add("https", "fd00::1", 443, "/x")
	f.Add("http", "a.b", 80, "@evil:80/x")
	f.Add("http", "a@evil", 80, "/a?b#c")
	f.Add("http", "127.1", 80, "/%2e%2e/%00")
	for _, annotation := range hostile.Annotations() {
		for _, value := range annotation {
			f.Add("http", "10.0.0.1", 80, value)
			f.Add("http", value, 80, discover.DefaultPath)
			f.Add(value, "10.0.0.1", 80, discover.DefaultPath)
		}
	}
	f.Fuzz(func(t *testing.T, scheme, host string, port int, path string) {
		e := endpoint(scheme, host, port, path)
		if discover.CheckEndpoint(e) != nil {
			return
		}
		u, err := url.Parse(e.URL("profile", url.Values{"seconds": {"30"}}).String())
		if err != nil {
			t.Fatalf("%+v: %v", e, err)
		}
		if u.Scheme != scheme || u.Hostname() != host || u.Path != path+"/profile" || u.User != nil || u.RawQuery != "seconds=30" || u.Fragment != "" {
			t.Errorf("%+v: reaches %v", e, u)
		}
	})
}
