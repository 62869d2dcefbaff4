package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/announce"
	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/aggregator/dispatch/operations"
	"github.com/gopprof/gopprof/aggregator/dispatch/siblings"
	"github.com/gopprof/gopprof/aggregator/explain"
	"github.com/gopprof/gopprof/aggregator/explain/picture"
	"github.com/gopprof/gopprof/aggregator/receive"
	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// process is the part of an aggregator that contract 3 is about, over a real bus and a
// real store, and can be killed before any of its steps: nothing that comes after, on any
// of its goroutines, has an effect.
type process struct {
	t    *testing.T
	cut  string        // before this step it is killed; "" is never
	gone chan struct{} // closed when it was killed
	end  context.CancelFunc

	mu    sync.Mutex
	steps []string // those it took, without questions
}

var errKilled = errors.New("the process was killed")

// step is taken before each effect.
func (p *process) step(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead() {
		return errKilled
	}
	if name == p.cut {
		p.dieLocked()
		return errKilled
	}
	p.steps = append(p.steps, name)
	return nil
}

func (p *process) dead() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

// die kills it now.
func (p *process) die() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dieLocked()
}

func (p *process) dieLocked() {
	if !p.dead() {
		close(p.gone)
		p.end()
	}
}

func (p *process) taken() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.steps)
}

// ofIts are the steps that it took for the capture itself.
func (p *process) ofIts() []string {
	return slices.DeleteFunc(p.taken(), func(step string) bool { return step == stepPlace || step == stepAsk })
}

// world is what outlives processes.
type world struct {
	t    *testing.T
	bus  *bus.Aggregator // of the test's own
	open func() (*bus.Aggregator, storer)
	draw func(p *process, data []byte) ([]byte, error)
	tune func(*receive.Config) // may be nil
	// siblings says how many are asked, and how long hot captures wait for them.
	siblings dispatch.Siblings
	nodes    dispatch.Nodes // of which they know; nil: none
	// explained is told what is explained; may be nil.
	explained func(c gopprof.Capture, around explain.Around)
	log       *zap.Logger // of receive; nil: none
}

