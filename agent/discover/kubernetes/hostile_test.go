package kubernetes

import (
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

// TestHostileAnnotations: whatever a pod's author writes, what is read from it reaches the
// pod's own address and nothing else, and is fit to be printed.
func TestHostileAnnotations(t *testing.T) {
	for _, annotations := range hostile.Annotations() {
		pod := web()
		for key, value := range annotations {
			pod.Annotations[key] = value
		}
		if got, listed := plain().read(lean(t, pod)); listed {
			checkFound(t, annotations, got)
		}
	}
}

// checkFound holds what every pod that is listed must keep.
func checkFound(t *testing.T, from any, got found) {
	t.Helper()
	x := got.target
	for _, s := range []string{x.Build, x.Runtime.GOGC, x.Runtime.GOMEMLIMIT, x.Runtime.GOMAXPROCS} {
		if len(s) > 63 {
			t.Errorf("%.200q: %.200q, %d bytes", from, s, len(s))
		}
	}
	for _, s := range []string{got.detail, x.Owner, x.Rules, x.Container, x.Build, x.Runtime.GOGC, x.Runtime.GOMEMLIMIT, x.Runtime.GOMAXPROCS} {
		if len(s) > 1000 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%.200q: %.200q, %d bytes", from, s, len(s))
		}
	}
	if got.reason != "" {
		if got.detail == "" {
			t.Errorf("%.200q: %q without a detail", from, got.reason)
		}
		return
	}
	e := x.Endpoint
	u, err := url.Parse(e.URL("profile", nil).String())
	if err != nil || u.Hostname() != "10.88.0.17" || u.Path != e.Path+"/profile" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		e.Scheme != "http" && e.Scheme != "https" {
		t.Errorf("%.200q: %+v reaches %v, %v", from, e, u, err)
	}
	if x.Counter == (gopprof.Counter{}) {
		return
	}
	on := x.Counter.On(e)
	u, err = url.Parse(on.URL("", nil).String())
	if err != nil || u.Hostname() != "10.88.0.17" || strings.TrimSuffix(u.Path, "/") != on.Path || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		on.Port < 1 || on.Port > 65535 || discover.CheckCounter(x.Counter) != nil {
		t.Errorf("%.200q: %+v is read at %v, %v", from, x.Counter, u, err)
	}
}
