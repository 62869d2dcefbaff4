package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

const (
	startUp    = 90 * time.Second  // for all programs to be ready
	reportTime = 120 * time.Second // from heat to told
)

// demo is one run.
type demo struct {
	*rig.Rig
	began time.Time
}

// play is the whole demo, in the order of the flow.
func (d *demo) play(ctx context.Context) error {
	d.say("gopprof's main job, with real parts, in %s", d.Dir)
	ready, cancel := context.WithTimeout(ctx, startUp)
	defer cancel()
	if err := d.startAll(ready); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	capture, err := d.heat(within)
	if err != nil {
		return err
	}
	return d.show(within, capture)
}

func (d *demo) startAll(ctx context.Context) error {
	burner, err := parts.Binary("burner")
	if err != nil {
		return err
	}
	for _, step := range []struct {
		start func() error
		what  string
		where func() string
	}{
		{func() error { return d.StartInfluxDB(ctx) }, "InfluxDB 1.8", func() string { return d.InfluxDB.URL }},
		{d.StartInbox, rig.Owner + " (you)", func() string { return "webhook " + d.Inbox.URL }},
		{func() error { return d.StartAggregator(ctx) }, "aggregator", func() string { return "NATS " + d.NATS() + ", pages " + d.API }},
		{func() error { return d.StartBurner(burner) }, rig.Workload + " (the burner)", d.burnerIs},
		{func() error { return d.StartSeries(ctx) }, "Heapster's series", func() string {
			return "a process of its own reads the cgroup and writes them, every " + d.Window.String()
		}},
		{func() error { return d.StartAgent(ctx) }, "agent", func() string { return "why a target does or does not fire: " + d.Status }},
		{func() error { return d.AwaitSeries(ctx) }, "first point", func() string { return "the second witness has seen a whole interval" }},
		{func() error { return d.AwaitTarget(ctx) }, "all parts run", func() string { return rig.Workload + " idles" }},
	} {
		if err := step.start(); err != nil {
			return err
		}
		d.step(step.what, step.where())
	}
	return nil
}

func (d *demo) burnerIs() string {
	return fmt.Sprintf("pid %d in cgroup %s, limit %.1f cores", d.Burner.PID, d.Cgroup, rig.LimitCores)
}

// heat makes the burner hot and follows what comes of it.
func (d *demo) heat(ctx context.Context) (capture string, err error) {
	if err := d.Burner.Heat(ctx, 1); err != nil {
		return "", err
	}
	d.step("heat", fmt.Sprintf("%s wants a whole core now, twice its limit", rig.Workload))
	fired, err := d.Agent.Await(ctx, "rule fired")
	if err != nil {
		return "", err
	}
	d.step("agent", fmt.Sprintf("rule %s fired: %.2f of the limit in two windows running", fired.Text("rule"), fired.Number("ratio")))
	for _, step := range []struct {
		at      *rig.Process
		message string
		say     func(rig.Line) string
	}{
		{d.Aggregator, "capture granted", func(l rig.Line) string { return "go, incident " + l.Text("incident") }},
		{d.Agent, "capture taken", func(l rig.Line) string { return l.Text("profiles") + " profiles taken over HTTP" }},
		{d.Agent, "witnesses compared", func(l rig.Line) string { return "series against cAdvisor: " + l.Text("agreement") }},
		{d.Agent, "capture published", func(rig.Line) string { return "capture acknowledged by NATS" }},
		{d.Aggregator, "report committed", func(rig.Line) string { return "explained, drawn and stored" }},
		{d.Aggregator, "report announced", func(rig.Line) string { return "report announced to every consumer" }},
		{d.Aggregator, "report told", func(rig.Line) string { return "owner told" }},
	} {
		line, err := step.at.Await(ctx, step.message)
		if err != nil {
			return "", err
		}
		d.step(step.at.Name, step.say(line))
		capture = line.Text("capture")
	}
	return capture, nil
}

func (d *demo) step(who, what string) { d.say("%-22s %s", who, what) }

func (d *demo) say(format string, args ...any) {
	fmt.Printf("%6.1fs  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

// end stops everything. The files of a run that failed stay.
func (d *demo) end(err error) {
	d.Stop()
	if err == nil {
		_ = os.RemoveAll(d.Dir)
	}
}
