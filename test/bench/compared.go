package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/rig"
)

const (
	incidents  = 6
	neededPods = 3 // the hot one and the two that it is compared with
)

// compared measures what a rule's capture costs as production has it: with fifteen minutes of
// history, and compared with two siblings, which are asked for, stored and drawn as well.
func compared(ctx context.Context, b *bench, files []gopprof.Profile) error {
	b.printf("\nOne rule's firing, with %s of history, the hot capture and those of two siblings:\n\n| profile | aggregator CPU for all three | reports compared with |\n|---|---|---|\n", gopprof.HistoryLength)
	for _, p := range files {
		if err := comparedOf(ctx, b, p); err != nil {
			return fmt.Errorf("compared %s: %w", p.Kind, err)
		}
	}
	return nil
}

func comparedOf(ctx context.Context, b *bench, p gopprof.Profile) error {
	return withMany(ctx, b, "compared-"+string(p.Kind), neededPods, func(r *rig.Rig, crowd []*bus.Agent) error { return fireAt(ctx, b, r, crowd, p) })
}

// fireAt has the first of the crowd fire, and the others be its siblings.
func fireAt(ctx context.Context, b *bench, r *rig.Rig, crowd []*bus.Agent, p gopprof.Profile) (err error) {
	serving, stop := context.WithCancel(ctx)
	group, serving := errgroup.WithContext(serving)
	var siblings []*sibling
	for i, a := range crowd[1:] {
		s := &sibling{simulated{ctx: serving, agent: a, node: fmt.Sprintf("node-%d", i+1)}, p}
		siblings = append(siblings, s)
		group.Go(func() error { return a.Serve(serving, s) })
	}
	if err = tellAll(ctx, r, siblings); err == nil {
		err = fireAll(ctx, b, r, crowd[0], p)
	}
	stop()
	if ended := group.Wait(); err == nil {
		err = ended
	}
	return err
}

// tellAll has the siblings tell of themselves, as agents do again and again, until the
// aggregator knows them: nobody keeps what comes before it listens.
func tellAll(ctx context.Context, r *rig.Rig, siblings []*sibling) error {
	return rig.Poll(ctx, func() error {
		for _, s := range siblings {
			if err := s.tellQuiet(ctx); err != nil {
				return err
			}
		}
		var list api.TargetList
		err := r.GetJSON(ctx, api.PathTargets, &list)
		if err == nil && len(list.Nodes) < len(siblings) {
			err = fmt.Errorf("%d of the siblings' nodes are known", len(list.Nodes))
		}
		return err
	})
}

// fireAll lets one rule after the other fire, each of another workload. The first is for
// workers to start.
func fireAll(ctx context.Context, b *bench, r *rig.Rig, hot *bus.Agent, p gopprof.Profile) error {
	var before usage
	others := 0
	for i := range incidents {
		if i == 1 {
			var err error
			if before, err = treeOf(r.Aggregator.PID()); err != nil {
				return err
			}
		}
		n, err := fireOne(ctx, r, hot, p, i)
		if err != nil {
			return err
		}
		others += n
	}
	after, err := treeOf(r.Aggregator.PID())
	if err != nil {
		return err
	}
	b.printf("| %s | %s | %.1f |\n", p.Kind, ms((after.cpu-before.cpu)/(incidents-1)), float64(others)/incidents)
	return nil
}

