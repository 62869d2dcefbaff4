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
	b.printf("| step | after the heat |\n|---|---|\n")
	for _, step := range []struct {
		what    string
		program *rig.Process
		message string
	}{
		{"rule fired", r.Agent, "rule fired"},
		{"profiles taken", r.Agent, "capture taken"},
		{"capture spooled, with the second witness's answer", r.Agent, "capture spooled"},
		{"report committed", r.Aggregator, "report committed"},
		{"owner told", r.Aggregator, "report told"},
	} {
		line, err := step.program.Await(ctx, step.message)
		if err != nil {
			return err
		}
		at, err := time.Parse(time.RFC3339, line.Text("time"))
		if err != nil {
			return err
		}
		b.printf("| %s | %.1f s |\n", step.what, at.Sub(began).Seconds())
	}
	return nil
}
