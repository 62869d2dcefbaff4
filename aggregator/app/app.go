// Package app is the aggregator: its configuration, and the wiring of its stages into one
// pipeline.
//
// A configuration file enters; captures enter by way of NATS, reports leave the same way,
// into the store and to their owners. The stages know nothing of each other: what one
// needs of another is handed in here. Nothing may be acknowledged here before its report
// is committed.
package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/announce"
	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/aggregator/dispatch/alerts"
	"github.com/gopprof/gopprof/aggregator/dispatch/operations"
	"github.com/gopprof/gopprof/aggregator/dispatch/resolve"
	"github.com/gopprof/gopprof/aggregator/dispatch/siblings"
	"github.com/gopprof/gopprof/aggregator/draw"
	"github.com/gopprof/gopprof/aggregator/draw/views"
	"github.com/gopprof/gopprof/aggregator/explain/picture"
	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/receive"
	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/aggregator/serve/auth/kubernetes"
	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/pkg/ops"
	"github.com/gopprof/gopprof/pkg/profile"
)

// startTimeout bounds the waiting for NATS and the store at start.
const startTimeout = 2 * time.Minute

// App is one aggregator.
type App struct {
	config Config
	log    *zap.Logger
	reg    *prometheus.Registry
	health *ops.Health
	stages *ops.Stages
	gate   *profile.Gate // of all who read profiles in this process

	tokens   *kubernetes.Verifier  // nil: not for Kubernetes
	owners   *resolve.Resolver     // nil: not for Kubernetes
	users    users                 // whom the cluster's API server vouches for
	publish  *kubernetes.Publisher // nil: nothing to publish
	nats     *embedded.Server      // nil: external
	bus      *bus.Aggregator
	store    *store.Store
	draw     *draw.Drawer
	views    *views.Views // nil: not offered
	notify   *notify.Notifier
	dispatch *dispatch.Dispatcher
	manual   *operations.Keeper
	siblings *siblings.Keeper
	serve    *serve.Server
	status   *ops.Server
	metrics  *ops.Server // nil: none
	addr     string      // of the API
	receive  *receive.Receiver
}

// Workers are the command lines of child processes.
type Workers struct {
	Draw []string // runs draw.Worker
	View []string // runs views.Worker
}

