package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/gopprof/gopprof/test/rig"
)

// latency follows one heat to its owner's message, at the default settings: two windows of a
// minute, 30 s of profile, series of a minute.
func latency(ctx context.Context, b *bench) error {
	r, err := b.rig("latency")
	if err != nil {
		return err
	}
	defer r.Stop()
	for _, start := range []func(context.Context) error{
		r.StartInfluxDB,
		func(context.Context) error { return r.StartBurner(filepath.Join(b.root, ".cache", "bin", "burner")) },
		func(context.Context) error { return r.StartInbox() },
		r.StartSeries, r.StartAggregator, r.StartAgent, r.AwaitTarget,
	} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	// Heat that begins anywhere in a minute: settled quiet readings first.
	if err := wait(ctx, 75*time.Second); err != nil {
		return err
	}
	began := time.Now()
	if err := r.Burner.Heat(ctx, 1); err != nil {
		return err
	}
	b.printf("| step | after the heat | after the step before |\n|---|---|---|\n")
	before := began
	for _, step := range []struct {
		what    string
		program *rig.Process
		message string
	}{
		{"decision: the rule fired", r.Agent, "rule fired"},
		{"grant: the aggregator let it capture", r.Aggregator, "capture granted"},
		{"capture done: its profiles are taken", r.Agent, "capture taken"},
		{"the second witness has answered, for good", r.Agent, "witnesses compared"},
		{"arrival in NATS, which has synced it", r.Agent, "capture published"},
		{"stored: the report is committed", r.Aggregator, "report committed"},
		{"announced in NATS", r.Aggregator, "report announced"},
		{"the owner was told", r.Aggregator, "report told"},
	} {
		line, err := step.program.Await(ctx, step.message)
		if err != nil {
			return err
		}
		at, err := time.Parse(time.RFC3339, line.Text("time"))
		if err != nil {
			return err
		}
		b.printf("| %s | %.2f s | %.2f s |\n", step.what, at.Sub(began).Seconds(), at.Sub(before).Seconds())
		before = at
	}
	return nil
}
