package operations_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/aggregator/dispatch/operations"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// node is an agent's side: what it was asked.
type node struct {
	asked  chan gopprof.CaptureRequest
	paused chan bool
}

func (n node) Capture(_ context.Context, r gopprof.CaptureRequest) gopprof.CaptureReply {
	n.asked <- r
	return gopprof.CaptureReply{Accepted: true}
}

func (n node) Cancel(context.Context, gopprof.CancelRequest) gopprof.CaptureReply {
	return gopprof.CaptureReply{Accepted: true}
}

func (n node) Status(context.Context, gopprof.StatusRequest) gopprof.CaptureReply {
	return gopprof.CaptureReply{Accepted: true, SecondsLeft: 20}
}

func (n node) Pause(_ context.Context, r gopprof.PauseRequest) gopprof.CaptureReply {
	n.paused <- r.Paused
	return gopprof.CaptureReply{Accepted: true}
}

const where = "one.example"

// Nodes is what the node told.
func (n node) Nodes() []gopprof.NodeState {
	return []gopprof.NodeState{{Cluster: bustest.Cluster, Node: where, At: time.Now(), Targets: []gopprof.TargetState{{Target: target()}}}}
}

func (n node) StaleAfter() time.Duration { return time.Hour }

func target() gopprof.Target {
	return gopprof.Target{Cluster: bustest.Cluster, Node: where, Namespace: "shop", Pod: "web-1", Container: "main",
		Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}}
}

