package take

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

func TestEndpointsThatMightLeaveTheTarget(t *testing.T) {
	s := serve(t, realPprof())
	good := s.target(t, "a")
	bad := map[string]func(*gopprof.Endpoint){
		"other scheme":      func(e *gopprof.Endpoint) { e.Scheme = "file" },
		"no scheme":         func(e *gopprof.Endpoint) { e.Scheme = "" },
		"user in host":      func(e *gopprof.Endpoint) { e.Host = "x@" + e.Host },
		"port in host":      func(e *gopprof.Endpoint) { e.Host += ":80" },
		"path in host":      func(e *gopprof.Endpoint) { e.Host += "/x" },
		"no host":           func(e *gopprof.Endpoint) { e.Host = "" },
		"space in host":     func(e *gopprof.Endpoint) { e.Host = "127.0.0.1 " },
		"short address":     func(e *gopprof.Endpoint) { e.Host = "127.1" },
		"hex address":       func(e *gopprof.Endpoint) { e.Host = "0x7f.0x1" },
		"decimal address":   func(e *gopprof.Endpoint) { e.Host = "2130706433" },
		"all addresses":     func(e *gopprof.Endpoint) { e.Host = "0.0.0.0" },
		"all addresses v6":  func(e *gopprof.Endpoint) { e.Host = "::" },
		"metadata":          func(e *gopprof.Endpoint) { e.Host = "169.254.169.254" },
		"metadata, mapped":  func(e *gopprof.Endpoint) { e.Host = "::ffff:169.254.169.254" },
		"zone":              func(e *gopprof.Endpoint) { e.Host = "fe80::1%eth0" },
		"multicast":         func(e *gopprof.Endpoint) { e.Host = "224.0.0.1" },
		"broadcast":         func(e *gopprof.Endpoint) { e.Host = "255.255.255.255" },
		"port 0":            func(e *gopprof.Endpoint) { e.Port = 0 },
		"port too high":     func(e *gopprof.Endpoint) { e.Port += 65536 },
		"relative path":     func(e *gopprof.Endpoint) { e.Path = "debug/pprof" },
		"host in path":      func(e *gopprof.Endpoint) { e.Path = "@evil:80/x" },
		"host after //":     func(e *gopprof.Endpoint) { e.Path = "//evil/x" },
		"backslash":         func(e *gopprof.Endpoint) { e.Path = `/\evil` },
		"parent":            func(e *gopprof.Endpoint) { e.Path = "/debug/../admin" },
		"query":             func(e *gopprof.Endpoint) { e.Path = "/debug/pprof?gc=1" },
		"fragment":          func(e *gopprof.Endpoint) { e.Path = "/debug/pprof#x" },
		"escaped":           func(e *gopprof.Endpoint) { e.Path = "/debug%2f..%2fadmin" },
		"line break":        func(e *gopprof.Endpoint) { e.Path = "/debug\r\nHost: evil" },
		"trailing slash":    func(e *gopprof.Endpoint) { e.Path = "/debug/pprof/" },
		"path without end":  func(e *gopprof.Endpoint) { e.Path = "/" + strings.Repeat("a", 5000) },
		"control in scheme": func(e *gopprof.Endpoint) { e.Scheme = "http\x00" },
	}
	for name, spoil := range bad {
		t.Run(name, func(t *testing.T) {
			target := good
			spoil(&target.Endpoint)
			_, err := newTaker(testConfig(), Deps{}).Take(t.Context(), byHand(id1, target, gopprof.KindHeap))
			wantReason(t, err, gopprof.ReasonInvalidEndpoint)
		})
	}
	if n := len(s.asked()); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestEndpointsOfTargets(t *testing.T) {
	for _, e := range []gopprof.Endpoint{
		{Scheme: "http", Host: "10.0.0.1", Port: 6060, Path: "/debug/pprof"},
		{Scheme: "https", Host: "fd00::1", Port: 65535, Path: ""},
		{Scheme: "http", Host: "localhost", Port: 1, Path: "/a.b/~c/d-e_f"},
		{Scheme: "http", Host: "vm-1.example.com.", Port: 80, Path: "/debug/pprof"},
		{Scheme: "http", Host: "3scale.example.com", Port: 80, Path: "/debug/pprof"},
	} {
		if err := checkEndpoint(e); err != nil {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

// Whatever is let through makes a URL that names exactly this host, port and path.
func FuzzEndpoint(f *testing.F) {
	f.Add("http", "127.0.0.1", 80, "/debug/pprof")
	f.Add("http", "127.0.0.1", 80, "@evil:80/x")
	f.Add("https", "a.b@c", 443, "//evil")
	f.Add("http", "::1", 1, "/%2e%2e")
	for _, annotation := range hostile.Annotations() {
		for _, value := range annotation {
			f.Add("http", "127.0.0.1", 80, value)
			f.Add("http", value, 80, "/debug/pprof")
			f.Add(value, "127.0.0.1", 80, "/debug/pprof")
		}
	}
	f.Fuzz(func(t *testing.T, scheme, host string, port int, path string) {
		e := gopprof.Endpoint{Scheme: scheme, Host: host, Port: port, Path: path}
		if checkEndpoint(e) != nil {
			return
		}
		u, err := url.Parse(e.URL("profile", url.Values{"seconds": {"1"}}).String())
		if err != nil {
			t.Fatalf("%+v: %v", e, err)
		}
		if u.Scheme != scheme || u.User != nil || u.Host != net.JoinHostPort(host, strconv.Itoa(port)) ||
			u.Path != path+"/profile" || u.RawQuery != "seconds=1" || u.Fragment != "" {
			t.Errorf("%+v became %q", e, u)
		}
	})
}
