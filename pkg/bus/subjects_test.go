package bus_test

import (
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

func TestToken(t *testing.T) {
	for name, want := range map[string]string{
		"":                 "%",
		"node-1_A":         "node-1_A",
		"ip-10-0.eu.local": "ip-10-0%2Eeu%2Elocal",
		"*":                "%2A",
		">":                "%3E",
		"a b\tc\r\n":       "a%20b%09c%0D%0A",
		"%":                "%25",
		"$JS":              "%24JS",
		"ü":                "%C3%BC",
		"\x00\xff":         "%00%FF",
	} {
		if got := bus.Token(name); got != want {
			t.Errorf("token of %q: %q, want %q", name, got, want)
		}
		if got, err := bus.ParseToken(want); err != nil || got != name {
			t.Errorf("name of %q: %q, %v; want %q", want, got, err, name)
		}
	}
}

func TestParseTokenRefuses(t *testing.T) {
	for _, token := range []string{"", "%4", "%2e", "%61", "a.b", "*", ">", "a b", "%%", "%zz", "ü"} {
		if name, err := bus.ParseToken(token); err == nil && token != "" {
			t.Errorf("%q is taken as %q", token, name)
		}
	}
}

// FuzzSubject: any name becomes one token and the same name again, and what is read from a
// subject is what would be written into it.
func FuzzSubject(f *testing.F) {
	for _, s := range []string{
		"", "%", "a.b", "*", "node-1", "\x00", "ü", "%2E", "a b",
		"gopprof.v1.capture.prod.node-1.0190aaaa-0000-7000-8000-000000000001", "gopprof.v1.capture.a.b", "gopprof.v1.capture.%.%2E.x",
		"gopprof.v1.capture.a.b.c.d", "gopprof.v1.capture.", "gopprof.v1.firing.a.b", "gopprof.v1.capture.a..b",
	} {
		f.Add(s)
	}
	for _, name := range hostile.Names() {
		f.Add(name)
		f.Add("gopprof.v1.capture." + bus.Token(name) + "." + bus.Token(name) + "." + name)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token := bus.Token(s)
		if token == "" || strings.ContainsAny(token, ".*> \t\r\n\x00") {
			t.Fatalf("token %q of %q", token, s)
		}
		if got, err := bus.ParseToken(token); err != nil || got != s {
			t.Fatalf("%q becomes %q and then %q, %v", s, token, got, err)
		}
		cluster, node, capture, err := bus.ParseOrigin("capture", s)
		if err != nil {
			return
		}
		two := bus.Root + "capture." + bus.Token(cluster) + "." + bus.Token(node)
		if s != two && s != two+"."+bus.Token(capture) {
			t.Fatalf("%q is read as %q, %q, %q", s, cluster, node, capture)
		}
	})
}

func TestReportSubject(t *testing.T) {
	r := report(capture(t, "a"))
	r.Capture.Target.Workload = gopprof.Workload{Kind: "StatefulSet", Name: "web.v2"}
	want := "gopprof.v1.report." + bustest.Cluster + ".shop.StatefulSet-web%2Ev2.cart-5d9f%2E0." + r.ID
	if got := bus.ReportSubject(r); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAgentPermissionsAreEscaped(t *testing.T) {
	p := bus.AgentPermissions("*", ">")
	for _, subject := range append(p.Publish, p.Subscribe...) {
		if !strings.Contains(subject, ".%2A.%3E") {
			t.Errorf("%q leaves its node", subject)
		}
	}
}
