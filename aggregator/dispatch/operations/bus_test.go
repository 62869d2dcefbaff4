package operations_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/dispatch/operations"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
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

func target() gopprof.Target {
	return gopprof.Target{Cluster: bustest.Cluster, Node: where, Namespace: "shop", Pod: "web-1", Container: "main",
		Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}}
}

// run runs a Keeper on the real bus until stop is called.
func run(t *testing.T, a *bus.Aggregator, n node) (k *operations.Keeper, stop func()) {
	t.Helper()
	records, err := a.Bucket(t.Context(), bus.BucketOperations)
	if err != nil {
		t.Fatal(err)
	}
	k = operations.New(operations.DefaultConfig(), operations.Deps{Records: records, Agents: a, Nodes: n, Alone: true}, zap.NewNop(), prometheus.NewRegistry())
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
	k, stop := run(t, b.Aggregator(), n)
	agent := b.Agent(where)
	go func() { _ = agent.Serve(t.Context(), n) }()
	manual := gopprof.Manual{Who: "ada", Namespace: "shop", Pod: "web-1"}
	var op gopprof.Operation
	bustest.Eventually(t, "the agent accepts", func() bool { // it may not serve yet
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
	k, stop = run(t, b.Restart(), n)
	defer stop()
	bustest.Eventually(t, "both are known again", func() bool { return k.Paused() && len(k.Operations()) > 0 })
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
