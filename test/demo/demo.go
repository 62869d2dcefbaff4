package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
)

// The names under which both witnesses know the burner.
const (
	cluster   = "demo"
	node      = "demo-node"
	namespace = "shop"
	workload  = "checkout"
	pod       = "checkout-0"
	container = "checkout"
	owner     = "team-checkout"
)

const (
	limitCores = 0.5
	startUp    = 90 * time.Second  // for all programs to be ready
	reportTime = 120 * time.Second // from heat to told
)

// demo is one run.
type demo struct {
	dir   string
	began time.Time
	undo  []func() // in the order of making; undone the other way round
	names names

	aggregator, agent *process
	burner            *parts.Burner
	inbox             *inbox
	api               string // URL
}

func newDemo(dir string) *demo {
	return &demo{dir: dir, began: time.Now(), names: names{
		Dir: dir, Cluster: cluster, Node: node, Namespace: namespace, Workload: workload, Pod: pod, Container: container, Owner: owner,
	}}
}

// play is the whole demo, in the order of the flow.
func (d *demo) play(ctx context.Context) error {
	d.say("gopprof's main job, with real parts, in %s", d.dir)
	ready, cancel := context.WithTimeout(ctx, startUp)
	defer cancel()
	for _, step := range []func(context.Context) error{
		d.startInfluxDB, d.startInbox, d.startAggregator, d.startBurner, d.startSeries, d.startAgent, d.awaitTarget,
	} {
		if err := step(ready); err != nil {
			return err
		}
	}
	within, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	return d.heat(within)
}

// heat makes the burner hot and follows what comes of it.
func (d *demo) heat(ctx context.Context) error {
	if err := d.burner.Heat(ctx, 1); err != nil {
		return err
	}
	d.say("── %s wants a whole core now, twice its limit", workload)
	fired, err := d.agent.await(ctx, "rule fired")
	if err != nil {
		return err
	}
	d.say("agent                  rule %s fired: %s of the limit in two windows running", fired.text("rule"), fired.text("ratio"))
	capture := fired.text("capture")
	for _, step := range []struct {
		at      *process
		message string
		say     func(logLine) string
	}{
		{d.aggregator, "capture granted", func(l logLine) string { return "go, incident " + l.text("incident") }},
		{d.agent, "capture taken", func(l logLine) string { return "profiles taken over HTTP: " + l.text("profiles") }},
		{d.agent, "witnesses compared", func(l logLine) string { return "the series " + l.text("agreement") + " what cAdvisor saw" }},
		{d.agent, "capture published", func(logLine) string { return "capture acknowledged by NATS" }},
		{d.aggregator, "report committed", func(logLine) string { return "explained, drawn and stored" }},
		{d.aggregator, "report announced", func(logLine) string { return "report announced to every consumer" }},
		{d.aggregator, "report told", func(logLine) string { return "owner told" }},
	} {
		line, err := step.at.await(ctx, step.message)
		if err != nil {
			return err
		}
		d.say("%-22s %s", step.at.name, step.say(line))
	}
	return d.show(ctx, capture)
}

// awaitTarget waits until the aggregator has heard of the target.
func (d *demo) awaitTarget(ctx context.Context) error {
	err := poll(ctx, func() error {
		var list struct{ Nodes []gopprof.NodeState }
		body, err := d.get(ctx, "/api/v1/targets")
		if err != nil {
			return err
		}
		if err := json.Unmarshal(body, &list); err != nil {
			return err
		}
		for _, n := range list.Nodes {
			if len(n.Targets) == 1 && len(n.Targets[0].Local) > 0 {
				return nil
			}
		}
		return fmt.Errorf("the aggregator does not know the target yet")
	})
	if err == nil {
		d.say("── all parts run; %s idles", workload)
	}
	return err
}

func (d *demo) say(format string, args ...any) {
	fmt.Printf("%6.1fs  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

// later registers what undoes a step, on the line after it was done.
func (d *demo) later(undo func()) { d.undo = append(d.undo, undo) }

// stop undoes all steps, the last one first. The files of a run that failed stay.
func (d *demo) stop(failed bool) {
	for i := len(d.undo) - 1; i >= 0; i-- {
		d.undo[i]()
	}
	if !failed {
		_ = os.RemoveAll(d.dir)
	}
}

// poll calls f until it returns nil, or ctx ends.
func poll(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not in time: %w", err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
