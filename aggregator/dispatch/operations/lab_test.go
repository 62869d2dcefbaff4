package operations

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/buckettest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// lab is agents that do what real ones do, or what they should not, and the aggregators
// that ask them.
type lab struct {
	t    *testing.T
	kv   *buckettest.KV
	cfg  Config
	room int64
	most int              // bytes of a record; 0: no bound
	now  func() time.Time // nil: the bubble's

	mu      sync.Mutex // guards what follows
	nodes   []gopprof.NodeState
	agents  map[string]*agent // by node
	at      gauge             // captures that run, by what they are of
	peak    gauge
	keeper  *Keeper // who is told of captures that end
	asked   []gopprof.CaptureRequest
	stopped []string
}

type gauge map[string]int

// agent is how a node's agent behaves.
type agent struct {
	dead, silent bool
	refuse       gopprof.Reason // of captures
	deaf         bool           // does not stop what it is told to stop
	lose         bool           // what it takes never arrives
	paused       bool
	slow         bool    // to pause: a second passes before it has
	late         bool    // its word on a capture that it began comes a second later
	lies         float64 // seconds that it says are left, whatever is
	running      map[string]context.CancelFunc
	until        map[string]time.Time
	done         map[string]gopprof.CaptureReply
}

func newLab(t *testing.T) *lab {
	return &lab{t: t, kv: buckettest.NewKV(), cfg: DefaultConfig(), agents: map[string]*agent{}, at: gauge{}, peak: gauge{}}
}

// pods adds pods of a workload, spread over nodes.
func (l *lab) pods(workload string, n int, nodes ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range n {
		l.add(nodes[i%len(nodes)], target(nodes[i%len(nodes)], fmt.Sprintf("%s-%d", workload, i), workload))
	}
}

// add lists a target on a node; l.mu is held.
func (l *lab) add(node string, t gopprof.Target) {
	i := slices.IndexFunc(l.nodes, func(n gopprof.NodeState) bool { return n.Node == node })
	if i < 0 {
		i = len(l.nodes)
		l.nodes = append(l.nodes, gopprof.NodeState{Cluster: "c", Node: node, At: time.Now()})
		l.agents[node] = &agent{running: map[string]context.CancelFunc{}, until: map[string]time.Time{}, done: map[string]gopprof.CaptureReply{}}
	}
	l.nodes[i].Targets = append(l.nodes[i].Targets, gopprof.TargetState{Target: t, Labels: map[string]string{"app": t.Workload.Name}})
}

func target(node, pod, workload string) gopprof.Target {
	return gopprof.Target{Cluster: "c", Node: node, Namespace: "shop", Pod: pod, PodUID: "uid-" + pod, Container: "main",
		Workload: gopprof.Workload{Kind: "Deployment", Name: workload}}
}

// Nodes implements Nodes.
func (l *lab) Nodes() []gopprof.NodeState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.nodes)
}

// StaleAfter implements Nodes.
func (l *lab) StaleAfter() time.Duration { return 24 * time.Hour }

// change changes an agent's behaviour.
func (l *lab) change(node string, f func(*agent)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.agents[node])
}

// start runs an aggregator until stop is called, or the test ends.
func (l *lab) start() (k *Keeper, stop func()) {
	k = New(l.cfg, Deps{Records: narrow{l.kv, l.most}, Keys: l.kv, Control: l.kv, Room: l.room, Agents: l, Nodes: l, Selector: selector, Now: l.now}, zap.NewNop(), prometheus.NewRegistry())
	l.mu.Lock()
	l.keeper = k
	l.mu.Unlock()
	ctx, cancel := context.WithCancel(l.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := k.Run(ctx); err != nil {
			l.t.Error(err)
		}
	}()
	synctest.Wait()
	return k, sync.OnceFunc(func() { cancel(); <-done })
}

// narrow is a bucket that takes no larger values, as NATS does.
type narrow struct {
	*buckettest.KV
	most int // 0: no bound
}

func (n narrow) Create(ctx context.Context, key string, b []byte) (uint64, error) {
	if n.most > 0 && len(b) > n.most {
		return 0, fmt.Errorf("creating: %w", bus.ErrTooLarge)
	}
	return n.KV.Create(ctx, key, b)
}

