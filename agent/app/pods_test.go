package app

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// listed is a list of pods that does not change, as while the API server is away.
type listed discover.Snapshot

func (l listed) Run(context.Context) error   { return nil }
func (l listed) Snapshot() discover.Snapshot { return discover.Snapshot(l) }

// running holds the IDs of the containers whose cgroups are there.
type running map[string]bool

func (r running) Read(_ context.Context, t gopprof.Target, _ time.Time) (observe.Sample, error) {
	if !r[t.ContainerID] {
		return observe.Sample{}, fmt.Errorf("reading: %w", observe.ErrGone)
	}
	return observe.Sample{HasCPU: true}, nil
}

func (running) Forget(string) {}

// A pod that has gone while the API server is away is not dialled: its address may be
// another pod's by now.
func TestPodIsDialledOnlyWhileItsContainerIsThere(t *testing.T) {
	here := gopprof.Target{Pod: "here", PodUID: "u1", ContainerID: "11aa"}
	gone := gopprof.Target{Pod: "gone", PodUID: "u2", ContainerID: "22bb"}
	file := gopprof.Target{Pod: "of the file"}
	a := &App{
		discover: listed{Targets: []gopprof.Target{here, gone, file}},
		observe:  observe.New(observe.DefaultConfig(), running{"11aa": true}, zap.NewNop(), prometheus.NewRegistry()),
	}
	for target, want := range map[gopprof.Target]gopprof.Reason{
		here: "", gone: gopprof.ReasonGone, file: "", {Pod: "here", PodUID: "another"}: gopprof.ReasonGone,
		{Pod: "here", PodUID: "u1", ContainerID: "33cc"}: gopprof.ReasonGone, {Pod: "here", PodUID: "u1", ContainerID: "11aa", Cgroup: gopprof.Cgroup{PID: 7}}: gopprof.ReasonGone,
	} {
		if now, reason := a.verify(target); reason != want || reason == "" && now != target {
			t.Errorf("%s: %q, %+v", target.Pod, reason, now)
		}
	}
}

func TestSeriesOfAPredecessorAreLeftOut(t *testing.T) {
	var intervals []gopprof.Window
	for i := range 4 {
		start := noon.Add(time.Duration(i) * time.Minute)
		intervals = append(intervals, gopprof.Window{Start: start, End: start.Add(time.Minute)})
	}
	for name, c := range map[string]struct {
		started time.Time
		want    int
	}{
		"not known":        {time.Time{}, 4},
		"long ago":         {noon.Add(-time.Hour), 4},
		"at a minute":      {noon.Add(2 * time.Minute), 2},
		"within a minute":  {noon.Add(90 * time.Second), 2},
		"after them all":   {noon.Add(time.Hour), 0},
		"in the last one":  {noon.Add(200 * time.Second), 0},
		"at the first one": {noon, 4},
	} {
		if got := own(gopprof.Target{Started: c.started}, intervals); len(got) != c.want {
			t.Errorf("%s: %d left, want %d", name, len(got), c.want)
		}
	}
}

func TestPodsAreASettingOfTheirOwn(t *testing.T) {
	c, err := load(t, nats+"kubernetes: {enabled: true, selector: 'team=shop', namespaces: [shop]}\n")
	if err != nil || !c.Kubernetes.Enabled || !c.Kubernetes.PeerAnnotations || c.Kubernetes.HostNetwork {
		t.Errorf("%+v, %v", c.Kubernetes, err)
	}
	if _, err := load(t, nats+"kubernetes: {selector: 'a b'}\n"); err == nil {
		t.Error("a wrong selector was accepted")
	}
}
