package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

// The names of what is profiled tell nothing of what was planted.
const (
	namespace = "bench"
	window    = 5 * time.Second
	profile   = 10 * time.Second
)

// agentYAML differs from the defaults in places and in times; cAdvisor is the only witness,
// and a node that runs all pods of a service profiles them at once.
const agentYAML = `
cluster: {{.Cluster}}
node: {{.Node}}
state_dir: {{.Dir}}/agent
shutdown_timeout: 5s
state_interval: 1s
status: {listen: "127.0.0.1:0"}
static: {file: {{.Dir}}/targets.yaml, interval: 500ms}
cadvisor: {limits_interval: 1s}
observe: {warm_interval: {{.Warm}}, quiet_interval: {{.Quiet}}}
judge:
  policy: local
  cpu: {window: {{.Window}}, cpu_seconds: {{.CPUSeconds}}}
  memory: {window: {{.Window}}, cpu_seconds: {{.CPUSeconds}}}
  throttled: {window: {{.Window}}, cpu_seconds: {{.CPUSeconds}}}
take: {max_at_once: 10}
publish: {retry_max: 2s}
nats: {url: "{{.NATS}}", nkey_file: {{.Dir}}/agent.nk, reconnect_wait: 1s}
`

// aggregatorYAML lets as many captures be made as there are cases to play.
const aggregatorYAML = rig.AggregatorYAML + `
dispatch: {budget: {total_per_hour: 1000}}
`

// bench is gopprof at work, before which one case after the other is played.
type bench struct {
	*rig.Rig
	root   string        // of the source tree
	burner string        // path of the program
	before time.Duration // quiet time before anything is planted
	keep   string        // directory for what was made; empty keeps nothing
	out    io.Writer
	played int
}

func newRig(dir, bin string) *rig.Rig {
	return rig.New(rig.Config{
		Dir: dir, Window: window, CPUSeconds: profile, Warm: time.Second, Quiet: time.Second,
		Agent: []string{filepath.Join(bin, "agent")}, Aggregator: []string{filepath.Join(bin, "aggregator")},
		AgentYAML: agentYAML, AggregatorYAML: aggregatorYAML,
	})
}

// start starts agent and aggregator.
func (b *bench) start(ctx context.Context) (err error) {
	if b.burner, err = parts.Binary("burner"); err != nil {
		return err
	}
	if err := b.watch(nil, ""); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := b.StartAggregator(ctx); err != nil {
		return err
	}
	return b.StartAgent(ctx)
}

// watch writes the targets file, which the agent reads again when it changes.
func (b *bench) watch(p *pods, service string) error {
	text := "targets: []\n"
	if p != nil {
		text = "targets:\n" + entries(p, service)
	}
	path := filepath.Join(b.Dir, "targets.yaml")
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing targets: %w", err)
	}
	return os.Rename(path+".new", path)
}

func entries(p *pods, service string) string {
	var text strings.Builder
	for _, one := range p.all {
		fmt.Fprintf(&text, "- {namespace: %s, workload: %s, workload_kind: Deployment, pod: %s, build: %s-1, pprof: %q, cgroup: %s, runtime: {%s}, requests_metric: %q}\n",
			namespace, service, one.name, service, one.pprof, one.cgroup.Path, settings(p.c.All.Environment), p.c.All.RequestsMetric)
	}
	return text.String()
}

// settings are the variables of the Go runtime, which the agent sees of containers in
// Kubernetes.
func settings(environment map[string]string) string {
	var list []string
	for _, name := range []string{"GOGC", "GOMEMLIMIT", "GOMAXPROCS"} {
		if value := environment[name]; value != "" {
			list = append(list, fmt.Sprintf("%s: %q", strings.ToLower(name), value))
		}
	}
	return strings.Join(list, ", ")
}

// awaitQuiet waits until the aggregator knows of every pod, and that each has been quiet for
// as long as a rule looks back: none is a sibling before.
func (b *bench) awaitQuiet(ctx context.Context, p *pods) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	return rig.Poll(ctx, func() error {
		var list struct{ Nodes []gopprof.NodeState }
		if err := b.GetJSON(ctx, "/api/v1/targets", &list); err != nil {
			return err
		}
		states := map[string]gopprof.TargetState{}
		for _, n := range list.Nodes {
			for _, t := range n.Targets {
				states[t.Target.Pod] = t
			}
		}
		for _, one := range p.all {
			if err := quiet(states[one.name]); err != nil {
				return fmt.Errorf("pod %s: %w", one.name, err)
			}
		}
		return nil
	})
}

func quiet(t gopprof.TargetState) error {
	if len(t.Rules) == 0 {
		return fmt.Errorf("the aggregator does not know it yet")
	}
	for _, r := range t.Rules {
		if r.Reason != gopprof.ReasonBelowThreshold {
			return fmt.Errorf("rule %s is not quiet: %s", r.Rule, r.Reason)
		}
	}
	return nil
}