func (n narrow) Update(ctx context.Context, key string, b []byte, revision uint64) (uint64, error) {
	if n.most > 0 && len(b) > n.most {
		return 0, fmt.Errorf("updating: %w", bus.ErrTooLarge)
	}
	return n.KV.Update(ctx, key, b, revision)
}

// selector knows "app=NAME" only.
func selector(s string) (func(map[string]string) bool, error) {
	app, ok := strings.CutPrefix(s, "app=")
	if !ok {
		return nil, fmt.Errorf("%q is no selector", s)
	}
	return func(labels map[string]string) bool { return labels["app"] == app }, nil
}

// reach returns a node's agent as a request over the bus finds it; l.mu is held afterwards
// when there is no error.
func (l *lab) reach(ctx context.Context, node string) (*agent, error) {
	l.mu.Lock()
	a := l.agents[node]
	switch {
	case a == nil || a.dead:
		l.mu.Unlock()
		return nil, fmt.Errorf("asking: %w", bus.ErrNoAgent)
	case a.silent:
		l.mu.Unlock()
		<-ctx.Done()
		return nil, fmt.Errorf("asking: %w: %w", bus.ErrAway, ctx.Err())
	}
	return a, nil
}

// RequestCapture implements Agents.
func (l *lab) RequestCapture(ctx context.Context, _, node string, r gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
	a, err := l.reach(ctx, node)
	if err != nil {
		return gopprof.CaptureReply{}, err
	}
	defer l.mu.Unlock()
	l.asked = append(l.asked, r)
	if reply, ok := a.done[r.Capture]; ok {
		return reply, nil
	}
	if a.running[r.Capture] != nil {
		return gopprof.CaptureReply{Accepted: true}, nil
	}
	switch {
	case a.paused:
		return gopprof.CaptureReply{Reason: gopprof.ReasonPaused}, nil
	case a.refuse != "":
		return gopprof.CaptureReply{Reason: a.refuse, Detail: "as told"}, nil
	}
	timed := context.Background()
	timed, a.running[r.Capture] = context.WithCancel(timed)
	a.until[r.Capture] = time.Now().Add(time.Duration(r.CPUSeconds * float64(time.Second)))
	go l.take(timed, node, a, r)
	if a.late {
		l.mu.Unlock()
		defer l.mu.Lock()
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return gopprof.CaptureReply{}, fmt.Errorf("asking: %w", ctx.Err())
		}
	}
	return gopprof.CaptureReply{Accepted: true}, nil
}

// take is a capture on a node.
func (l *lab) take(ctx context.Context, node string, a *agent, r gopprof.CaptureRequest) {
	of := l.of(node, r)
	l.count(of, 1)
	reply := gopprof.CaptureReply{Accepted: true, Done: true}
	select {
	case <-time.After(time.Duration(r.CPUSeconds * float64(time.Second))):
	case <-ctx.Done():
		reply = gopprof.CaptureReply{Reason: gopprof.ReasonCancelled}
	}
	l.count(of, -1)
	l.mu.Lock()
	delete(a.running, r.Capture)
	a.done[r.Capture] = reply
	k, lost := l.keeper, a.lose || a.dead
	l.mu.Unlock()
	if lost {
		return
	}
	c := captureOf(node, r)
	var err error
	for range 100 { // the bus hands out again what could not be closed
		if reply.Accepted {
			err = k.Stored(context.Background(), gopprof.Report{ID: r.Capture, Capture: c})
		} else {
			c.Failures = []gopprof.Failure{{Kind: gopprof.KindCPU, Reason: reply.Reason}}
			err = k.Failed(context.Background(), c)
		}
		if err == nil {
			return
		}
		time.Sleep(time.Second)
	}
	l.t.Errorf("capture never closed: %v", err)
}

func captureOf(node string, r gopprof.CaptureRequest) gopprof.Capture {
	return gopprof.Capture{ID: r.Capture, Incident: r.Incident, Target: gopprof.Target{Cluster: "c", Node: node, Namespace: r.Namespace, Pod: r.Pod},
		Trigger: gopprof.Trigger{Kind: r.Kind, Request: &r.Request}}
}

