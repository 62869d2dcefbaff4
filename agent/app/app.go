// Package app is the agent: its configuration, and the wiring of its stages into one
// pipeline.
//
// A configuration file enters, captures leave by way of NATS. The stages know nothing of
// each other: what one needs of another is handed in here. Nothing here judges, takes or
// sends by itself, and no failure of one target may end the loop.
package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/accept"
	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/agent/discover/kubernetes"
	"github.com/gopprof/gopprof/agent/discover/static"
	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/agent/observe/cadvisor"
	"github.com/gopprof/gopprof/agent/observe/heapster"
	"github.com/gopprof/gopprof/agent/publish"
	"github.com/gopprof/gopprof/agent/record"
	"github.com/gopprof/gopprof/agent/take"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/ops"
)

// App is one agent.
type App struct {
	config  Config
	log     *zap.Logger
	reg     *prometheus.Registry
	health  *ops.Health
	stages  *ops.Stages
	server  *ops.Server
	metrics *ops.Server // nil: none

	guard  *guard
	told   *telling
	memory *memory
	hand   *hand
	died   []gopprof.Order // what an earlier agent had in hand, until it is settled

	captures context.Context // of running captures: outlives the loop's at shutdown
	cancel   context.CancelFunc

	bus      *bus.Agent
	publish  *publish.Publisher
	take     *take.Taker
	accept   *accept.Acceptor
	discover discover.Discoverer
	observe  *observe.Observer
	record   *record.Recorder // nil: off
	witness  *secondWitness
	judge    *judge.Judge
	state    *state
	pipeline *pipeline
}

// New makes an agent: it opens the spool, starts connecting to NATS and listens on the
// status port. Nothing is profiled before Run.
func New(ctx context.Context, config Config, log *zap.Logger) (*App, error) {
	a := &App{
		config: config, log: log, reg: ops.NewRegistry(),
		health: ops.NewHealth(time.Now), stages: ops.NewStages(log, config.ShutdownTimeout+10*time.Second),
	}
	a.guard, a.told = newGuard(log, a.reg), newTelling(log, a.reg)
	a.captures, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for _, make := range []func(context.Context) error{a.makeState, a.makeSinks, a.makeWitnesses, a.makeJudge, a.makeSources, a.makeServer} {
		if err := make(ctx); err != nil {
			a.cancel()
			return nil, errors.Join(err, a.stages.Stop())
		}
	}
	return a, nil
}

// StatusAddr is where the status port listens.
func (a *App) StatusAddr() string { return a.server.Addr() }

// makeSinks makes what captures go to.
func (a *App) makeSinks(ctx context.Context) (err error) {
	if a.bus, err = bus.ConnectAgent(ctx, a.config.NATS, a.config.Cluster, a.config.Node, a.log, a.reg); err != nil {
		return err
	}
	a.stages.Closer("nats", a.bus.Close)
	if a.publish, err = publish.New(a.config.Publish, a.bus, a.log, a.reg); err != nil {
		return err
	}
	a.hand = newHand(a.memory)
	a.publish.Spooled = a.hand.strike
	a.look()
	a.stages.Closer("spool", func(context.Context) error { return a.publish.Close() })
	a.health.Ready("nats", a.bus.Connected)
	return nil
}

// makeWitnesses makes what sees the targets: the cgroups, and the series if there are any.
func (a *App) makeWitnesses(context.Context) error {
	reader, err := cadvisor.New(a.config.Cadvisor)
	if err != nil {
		return err
	}
	a.observe = observe.New(a.config.Observe, reader, a.log, a.reg)
	a.witness = &secondWitness{
		node: a.config.Node, resolution: a.config.Heapster.Resolution, wait: a.config.Agreement.Wait, every: a.config.Agreement.Every,
		local: a.localOf, now: time.Now, log: a.log, asking: make(chan struct{}, 1),
	}
	if a.config.Record.Enabled() {
		if a.record, err = record.New(a.config.Record, a.log, a.reg); err != nil {
			return err
		}
	}
	if !a.config.Heapster.Enabled() {
		return nil
	}
	source, err := heapster.New(a.config.Heapster, a.log, a.reg)
	if err != nil {
		return err
	}
	a.stages.Closer("series", func(context.Context) error { source.Close(); return nil })
	a.witness.source = source
	return nil
}

func (a *App) localOf(t gopprof.Target) judge.Local {
	return func(start, end time.Time) (gopprof.Window, bool) { return a.observe.OverOf(t, start, end) }
}