// New makes an aggregator: NATS runs, the store is open, the ports are taken.
func New(ctx context.Context, config Config, workers Workers, log *zap.Logger) (*App, error) {
	a := &App{
		config: config, log: log, reg: ops.NewRegistry(),
		health: ops.NewHealth(time.Now), stages: ops.NewStages(log, config.ShutdownTimeout), gate: profile.NewGate(),
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, make := range []func(context.Context) error{
		a.makeKubernetes, a.makeBus, a.makeStore, func(context.Context) error { return a.makeDrawer(workers) },
		a.makeNotify, a.makeDispatch, a.makeServers, a.makeReceive,
	} {
		if err := make(starting); err != nil {
			return nil, errors.Join(err, a.stages.Stop())
		}
	}
	return a, nil
}

// StatusAddr is where the status port listens, APIAddr where the API and the pages do,
// NATSURL where agents connect to the embedded server ("" when it is not used).
func (a *App) StatusAddr() string { return a.status.Addr() }

// APIAddr is where the API and the pages listen.
func (a *App) APIAddr() string { return a.addr }

// NATSURL is where agents connect to the embedded server; empty when NATS is external.
func (a *App) NATSURL() string {
	if a.nats == nil {
		return ""
	}
	return a.nats.URL()
}

func (a *App) makeBus(ctx context.Context) (err error) {
	var server bus.InProcess
	if a.config.NATS.URL == "" {
		if a.nats, err = embedded.Start(a.config.Embedded, a.verifier(), a.log); err != nil {
			return err
		}
		a.stages.Closer("embedded nats", func(context.Context) error { a.nats.Shutdown(); return nil })
		a.health.Ready("embedded nats", a.nats.Ready)
		server = a.nats
	}
	if a.bus, err = bus.ConnectAggregator(ctx, a.config.NATS, server, a.log, a.reg); err != nil {
		return err
	}
	a.stages.Closer("nats", a.bus.Close)
	a.health.Ready("nats", a.bus.Connected)
	if err := a.bus.EnsureStreams(ctx, a.config.Streams); err != nil {
		return err
	}
	return a.bus.EnsureReaders(ctx, readers(a.config.Embedded.Consumers))
}

func readers(consumers []embedded.ConsumerUser) []bus.Reader {
	out := make([]bus.Reader, 0, len(consumers))
	for _, c := range consumers {
		out = append(out, bus.Reader{Name: c.Name, Namespaces: c.Namespaces})
	}
	return out
}

func (a *App) makeStore(ctx context.Context) (err error) {
	if a.store, err = store.Open(ctx, a.config.Store, a.log, a.reg); err != nil {
		return err
	}
	a.stages.Closer("store", func(context.Context) error { return a.store.Close() })
	a.health.Ready("store", a.store.Ready)
	return nil
}

// makeDrawer makes the drawer and the views. Without dot reports go out without graphs, and
// say so.
func (a *App) makeDrawer(workers Workers) (err error) {
	if a.config.Views.MaxOpen > 0 {
		if a.views, err = views.New(a.config.Views, workers.View, a.log, a.reg); err != nil {
			return err
		}
		a.stages.Closer("views", func(context.Context) error { a.views.Close(); return nil })
	}
	if a.draw, err = draw.New(a.config.Draw, workers.Draw, a.log, a.reg); err != nil {
		return err
	}
	a.stages.Closer("draw", func(context.Context) error { a.draw.Close(); return nil })
	if err := a.draw.Available(); err != nil {
		a.log.Warn("call graphs cannot be drawn; reports go out without them", zap.Error(err))
	}
	return nil
}

func (a *App) makeDispatch(ctx context.Context) error {
	var budget, incidents, records, keys, control *bus.Bucket
	for name, bucket := range map[string]**bus.Bucket{
		bus.BucketBudget: &budget, bus.BucketIncidents: &incidents,
		bus.BucketOperations: &records, bus.BucketKeys: &keys, bus.BucketControl: &control,
	} {
		var err error
		if *bucket, err = a.bus.Bucket(ctx, name); err != nil {
			return err
		}
	}
	paused := func() bool { return a.manual.Paused() }
	a.dispatch = dispatch.New(a.config.Dispatch, dispatch.Deps{Budget: budget, Paused: paused}, a.log, a.reg)
	a.manual = operations.New(a.config.Operations, operations.Deps{
		Records: records, Keys: keys, Control: control, Room: a.config.Streams.BucketBytes, Agents: a.bus, Nodes: a.dispatch, Selector: resolve.Selector, Alone: a.nats != nil,
	}, a.log, a.reg)
	a.siblings = siblings.New(a.config.Dispatch.Siblings, siblings.Deps{
		Incidents: incidents, Agents: a.bus, Nodes: a.dispatch, Budget: a.dispatch, Reports: a.store, Paused: paused,
	}, a.log, a.reg)
	return a.manual.Load(ctx)
}

func (a *App) makeServers(context.Context) (err error) {
	deps := serve.Deps{
		Reports: reports{a.store}, Captures: byHand{a.manual, a.dispatch}, Groups: newGroups(reports{a.store}, a.gate), Telling: telling{a.notify},
		Alerts: alerts.New(a.config.Alerts), AlertSecret: a.config.Alerts.SecretFile, AlertNamespaces: a.config.Alerts.Namespaces,
		Views: a.pages(), Tokens: a.users.tokens(), APIServer: a.users.apiServer(),
	}
	if a.serve, err = serve.New(a.config.Serve, deps, a.log, a.reg); err != nil {
		return err
	}
	if err := a.watchCertificates(); err != nil {
		return err
	}
	if a.addr, err = a.serve.Listen(); err != nil {
		return err
	}
	if a.status, err = ops.NewServer(a.config.Status.Listen, ops.Handler(a.reg, a.health, newLetterBox(a.bus, a.store, a.reg).handlers())); err != nil || a.config.Status.MetricsListen == "" {
		return err
	}
	a.metrics, err = ops.NewMetricsServer(a.config.Status.MetricsListen, a.reg)
	return err
}

// atEnd is what the end of a capture may take beside its handling: the talks with NATS.
const atEnd = time.Minute

func (a *App) makeReceive(context.Context) error {
	a.bus.Watch(a.health.Loop("receive", a.config.Receive.HandleTimeout+atEnd).Turn)
	p := &pipeline{
		store:    a.store,
		compare:  comparing{a.siblings, a.store, a.log},
		explain:  explaining(a.gate),
		picture:  picture.Draw,
		draw:     a.draw,
		announce: announce.New(a.bus, a.log, a.reg),
		dispatch: ends{a.dispatch, a.manual, a.siblings},
		page:     func(id string) string { return a.config.Serve.Page(a.addr, id) },
		now:      time.Now,
	}
	if a.owners != nil {
		p.owners = a.owners
	}
	a.receive = receive.New(a.config.Receive, p, a.log, a.reg)
	return nil
}

// Run runs the aggregator until ctx ends. The sinks start first and the source of captures
// last, and all stop the other way round.
func (a *App) Run(ctx context.Context) error {
	s := a.stages
	s.Go("status", a.status.Run)
	if a.metrics != nil {
		s.Go("metrics", a.metrics.Run)
	}
	if a.nats != nil {
		s.Go("embedded nats users", a.nats.Run)
		s.Go("embedded nats writes", a.nats.Stuck)
	}
	s.Go("streams", a.bus.Lost)
	s.Go("orphans", a.bus.Orphans)
	a.runKubernetes()
	s.Go("store", a.store.Run)
	if a.views != nil {
		s.Go("views", a.views.Run)
	}
	s.Go("api", a.serve.Run)
	s.Go("notify groups", a.notify.Run)
	s.Go("notify", func(ctx context.Context) error { return a.bus.Reports(ctx, "notify", a.notify.Handle) })
	s.Go("siblings", a.siblings.Run)
	s.Go("answer", func(ctx context.Context) error { return a.bus.Answer(ctx, decisions{a.dispatch, a.siblings}.Decide) })
	s.Go("operations", a.manual.Run)
	s.Go("states", func(ctx context.Context) error { return a.bus.States(ctx, a.dispatch.Observe) })
	s.Go("receive", func(ctx context.Context) error { return a.receive.Run(ctx, receive.FromBus(a.bus)) })
	a.log.Info("aggregator started", zap.String("version", ops.Version()), zap.String("api", a.APIAddr()),
		zap.String("nats", a.NATSURL()), zap.String("status", a.StatusAddr()))
	if err := s.Wait(ctx); err != nil {
		return fmt.Errorf("aggregator: %w", err)
	}
	a.log.Info("aggregator stopped")
	return nil
}