// fireOne returns with how many siblings the report was compared.
func fireOne(ctx context.Context, r *rig.Rig, hot *bus.Agent, p gopprof.Profile, i int) (siblings int, err error) {
	c := newCapture("node-0", fmt.Sprintf("service-%d", i), p)
	c.Target.Build = "1"
	d, err := hot.Ask(ctx, gopprof.Firing{
		Capture: c.ID, Target: c.Target, Rule: "cpu", Resource: gopprof.ResourceCPU, Ratio: 0.95, At: time.Now().UTC(),
		Threshold: 0.8, Kinds: []gopprof.Kind{p.Kind}, CPUSeconds: 1,
	})
	if err != nil || !d.Go {
		return 0, fmt.Errorf("the firing was refused: %s, %w", d.Reason, err)
	}
	c.Incident, c.History = d.Incident, historyOf(c.End, 0.95)
	c.Trigger = gopprof.Trigger{Kind: gopprof.TriggerRule, At: c.Start, Evidence: &gopprof.Evidence{
		Rule: "cpu", Resource: gopprof.ResourceCPU, Policy: gopprof.PolicyConfirm, Threshold: 0.8, WindowSeconds: 60,
		Windows: []gopprof.Window{windowAt(c.Start.Add(-time.Minute), 0.95), windowAt(c.Start, 0.95)},
	}}
	c.Agreement = gopprof.Agreement{Result: gopprof.AgreementConfirmed}
	if err := hot.PublishCapture(ctx, c); err != nil {
		return 0, err
	}
	if _, err := r.Aggregator.AwaitWhere(ctx, "report announced", func(l rig.Line) bool { return l.Text("capture") == c.ID }); err != nil {
		return 0, err
	}
	var report gopprof.Report
	if err := r.GetJSON(ctx, "/api/v1/reports/"+c.ID, &report); err != nil {
		return 0, err
	}
	for _, s := range report.Siblings {
		if s.State == gopprof.SiblingStored {
			siblings++
		}
	}
	if siblings != neededPods-1 {
		return siblings, fmt.Errorf("the report was compared with %d siblings: see %s", siblings, filepath.Base(r.Aggregator.File))
	}
	return siblings, nil
}

func windowAt(end time.Time, ratio float64) gopprof.Window {
	return gopprof.Window{
		Witness: gopprof.WitnessCadvisor, Start: end.Add(-time.Minute), End: end, HasCPU: true, CoveredRatio: 1,
		CPU: gopprof.Use{Mean: ratio, Limit: 1, Ratio: ratio},
	}
}

// historyOf is what both witnesses saw of a target: readings of ten seconds, and minutes.
func historyOf(end time.Time, ratio float64) gopprof.History {
	points := func(every time.Duration) (out []gopprof.Point) {
		for at := end.Add(-gopprof.HistoryLength); at.Before(end); at = at.Add(every) {
			used := ratio * (1 + math.Sin(float64(at.Unix()))/20)
			out = append(out, gopprof.Point{
				Start: at, End: at.Add(every), HasCPU: true, CPUCores: used, CPULimitCores: 1,
				HasMemory: true, MemoryBytes: 1e8 * (1 + used), MemoryLimitBytes: 2.5e8, AnonymousBytes: 1e8,
			})
		}
		return out
	}
	return gopprof.History{Local: points(10 * time.Second), Series: points(time.Minute), SeriesBy: gopprof.WitnessHeapster}
}

// sibling is the agent of a quiet pod of each workload.
type sibling struct {
	simulated
	profile gopprof.Profile
}

func (s *sibling) target(workload string) gopprof.Target {
	t := newCapture(s.node, workload).Target
	t.Pod, t.PodUID, t.Build = workload+"-"+s.node, s.node, "1"
	return t
}

func (s *sibling) tellQuiet(ctx context.Context) error {
	now := time.Now().UTC()
	state := gopprof.NodeState{Cluster: rig.Cluster, Node: s.node, At: now}
	for i := range incidents {
		state.Targets = append(state.Targets, gopprof.TargetState{
			Target: s.target(fmt.Sprintf("service-%d", i)), Local: []gopprof.Window{windowAt(now, 0.2)},
		})
	}
	return s.agent.PublishState(ctx, state)
}

// Capture implements bus.Requests.
func (s *sibling) Capture(_ context.Context, r gopprof.CaptureRequest) gopprof.CaptureReply {
	go func() {
		c := newCapture(s.node, "", s.profile)
		c.ID, c.Incident = r.Capture, r.Incident
		c.Target = s.target(r.Pod[:len(r.Pod)-len(s.node)-1])
		c.Trigger = gopprof.Trigger{Kind: r.Kind, At: c.Start, Request: &r.Request}
		c.History = historyOf(c.End, 0.2)
		_ = s.agent.PublishCapture(s.ctx, c) // one that is lost shows in the report
	}()
	return gopprof.CaptureReply{Accepted: true}
}