// of lists what a capture counts for.
func (l *lab) of(node string, r gopprof.CaptureRequest) []string {
	workload := r.Pod[:strings.LastIndex(r.Pod, "-")]
	return []string{"all", "node " + node, "workload " + workload, "operation " + r.Request.Operation, "pod " + r.Pod}
}

func (l *lab) count(of []string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, what := range of {
		l.at[what] += n
		l.peak[what] = max(l.peak[what], l.at[what])
	}
}

// RequestCancel implements Agents.
func (l *lab) RequestCancel(ctx context.Context, _, node string, r gopprof.CancelRequest) (gopprof.CaptureReply, error) {
	a, err := l.reach(ctx, node)
	if err != nil {
		return gopprof.CaptureReply{}, err
	}
	defer l.mu.Unlock()
	l.stopped = append(l.stopped, r.Capture)
	if a.deaf || a.running[r.Capture] == nil {
		return gopprof.CaptureReply{Reason: gopprof.ReasonUnknown}, nil
	}
	a.running[r.Capture]()
	return gopprof.CaptureReply{Accepted: true}, nil
}

// RequestStatus implements Agents.
func (l *lab) RequestStatus(ctx context.Context, _, node string, r gopprof.StatusRequest) (gopprof.CaptureReply, error) {
	a, err := l.reach(ctx, node)
	if err != nil {
		return gopprof.CaptureReply{}, err
	}
	defer l.mu.Unlock()
	if a.lies > 0 {
		return gopprof.CaptureReply{Accepted: true, SecondsLeft: a.lies}, nil
	}
	if a.running[r.Capture] != nil {
		return gopprof.CaptureReply{Accepted: true, SecondsLeft: max(0, time.Until(a.until[r.Capture]).Seconds())}, nil
	}
	if reply, ok := a.done[r.Capture]; ok {
		return reply, nil
	}
	return gopprof.CaptureReply{Reason: gopprof.ReasonUnknown}, nil
}

// RequestPause implements Agents.
func (l *lab) RequestPause(ctx context.Context, _, node string, r gopprof.PauseRequest) (gopprof.CaptureReply, error) {
	a, err := l.reach(ctx, node)
	if err != nil {
		return gopprof.CaptureReply{}, err
	}
	defer l.mu.Unlock()
	if a.slow && r.Paused {
		l.mu.Unlock()
		time.Sleep(time.Second)
		l.mu.Lock()
	}
	a.paused = r.Paused
	for _, cancel := range a.running {
		if r.Paused {
			cancel()
		}
	}
	return gopprof.CaptureReply{Accepted: true}, nil
}

// close ends what still runs, unheard.
func (l *lab) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.agents {
		a.lose = true
		for _, cancel := range a.running {
			cancel()
		}
	}
}

// wait returns an operation when it has ended, and fails the test when it does not within
// an hour of the bubble's clock.
func wait(t *testing.T, k *Keeper, id string) gopprof.Operation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	var last gopprof.Operation
	if err := k.Follow(ctx, id, func(op gopprof.Operation) bool { last = op; return true }); err != nil {
		t.Fatal(err)
	}
	if !last.Ended() {
		t.Fatalf("not ended: %+v", last)
	}
	return last
}

func ask(t *testing.T, k *Keeper, m gopprof.Manual) gopprof.Operation {
	t.Helper()
	m.Who, m.Namespace = "ada", "shop"
	op, err := k.Capture(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func deployment(name string) gopprof.Workload {
	return gopprof.Workload{Kind: "Deployment", Name: name}
}

// states counts the captures of an operation by state, or by the reason of their failure.
func states(op gopprof.Operation) map[string]int {
	n := map[string]int{}
	for _, oc := range op.Captures {
		if oc.State == gopprof.CaptureFailed {
			n[string(oc.Reason)]++
		} else {
			n[string(oc.State)]++
		}
	}
	return n
}

// bubble runs a test with a lab within a clock of its own.
func bubble(t *testing.T, f func(t *testing.T, l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		f(t, l)
		l.close()
	})
}

func nop() *zap.Logger { return zap.NewNop() }

func registry() *prometheus.Registry { return prometheus.NewRegistry() }
