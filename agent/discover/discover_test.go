package discover_test

import (
	"testing"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func TestCurrentFindsTheTargetAsItIsNow(t *testing.T) {
	web := gopprof.Target{Namespace: "shop", Pod: "web-1", PodUID: "u1", Container: "app", Endpoint: gopprof.Endpoint{Host: "10.0.0.1"}}
	moved, ended, again := web, web, web
	moved.Endpoint.Host = "10.0.0.2"
	ended.Pod = "web-2"
	again.PodUID = "u2"
	snapshot := discover.Snapshot{
		Targets: []gopprof.Target{{Namespace: "shop", Pod: "other"}, moved},
		Refused: []gopprof.Refusal{{Target: ended, Reason: gopprof.ReasonTerminating}},
	}
	for _, c := range []struct {
		name   string
		target gopprof.Target
		want   gopprof.Target
		reason gopprof.Reason
	}{
		{"moved", web, moved, ""},
		{"refused since", ended, ended, gopprof.ReasonTerminating},
		{"recreated under the same name", again, gopprof.Target{}, gopprof.ReasonGone},
	} {
		if got, reason := discover.Current(snapshot, c.target); got != c.want || reason != c.reason {
			t.Errorf("%s: %+v, %q", c.name, got, reason)
		}
	}
}
