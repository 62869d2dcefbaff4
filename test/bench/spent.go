package main

import (
	"context"
	"path/filepath"
	"time"
)

// agentParts are what an agent does.
var agentParts = []part{
	collecting,
	{"reading cgroups: cAdvisor's library", []string{"github.com/google/cadvisor", "github.com/opencontainers/cgroups"}},
	{"reading cgroups: ours", []string{"agent/observe"}},
	{"judging", []string{"agent/judge"}},
	{"discovering", []string{"agent/discover"}},
	{"telling the aggregator", []string{"pkg/bus", "pkg/wire", "github.com/nats-io"}},
	{"the loop and the state that is told", []string{"agent/app"}},
	{"Go's scheduler", []string{"runtime.mcall", "runtime.park_m", "runtime.schedule", "runtime.findRunnable", "runtime.mstart", "runtime.sysmon"}},
}

// spent tells what an agent spends its CPU on.
func spent(ctx context.Context, b *bench, n int) error {
	t, err := startTargets(ctx, b, n)
	if err != nil {
		return err
	}
	defer t.stop()
	r, err := b.rig("agent-spent")
	if err != nil {
		return err
	}
	defer r.Stop()
	if err := r.StartAggregator(ctx); err != nil {
		return err
	}
	config, err := b.agentConfig(r, t.file, "")
	if err != nil {
		return err
	}
	if _, _, err := b.startProfiled(ctx, r, "agent", config); err != nil {
		return err
	}
	if err := wait(ctx, min(b.span, 30*time.Second)); err != nil { // it settles
		return err
	}
	profiles, err := profilesOf(ctx, filepath.Dir(config), "agent", b.span)
	if err != nil {
		return err
	}
	b.printf("\nWhat the CPU is spent on at %d targets (%d looks of the profiler in %s):\n\n", n, samplesIn(profiles), b.span)
	for _, table := range []struct {
		of     string
		shares []share
	}{{"part", partsOf(profiles, agentParts)}, {"package, flat", packagesOf(profiles)}, {"function, flat", functionsOf(profiles)}} {
		b.printf("| %s | share |\n|---|---|\n", table.of)
		for _, s := range table.shares[:min(10, len(table.shares))] {
			b.printf("| %s | %.0f %% |\n", s.what, 100*s.of)
		}
		b.printf("\n")
	}
	return nil
}
