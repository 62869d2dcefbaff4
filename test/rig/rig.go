// Package rig runs gopprof's main job with real parts on one machine, for the demo and for
// the tests of the whole: InfluxDB, the aggregator with its embedded NATS, the agent, a Go
// service in a real cgroup with limits, a second witness that writes Heapster's series,
// and the owner's end of a webhook.
//
// The commands that start both programs enter; running programs leave, whose logs can be
// awaited and whose API can be asked. Everything lives in one directory and on ports that
// the kernel chose, and ends with Stop. Nothing here may know more of the programs than
// their configuration, their logs and their API: what a user has.
package rig

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/series"
)

// The names under which both witnesses know the burner.
const (
	Cluster   = "demo"
	Node      = "demo-node"
	Namespace = "shop"
	Workload  = "checkout"
	Pod       = "checkout-0"
	Container = "checkout"
	Owner     = "team-checkout"
)

// The limits of the burner's cgroup.
const (
	LimitCores = 0.5
	LimitBytes = 256 << 20
)

// Config is what a rig is made of.
type Config struct {
	Dir        string   // of everything
	Agent      []string // command lines, to which flags are added
	Aggregator []string
	Series     []string      // command line of the second witness; empty runs it in this process
	Window     time.Duration // of the rules and of the series; in whole seconds
	CPUSeconds time.Duration // of the CPU profile
	// Warm and Quiet are the times between two looks at a target; 0 is a tenth and a fifth of
	// the window.
	Warm, Quiet time.Duration
	// AgentYAML and AggregatorYAML are templates of the programs' configurations; empty are
	// those of the main job.
	AgentYAML, AggregatorYAML string
}

// Rig is one run. Its parts are made in this order by their Start methods.
type Rig struct {
	Config
	InfluxDB   *parts.InfluxDB
	Inbox      *Inbox
	Burner     *parts.Burner
	Aggregator *Process
	Agent      *Process
	// Alertmanager is there in rigs that start it, before the aggregator.
	Alertmanager *Alertmanager

	API    string // URL of the aggregator's API, once it runs
	Status string // URL of the agent's status page, once it runs
	// AggregatorStatus is host:port of the aggregator's status port, for who started it in this
	// process.
	AggregatorStatus string
	Cgroup           string // path of the burner's cgroup
	values           values
	undo             []func() // in the order of making; undone the other way round
}

// New returns a rig in which nothing runs.
func New(c Config) *Rig {
	return &Rig{Config: c, values: values{
		Dir: c.Dir, Cluster: Cluster, Node: Node, Namespace: Namespace, Workload: Workload, Pod: Pod, Container: Container, Owner: Owner,
		Window: c.Window, CPUSeconds: c.CPUSeconds, Listen: "127.0.0.1:0",
		Warm: cmp.Or(c.Warm, c.Window/10), Quiet: cmp.Or(c.Quiet, c.Window/5),
	}}
}

// Start runs one more program, whose log is in the rig's directory; it ends with the rig.
func (r *Rig) Start(name string, argv []string) (*Process, error) {
	p, err := start(r.Dir, name, argv)
	if err == nil {
		r.later(p.Stop)
	}
	return p, err
}

// later registers what undoes a step, on the line after it was done.
func (r *Rig) later(undo func()) { r.undo = append(r.undo, undo) }

// Stop stops all parts, the last one first.
func (r *Rig) Stop() {
	for i := len(r.undo) - 1; i >= 0; i-- {
		r.undo[i]()
	}
	r.undo = nil
}

// SeriesConfig is what the second witness must know.
func (r *Rig) SeriesConfig() series.Config {
	return series.Config{
		URL: r.InfluxDB.URL, Database: "k8s", Interval: r.Window, Cgroup: r.Cgroup,
		Node: Node, Namespace: Namespace, Pod: Pod, Container: Container,
	}
}

// Get returns what the aggregator's API answers with status 200.
func (r *Rig) Get(ctx context.Context, path string) ([]byte, error) {
	return Fetch(ctx, http.MethodGet, r.API+path, nil)
}

// GetJSON decodes what the API answers.
func (r *Rig) GetJSON(ctx context.Context, path string, into any) error {
	body, err := r.Get(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("decoding %s: %w", path, err)
	}
	return nil
}

// AwaitTarget waits until the aggregator has heard from the agent that it sees the burner.
func (r *Rig) AwaitTarget(ctx context.Context) error {
	return Poll(ctx, func() error {
		var list struct{ Nodes []gopprof.NodeState }
		if err := r.GetJSON(ctx, "/api/v1/targets", &list); err != nil {
			return err
		}
		for _, n := range list.Nodes {
			if len(n.Targets) == 1+len(r.values.Siblings) && !slices.ContainsFunc(n.Targets, r.unknown) {
				return nil
			}
		}
		return fmt.Errorf("the aggregator does not know the target yet")
	})
}

// unknown tells whether nothing was read of a target yet or, of a sibling, not enough to call
// it quiet.
func (r *Rig) unknown(t gopprof.TargetState) bool {
	busy := func(s gopprof.RuleState) bool { return s.Reason != gopprof.ReasonBelowThreshold }
	return len(t.Local) == 0 || t.Target.Pod != Pod && slices.ContainsFunc(t.Rules, busy)
}

// AwaitSeries waits until the second witness has written what a whole interval used: heat
// that comes before is in no interval of it, and nothing can confirm it.
func (r *Rig) AwaitSeries(ctx context.Context) error {
	return Poll(ctx, func() error {
		answer, err := r.InfluxDB.Query(ctx, "k8s", `SELECT count("value") FROM "cpu/usage_rate"`)
		if err == nil && !strings.Contains(answer, "cpu/usage_rate") {
			err = errors.New("the series have no point of what was used")
		}
		return err
	})
}

// Poll calls f until it returns nil, or ctx ends.
func Poll(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not in time: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