// makeJudge makes the judge, with what an earlier run remembered.
func (a *App) makeJudge(context.Context) error {
	saved := judge.Saved{}
	if !a.memory.recall(cooldownsFile, &saved) {
		saved = nil
	}
	a.judge = judge.New(a.config.Judge, saved, a.reg)
	a.memory.save = a.judge.Save
	return nil
}

// makeSources makes what starts captures: the loop and the requests.
func (a *App) makeSources(context.Context) error {
	if err := a.makeDiscover(); err != nil {
		return err
	}
	a.take = take.New(a.config.Take, take.Deps{
		Verify:  a.verify,
		Meter:   a.observe,
		Version: ops.Version(),
	}, a.log, a.reg)
	historian := &historian{local: a.observe, series: &a.witness.past, guard: a.guard, log: a.log}
	taking, publishing := historyTaker{newHandTaker(a.take, a.hand), historian}, historyPublisher{handPublisher{a.publish, a.hand}, historian}
	a.accept = accept.New(taking, a.targets, publishing, a.log, a.reg)
	a.pipeline = a.newPipeline(taking, publishing)
	return nil
}

// makeDiscover makes what finds targets: the file, and the pods if there are any.
func (a *App) makeDiscover() error {
	node := discover.Node{Cluster: a.config.Cluster, Name: a.config.Node}
	file, err := static.New(a.config.Static, node, a.log, a.reg)
	if err != nil {
		return err
	}
	a.health.Ready("targets", file.Ready)
	a.discover = file
	if !a.config.Kubernetes.Enabled {
		return nil
	}
	pods, err := kubernetes.New(a.config.Kubernetes, node, nil, a.log, a.reg)
	if err != nil {
		return err
	}
	a.health.Ready("pods", pods.Ready)
	a.discover = discover.Join(file, pods)
	return nil
}

// verify returns a target as it is now, before it is dialled. The list of pods may be old
// while the API server is away, and a pod's address be another pod's by now: the container
// itself must still be there. And it must be the one that is meant: what runs under the
// name by now, after a restart, has not done what that one did.
func (a *App) verify(t gopprof.Target) (gopprof.Target, gopprof.Reason) {
	now, reason := discover.Current(a.discover.Snapshot(), t)
	switch {
	case reason != "":
		return now, reason
	case t.ContainerID != "" && now.ContainerID != t.ContainerID, t.Cgroup.PID != now.Cgroup.PID:
		return now, gopprof.ReasonGone
	}
	instance, err := a.observe.Instance(context.Background(), now)
	switch {
	case errors.Is(err, observe.ErrGone):
		if now.ContainerID != "" || t.Cgroup.Instance != 0 {
			return now, gopprof.ReasonGone
		}
	case err != nil: // it exists
	case t.Cgroup.Instance != 0 && instance != t.Cgroup.Instance:
		return now, gopprof.ReasonGone
	}
	now.Cgroup.Instance = instance
	return now, ""
}

func (a *App) newPipeline(taking taker, publishing publisher) *pipeline {
	newID := func() string { return uuid.Must(uuid.NewV7()).String() }
	p := &pipeline{
		discover: a.discover,
		observe:  a.observe,
		windows:  localWindows{a.observe},
		judge:    a.judge,
		ask:      a.newAsking(newID),
		agree:    a.witness,
		take:     taking,
		publish:  publishing,
		hand:     a.hand,
		remember: a.memory.cooldowns, newID: newID, now: time.Now, version: ops.Version(), log: a.log,
		guard: a.guard, heldFor: a.config.Agreement.Wait + heldLonger,
		unheldMost: a.config.Take.MaxCaptureBytes,
	}
	if a.config.Judge.Policy == gopprof.PolicySeries {
		p.windows = nil
	}
	return p
}

func (a *App) newAsking(newID func() string) *asking {
	own := &asking{
		paused: a.accept.Paused, aggregator: a.bus, perHour: a.config.AggregatorAbsent.CapturesPerHour,
		newID: newID, remember: a.memory.ownBudget, log: a.log,
	}
	a.memory.recall(ownBudgetFile, &own.recent)
	return own
}

func (a *App) targets() ([]gopprof.Target, []gopprof.Refusal) {
	snapshot := a.discover.Snapshot()
	return snapshot.Targets, snapshot.Refused
}

// makeServer makes the status port.
func (a *App) makeServer(context.Context) (err error) {
	a.state = &state{
		cluster: a.config.Cluster, node: a.config.Node, version: ops.Version(),
		discover: a.discover, local: localWindows{a.observe}, gone: a.observe.Gone, judge: a.judge, witness: a.witness,
		window: shown(a.judge.Rules()), now: time.Now, paused: a.accept.Paused,
	}
	handler := ops.Handler(a.reg, a.health, map[string]http.Handler{"GET /status": a.state})
	if a.server, err = ops.NewServer(a.config.Status.Listen, handler); err != nil || a.config.Status.MetricsListen == "" {
		return err
	}
	a.metrics, err = ops.NewMetricsServer(a.config.Status.MetricsListen, a.reg)
	return err
}

