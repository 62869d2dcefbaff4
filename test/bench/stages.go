package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/test/rig"
)

var collecting = part{"garbage collection", []string{"runtime.gcBgMarkWorker", "runtime.gcAssist", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart", "runtime/debug.FreeOSMemory"}}

// aggregatorParts and drawerParts are the stages of a capture in either process.
var (
	aggregatorParts = []part{
		collecting,
		{"decoding, to explain", []string{"pkg/profile.Parse"}},
		{"reducing it, to draw", []string{"aggregator/draw.Reduced"}},
		{"picture of the evidence", []string{"aggregator/explain/picture."}},
		{"explaining", []string{"aggregator/explain"}},
		{"cleaning the SVG", []string{"aggregator/draw.sanitize"}},
		{"store, synced", []string{"aggregator/store"}},
		{"NATS, embedded and synced", []string{"github.com/nats-io/nats-server"}},
		{"messages", []string{"pkg/bus", "pkg/wire", "github.com/nats-io/nats.go"}},
		{"announcing, telling, operations", []string{"aggregator/announce", "aggregator/notify", "aggregator/dispatch"}},
	}
	drawerParts = []part{
		collecting,
		{"decoding, to draw", []string{"pkg/profile.Parse"}},
		{"cleaning the profile", []string{"pkg/profile.(*Profile).Clean"}},
		{"reducing it to what a graph keeps", []string{"pkg/profile.(*Profile).Condense"}},
		{"pprof's driver: the graph", []string{"aggregator/draw.composeDOT"}},
		{"starting dot", []string{"aggregator/draw.graphviz.run"}},
	}
)

// stages tells where the CPU of a capture goes, by profiles of the aggregator and its draw
// workers, and by what /proc says of dot.
func stages(ctx context.Context, b *bench, files []gopprof.Profile) error {
	r, err := b.rig("stages")
	if err != nil {
		return err
	}
	defer r.Stop()
	config, err := r.AggregatorConfig()
	if err != nil {
		return err
	}
	aggregator, line, err := b.startProfiled(ctx, r, "aggregator", config)
	if err != nil {
		return err
	}
	r.Aggregator = aggregator
	r.AggregatorRuns(line.Text("nats"), line.Text("api"))
	agent, err := connect(ctx, r.NATS(), filepath.Join(r.Dir, "agent.nk"), rig.Node)
	if err != nil {
		return err
	}
	defer func() { _ = agent.Close(context.WithoutCancel(ctx)) }()
	for _, p := range files {
		if err := stagesOf(ctx, b, r, agent, p); err != nil {
			return err
		}
	}
	return nil
}

func stagesOf(ctx context.Context, b *bench, r *rig.Rig, agent *bus.Agent, p gopprof.Profile) error {
	if err := sendAll(ctx, r, agent, p, 4); err != nil { // all workers start
		return err
	}
	length := min(b.span, 15*time.Second)
	var own, drawers []*profile.Raw
	profiling := make(chan error, 2)
	before, err := splitOf(r.Aggregator.PID())
	if err != nil {
		return err
	}
	for name, to := range map[string]*[]*profile.Raw{"aggregator": &own, "drawer": &drawers} {
		go func() (err error) {
			defer func() { profiling <- err }()
			*to, err = profilesOf(ctx, r.Dir, name, length)
			return err
		}()
	}
	n := 0
	for end := time.Now().Add(length); time.Now().Before(end); n += 4 {
		if err := sendAll(ctx, r, agent, p, 4); err != nil {
			return err
		}
	}
	after, err := splitOf(r.Aggregator.PID())
	if err != nil {
		return err
	}
	for range 2 {
		if err := <-profiling; err != nil {
			return err
		}
	}
	each := func(d time.Duration) time.Duration { return d / time.Duration(n) }
	b.printf("\nA %s profile, %d captures:\n\n| stage | CPU per capture |\n|---|---|\n", p.Kind, n)
	b.printStages("aggregator", each(after.own-before.own), partsOf(own, aggregatorParts))
	b.printStages("draw worker", each(after.drawers-before.drawers), partsOf(drawers, drawerParts))
	b.printf("| dot | %.1f ms |\n", toMS(each(after.dot-before.dot)))
	return nil
}

func (b *bench) printStages(process string, cpu time.Duration, shares []share) {
	b.printf("| **%s** | **%.1f ms** |\n", process, toMS(cpu))
	for _, s := range shares {
		b.printf("| %s | %.1f ms |\n", s.what, toMS(cpu)*s.of)
	}
}

// split is the CPU of an aggregator by its processes.
type split struct{ own, drawers, dot time.Duration }

func splitOf(aggregator int) (s split, err error) {
	all, err := allProcesses()
	if err != nil {
		return s, err
	}
	s.own = all[aggregator].own
	for _, p := range all {
		if p.parent == aggregator {
			s.drawers += p.own
			s.dot += p.cpu - p.own
		}
	}
	return s, nil
}