// start starts a process that is killed before a step. wait returns when it has ended,
// killed or, after stop, by itself.
func (w *world) start(cut string) (p *process, stop func(), wait func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	p = &process{t: w.t, cut: cut, gone: make(chan struct{}), end: cancel}
	link, stored := w.open()
	all := w.ends(link, stored, p)
	line := &pipeline{
		store: mortalStore{stored, p}, draw: mortalDrawer{w, p}, dispatch: all,
		announce: announce.New(mortalPublisher{link, p}, zap.NewNop(), prometheus.NewRegistry()),
		explain: func(c gopprof.Capture, around explain.Around) (gopprof.Explanation, reduced) {
			if w.explained != nil {
				w.explained(c, around)
			}
			return gopprof.Explanation{Summary: "burns"}, nil
		},
		picture: picture.Draw,
		page:    func(id string) string { return "http://gopprof/" + id }, now: time.Now,
	}
	if a, ok := stored.(archive); ok {
		line.compare = comparing{all.siblings, a, zap.NewNop()}
	}
	cfg := receive.DefaultConfig()
	cfg.RetryDelay, cfg.RetryMaxDelay, cfg.DrainTimeout = 20*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	cfg.InProgressInterval = 50 * time.Millisecond
	if w.tune != nil {
		w.tune(&cfg)
	}
	ended := make(chan error, 1)
	log := w.log
	if log == nil {
		log = zap.NewNop()
	}
	r := receive.New(cfg, line, log, prometheus.NewRegistry())
	go func() { ended <- r.Run(ctx, mortalSource{receive.FromBus(link), p}) }()
	wait = sync.OnceFunc(func() {
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(func() { cancel(); wait() })
	return p, cancel, wait
}

// ends shares its records with those of all other processes. p nil is immortal.
func (w *world) ends(link *bus.Aggregator, stored storer, p *process) ends {
	w.t.Helper()
	records := func(bucket, step string) operations.KV {
		b, err := link.Bucket(w.t.Context(), bucket)
		if err != nil {
			w.t.Fatal(err)
		}
		if p == nil {
			return b
		}
		return mortalKV{b, p, step}
	}
	cfg := dispatch.DefaultConfig()
	cfg.Budget = dispatch.Budget{PerWorkloadAtOnce: 100, PerWorkloadPerHour: 100, TotalAtOnce: 100, TotalPerHour: 100}
	budget := func(step string) *dispatch.Dispatcher {
		return dispatch.New(cfg, dispatch.Deps{Budget: records(bus.BucketBudget, step)}, zap.NewNop(), prometheus.NewRegistry())
	}
	d := budget("write budget")
	manual := operations.New(operations.DefaultConfig(), operations.Deps{
		Records: records(bus.BucketOperations, "write operation"), Keys: records(bus.BucketKeys, "write key"), Control: records(bus.BucketControl, "write control"), Nodes: d,
	}, zap.NewNop(), prometheus.NewRegistry())
	deps := siblings.Deps{Incidents: records(bus.BucketIncidents, "write incident"), Agents: mortalAgents{link, p}, Nodes: d, Budget: budget(stepPlace), Reports: stored}
	if w.nodes != nil {
		deps.Nodes = w.nodes
	}
	return ends{d, manual, siblings.New(w.siblings, deps, zap.NewNop(), prometheus.NewRegistry())}
}

// What is done for another capture, beside the steps of this one.
const stepPlace, stepAsk = "write place", "ask agent"

type mortalAgents struct {
	siblings.Agents
	p *process // nil: immortal
}

func (m mortalAgents) RequestCapture(ctx context.Context, cluster, node string, r gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
	do := func() (gopprof.CaptureReply, error) { return m.Agents.RequestCapture(ctx, cluster, node, r) }
	if m.p == nil {
		return do()
	}
	return takeTwo(m.p, stepAsk, do)
}

type mortalSource struct {
	receive.Source
	p *process
}

func (s mortalSource) Captures(ctx context.Context, workers int, handle func(context.Context, receive.Delivery)) error {
	return s.Source.Captures(ctx, workers, func(ctx context.Context, d receive.Delivery) { handle(ctx, mortalDelivery{d, s.p}) })
}

type mortalDelivery struct {
	receive.Delivery
	p *process
}

func (d mortalDelivery) Started(ctx context.Context) (int, error) {
	return takeTwo(d.p, "count start", func() (int, error) { return d.Delivery.Started(ctx) })
}

func (d mortalDelivery) Fetch(ctx context.Context) (gopprof.Capture, error) {
	return takeTwo(d.p, "fetch bytes", func() (gopprof.Capture, error) { return d.Delivery.Fetch(ctx) })
}

func (d mortalDelivery) RemoveBytes(ctx context.Context) error {
	return take(d.p, "remove bytes", func() error { return d.Delivery.RemoveBytes(ctx) })
}

func (d mortalDelivery) Finished(ctx context.Context) error {
	return take(d.p, "forget starts", func() error { return d.Delivery.Finished(ctx) })
}

func (d mortalDelivery) Ack(ctx context.Context) error {
	return take(d.p, "acknowledge", func() error { return d.Delivery.Ack(ctx) })
}

func (d mortalDelivery) Nak(delay time.Duration) error {
	return take(d.p, "give back", func() error { return d.Delivery.Nak(delay) })
}

func (d mortalDelivery) InProgress() error {
	if d.p.dead() {
		return errKilled
	}
	return d.Delivery.InProgress()
}

func (d mortalDelivery) DeadLetter(ctx context.Context, reason gopprof.Reason, detail string) error {
	if err := d.p.step("dead letter " + string(reason)); err != nil {
		return err
	}
	if d.p.cut == stepTerminate {
		if err := d.Delivery.(lettered).Letter(ctx, reason, detail); err != nil {
			return err
		}
		return d.p.step(stepTerminate)
	}
	return take(d.p, stepTerminate, func() error { return d.Delivery.DeadLetter(ctx, reason, detail) })
}

// stepTerminate is the second half of a dead letter: it is stored by then.
const stepTerminate = "terminate"

// lettered is a delivery of the bus, which stores the letter alone, too.
type lettered interface {
	Letter(ctx context.Context, reason gopprof.Reason, detail string) error
}

type mortalStore struct {
	storer
	p *process
}

func (s mortalStore) Committed(ctx context.Context, c gopprof.Capture) (gopprof.Report, bool, error) {
	if err := s.p.step("look for report"); err != nil {
		return gopprof.Report{}, false, err
	}
	return s.storer.Committed(ctx, c)
}

func (s mortalStore) PutProfile(ctx context.Context, c gopprof.Capture, p gopprof.Profile) (string, error) {
	return takeTwo(s.p, "put profile "+string(p.Kind), func() (string, error) { return s.storer.PutProfile(ctx, c, p) })
}

func (s mortalStore) PutDrawing(ctx context.Context, c gopprof.Capture, k gopprof.Kind, svg []byte) (string, error) {
	return takeTwo(s.p, "put drawing "+string(k), func() (string, error) { return s.storer.PutDrawing(ctx, c, k, svg) })
}

func (s mortalStore) PutPicture(ctx context.Context, c gopprof.Capture, svg []byte) (string, error) {
	return takeTwo(s.p, "put picture", func() (string, error) { return s.storer.PutPicture(ctx, c, svg) })
}

func (s mortalStore) Commit(ctx context.Context, r gopprof.Report) error {
	return take(s.p, "commit", func() error { return s.storer.Commit(ctx, r) })
}

type mortalPublisher struct {
	to announce.Publisher
	p  *process
}

func (m mortalPublisher) PublishReport(ctx context.Context, r gopprof.Report) error {
	return take(m.p, "announce", func() error { return m.to.PublishReport(ctx, r) })
}

type mortalKV struct {
	operations.KV
	p    *process
	name string
}

func (m mortalKV) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return takeTwo(m.p, m.name, func() (uint64, error) { return m.KV.Create(ctx, key, value) })
}

func (m mortalKV) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	return takeTwo(m.p, m.name, func() (uint64, error) { return m.KV.Update(ctx, key, value, revision) })
}

type mortalDrawer struct {
	w *world
	p *process
}

func (d mortalDrawer) Draw(_ context.Context, _ gopprof.Kind, data []byte) ([]byte, error) {
	if d.w.draw == nil {
		return []byte("<svg>" + string(data[:1]) + "</svg>"), nil
	}
	return d.w.draw(d.p, data)
}

func take(p *process, name string, do func() error) error {
	if err := p.step(name); err != nil {
		return err
	}
	return do()
}

func takeTwo[T any](p *process, name string, do func() (T, error)) (T, error) {
	if err := p.step(name); err != nil {
		var zero T
		return zero, err
	}
	return do()
}

var _ storer = (*store.Store)(nil)
