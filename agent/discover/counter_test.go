package discover_test

import (
	"strings"
	"testing"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func TestCheckCounter(t *testing.T) {
	good := gopprof.Counter{Metric: "http_requests_total", Path: discover.DefaultMetricsPath}
	if err := discover.CheckCounter(good); err != nil {
		t.Error(err)
	}
	for want, bad := range map[string]gopprof.Counter{
		"must be the name of a counter": {Metric: "http requests", Path: "/metrics"},
		`metric ""`:                     {Path: "/metrics"},
		"port 70000":                    {Metric: "n", Port: 70000, Path: "/metrics"},
		`path "metrics"`:                {Metric: "n", Path: "metrics"},
		`path "/a/../b"`:                {Metric: "n", Path: "/a/../b"},
		`path "@evil:80/x"`:             {Metric: "n", Path: "@evil:80/x"},
		`path "/metrics?x"`:             {Metric: "n", Path: "/metrics?x"},
		"…":                             {Metric: strings.Repeat("n", 5000), Path: "/metrics"},
	} {
		if err := discover.CheckCounter(bad); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 400 {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// The counter lies on the target's own host; its token stays on its own port.
func TestWhereACounterIsShown(t *testing.T) {
	e := gopprof.Endpoint{Scheme: "http", Host: "10.0.0.1", Port: 6060, Path: "/debug/pprof", BearerTokenFile: "/token"}
	for _, c := range []struct {
		counter gopprof.Counter
		want    gopprof.Endpoint
	}{
		{gopprof.Counter{Path: "/metrics"}, gopprof.Endpoint{Scheme: "http", Host: "10.0.0.1", Port: 6060, Path: "/metrics", BearerTokenFile: "/token"}},
		{gopprof.Counter{Path: "/m", Port: 6060}, gopprof.Endpoint{Scheme: "http", Host: "10.0.0.1", Port: 6060, Path: "/m", BearerTokenFile: "/token"}},
		{gopprof.Counter{Path: "/metrics", Port: 9090}, gopprof.Endpoint{Scheme: "http", Host: "10.0.0.1", Port: 9090, Path: "/metrics"}},
	} {
		if got := c.counter.On(e); got != c.want {
			t.Errorf("%+v: %+v", c.counter, got)
		}
	}
}