// Run runs the agent until ctx ends. The sinks start first and the loop last, and all stop
// the other way round, so that what was begun is finished, spooled and, if NATS is there,
// sent.
func (a *App) Run(ctx context.Context) error {
	defer a.cancel()
	s := a.stages
	s.Go("status", a.server.Run)
	if a.metrics != nil {
		s.Go("metrics", a.metrics.Run)
	}
	s.Go("publish", a.publish.Run)
	s.Closer("sending", a.sendRest)
	if a.record != nil {
		s.Go("record", a.record.Run)
		s.Go("recording", a.recording)
	}
	s.Go("state", a.tellState)
	a.settle()
	s.Go("requests", func(ctx context.Context) error { return a.bus.Serve(ctx, a.accept) })
	s.Go("discover", a.discover.Run)
	s.Closer("captures", a.drain)
	s.Go("accept", func(ctx context.Context) error { return a.accept.Run(ctx, a.captures) })
	a.runSeries()
	s.Go("watch", a.watch)
	a.log.Info("agent started", zap.String("version", ops.Version()), zap.String("cluster", a.config.Cluster), zap.String("status", a.StatusAddr()))
	if err := s.Wait(ctx); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	a.log.Info("agent stopped")
	return nil
}

func (a *App) runSeries() {
	if a.witness.source == nil {
		return
	}
	if a.config.Judge.Policy == gopprof.PolicySeries {
		span := 2 * a.witness.resolution
		for _, rule := range a.judge.Rules() {
			span = max(span, rule.Window*time.Duration(rule.InARow+1)+2*a.witness.resolution)
		}
		beat := a.health.Loop("series", 3*a.witness.resolution+time.Minute)
		a.stages.Go("judge series", func(ctx context.Context) error {
			defer beat.End()
			return a.pipeline.judgeSeries(ctx, a.captures, a.witness, span, beat.Turn)
		})
		return
	}
	if a.config.Agreement.Audit > 0 && a.config.Judge.Policy == gopprof.PolicyConfirm {
		audit := newAudit(a.witness, a.judge.Rules(), a.reg, a.log)
		beat := a.health.Loop("audit", 3*a.witness.resolution+time.Minute)
		a.stages.Go("audit", func(ctx context.Context) error {
			defer beat.End()
			return every(ctx, a.config.Agreement.Audit, beat.Turn, func() {
				a.guard.do(guardedAudit, func() { audit.turn(ctx, a.config.Agreement.Audit, a.discover.Snapshot().Targets) }, nil)
			})
		})
	}
}

// watch is the agent's loop: a turn whenever a target is due.
func (a *App) watch(ctx context.Context) error {
	beat := a.health.Loop("watch", time.Minute)
	defer beat.End()
	for {
		a.guard.do(guardedTurn, func() {
			a.pipeline.turn(ctx, a.captures, time.Now())
			beat.Turn() // an agent whose every turn panics is to be restarted
		}, nil)
		wait := min(max(time.Until(a.observe.Next(time.Now())), 50*time.Millisecond), 5*time.Second)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// sendRest sends what is spooled, while NATS is there and for a few seconds. What is left
// stays in the spool for the next start.
func (a *App) sendRest(ctx context.Context) error {
	if a.bus.Connected() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	a.publish.Drain(ctx)
	if n, _ := a.publish.Pending(); n > 0 {
		a.log.Warn("captures left in the spool", zap.Int("captures", n))
	}
	return nil
}

// drain lets running captures end, and cancels them when their time is over.
func (a *App) drain(ctx context.Context) error {
	within, done := context.WithTimeout(ctx, a.config.ShutdownTimeout)
	defer done()
	if a.drained(within) == nil {
		return nil
	}
	a.cancel()
	return a.drained(ctx)
}

func (a *App) drained(ctx context.Context) error {
	return errors.Join(a.pipeline.drain(ctx), a.accept.Drain(ctx))
}

// tellState tells the aggregator what the agent sees. A telling that fails is not
// repeated: the next one comes soon.
func (a *App) tellState(ctx context.Context) error {
	beat := a.health.Loop("state", time.Minute)
	defer beat.End()
	return every(ctx, a.config.StateInterval, beat.Turn, func() {
		a.guard.do(guardedState, func() {
			a.told.note(a.bus.PublishState(ctx, a.state.Now()))
		}, nil)
	})
}