// run runs a Keeper on the real bus until stop is called.
func run(t *testing.T, cfg operations.Config, a *bus.Aggregator, n dispatch.Nodes, room int64) (k *operations.Keeper, stop func()) {
	t.Helper()
	bucket := func(name string) *bus.Bucket {
		b, err := a.Bucket(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	k = operations.New(cfg, operations.Deps{
		Records: bucket(bus.BucketOperations), Keys: bucket(bus.BucketKeys), Control: bucket(bus.BucketControl), Agents: a, Nodes: n, Alone: true, Room: room,
	}, zap.NewNop(), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	return k, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Asked over NATS, kept in JetStream, and gone on with after a restart of both.
func TestOverTheBus(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{where}})
	n := node{asked: make(chan gopprof.CaptureRequest, 8), paused: make(chan bool, 8)}
	k, stop := run(t, operations.DefaultConfig(), b.Aggregator(), n, 0)
	agent := b.Agent(where)
	go func() { _ = agent.Serve(t.Context(), n) }()
	manual := gopprof.Manual{Who: "ada", Namespace: "shop", Pod: "web-1"}
	var op gopprof.Operation
	poll.Until(t, "the agent accepts", func() bool { // it may not serve yet
		asked, err := k.Capture(t.Context(), manual)
		if err != nil {
			return false
		}
		if err := k.Follow(t.Context(), asked.ID, func(now gopprof.Operation) bool {
			op = now
			return now.Captures[0].State == gopprof.CaptureWaiting
		}); err != nil {
			return false
		}
		return op.Captures[0].State == gopprof.CaptureProfiling
	})
	if r := <-n.asked; r.Capture != op.Captures[0].Capture || r.Request.Operation != op.ID {
		t.Errorf("the agent was asked %+v", r)
	}
	if s, err := k.SetPause(t.Context(), gopprof.Pause{Paused: true, Who: "ada"}); err != nil || s.Obeying != 1 || !<-n.paused {
		t.Errorf("%+v, %v", s, err)
	}
	stop()
	b.Stop()
	k, stop = run(t, operations.DefaultConfig(), b.Restart(), n, 0)
	defer stop()
	poll.Until(t, "both are known again", func() bool { return k.Paused() && len(k.Operations()) > 0 })
	stored := gopprof.Report{ID: op.Captures[0].Capture, Capture: gopprof.Capture{ID: op.Captures[0].Capture, Target: target(),
		Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual, Request: &gopprof.Request{Who: "ada", Operation: op.ID}}}}
	if err := k.Stored(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	op, err := k.Operation(t.Context(), op.ID)
	if err != nil || op.Captures[0].State != gopprof.CaptureStored || op.Captures[0].Report != stored.ID {
		t.Errorf("once it is stored: %+v, %v", op, err)
	}
}

// crowd is twenty nodes with five pods each, whose agents are simulated.
type crowd struct {
	keeper atomic.Pointer[operations.Keeper] // who is told of captures that end
	states []gopprof.NodeState
	taken  sync.Map // captures that were begun, by ID: how often
}

const (
	crowdNodes = 20
	crowdPods  = 5
)

func newCrowd() *crowd {
	c := &crowd{}
	for i := range crowdNodes {
		s := gopprof.NodeState{Cluster: bustest.Cluster, Node: crowdNode(i), At: time.Now()}
		for j := range crowdPods {
			t := target()
			t.Node, t.Pod = s.Node, fmt.Sprintf("web-%d-%d", i, j)
			s.Targets = append(s.Targets, gopprof.TargetState{Target: t})
		}
		c.states = append(c.states, s)
	}
	return c
}

func crowdNode(i int) string { return fmt.Sprintf("node-%d", i) }

func (c *crowd) Nodes() []gopprof.NodeState { return c.states }

func (c *crowd) StaleAfter() time.Duration { return time.Hour }

// begun counts the captures that were begun.
func (c *crowd) begun() (n int) {
	c.taken.Range(func(any, any) bool { n++; return true })
	return n
}

// worker is one agent of the crowd. A good one takes a moment for a capture and remembers
// it; the others are as their name says.
type worker struct {
	*crowd
	node string
	mode string
	done sync.Map // answers to captures that were begun
}

func (w *worker) Capture(ctx context.Context, r gopprof.CaptureRequest) gopprof.CaptureReply {
	switch w.mode {
	case "slow":
		<-ctx.Done() // answers nobody in time
		return gopprof.CaptureReply{Accepted: true}
	case "lying":
		return gopprof.CaptureReply{Reason: "because"}
	}
	if _, again := w.done.LoadOrStore(r.Capture, true); again {
		return gopprof.CaptureReply{Accepted: true, Done: true}
	}
	n, _ := w.taken.LoadOrStore(r.Capture, new(atomic.Int32))
	n.(*atomic.Int32).Add(1)
	if w.mode == "losing" {
		return gopprof.CaptureReply{Accepted: true}
	}
	go w.finish(ctx, r)
	return gopprof.CaptureReply{Accepted: true}
}

// finish stores the capture as receive does: again until that is written down.
func (w *worker) finish(ctx context.Context, r gopprof.CaptureRequest) {
	report := gopprof.Report{ID: r.Capture, Capture: gopprof.Capture{ID: r.Capture, Target: gopprof.Target{Cluster: bustest.Cluster, Node: w.node},
		Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual, Request: &r.Request}}}
	for ctx.Err() == nil {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
		if w.keeper.Load().Stored(ctx, report) == nil {
			return
		}
	}
}

func (w *worker) Cancel(context.Context, gopprof.CancelRequest) gopprof.CaptureReply {
	return gopprof.CaptureReply{Accepted: true}
}

func (w *worker) Status(_ context.Context, r gopprof.StatusRequest) gopprof.CaptureReply {
	if _, ok := w.done.Load(r.Capture); ok {
		return gopprof.CaptureReply{Accepted: true, Done: true}
	}
	return gopprof.CaptureReply{Reason: gopprof.ReasonUnknown}
}

func (w *worker) Pause(context.Context, gopprof.PauseRequest) gopprof.CaptureReply {
	return gopprof.CaptureReply{Accepted: true}
}

// Two hundred operations over twenty agents, of which one is dead, one slow, one lies and
// one loses what it takes; the aggregator and its NATS are killed in the middle. None is
// stuck, none is lost, none is taken twice.
func TestTwoHundredOperationsOverTheBus(t *testing.T) {
	c := newCrowd()
	var names []string
	for i := range crowdNodes {
		names = append(names, crowdNode(i))
	}
	b := bustest.Start(t, bustest.Options{Nodes: names})
	modes := map[int]string{0: "dead", 1: "slow", 2: "lying", 3: "losing"}
	for i, name := range names {
		if modes[i] != "dead" {
			agent := b.Agent(name)
			go func() { _ = agent.Serve(t.Context(), &worker{crowd: c, node: name, mode: modes[i]}) }()
		}
	}
	cfg := operations.DefaultConfig()
	cfg.CPUDuration, cfg.MaxDuration = time.Millisecond, time.Second // nothing is really taken
	cfg.AgentTimeout, cfg.ArriveWithin, cfg.GoneAfter = time.Second, 3*time.Second, 5*time.Second
	k, stop := run(t, cfg, b.Aggregator(), c, 0)
	c.keeper.Store(k)
	var ids []string
	for i := range 200 {
		pod := fmt.Sprintf("web-%d-%d", i%crowdNodes, i/crowdNodes%crowdPods)
		op, err := k.Capture(t.Context(), gopprof.Manual{Who: "ada", Namespace: "shop", Pod: pod, Kinds: []gopprof.Kind{gopprof.KindHeap}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, op.ID)
	}
	poll.Until(t, "half of them were taken", func() bool { return c.begun() >= 80 })
	stop()
	b.Stop()
	k, stop = run(t, cfg, b.Restart(), c, 0)
	defer stop()
	c.keeper.Store(k)
	total := map[string]int{}
	for _, id := range ids {
		var op gopprof.Operation
		if err := k.Follow(t.Context(), id, func(now gopprof.Operation) bool { op = now; return true }); err != nil {
			t.Fatal(err)
		}
		oc := op.Captures[0]
		total[string(oc.State)+" "+string(oc.Reason)]++
	}
	if total["stored "] != 160 || total["failed no_answer"] != 40 {
		t.Errorf("%v, want 160 stored and 40 without an answer", total)
	}
	c.taken.Range(func(capture, n any) bool {
		if n := n.(*atomic.Int32).Load(); n != 1 {
			t.Errorf("capture %s was begun %d times", capture, n)
		}
		return true
	})
}

// Operations are deleted to make room for as long as others come: what each deleted one leaves
// does not fill the bucket.
func TestRoomOverTheBus(t *testing.T) {
	streams := bus.DefaultStreamConfig()
	streams.BucketBytes = 1 << 20
	b := bustest.Start(t, bustest.Options{Streams: &streams})
	a := b.Aggregator()
	records, err := a.Bucket(t.Context(), bus.BucketOperations)
	if err != nil {
		t.Fatal(err)
	}
	_, stop := run(t, operations.DefaultConfig(), a, node{}, streams.BucketBytes)
	defer stop()
	at := time.Now().UTC()
	for i := range 2600 { // several times what there is room for
		op := gopprof.Operation{ID: uuid.Must(uuid.NewV7()).String(), Who: "ada", At: at.Add(time.Duration(i) * time.Millisecond),
			Captures: []gopprof.OperationCapture{{Target: target(), State: gopprof.CaptureFailed, Reason: gopprof.ReasonGone, Detail: strings.Repeat("x", 1000)}}}
		value, err := json.Marshal(op)
		if err != nil {
			t.Fatal(err)
		}
		poll.Until(t, "there is room", func() bool {
			_, err := records.Create(t.Context(), op.ID, value)
			return err == nil
		})
	}
}
