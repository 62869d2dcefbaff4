package dispatch_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// node is an agent's side: what it was asked, and its answer.
type node struct {
	asked  chan gopprof.CaptureRequest
	answer gopprof.CaptureReply
}

func (n node) Capture(_ context.Context, r gopprof.CaptureRequest) gopprof.CaptureReply {
	n.asked <- r
	return n.answer
}

func (n node) Cancel(context.Context, gopprof.CancelRequest) gopprof.CaptureReply {
	return gopprof.CaptureReply{Accepted: true}
}

func connect(t *testing.T, a *bus.Aggregator) *dispatch.Dispatcher {
	t.Helper()
	buckets := make([]*bus.Bucket, 2)
	for i, name := range []string{bus.BucketBudget, bus.BucketOperations} {
		b, err := a.Bucket(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		buckets[i] = b
	}
	cfg := dispatch.DefaultConfig()
	cfg.Budget.PerWorkloadAtOnce = 2
	return dispatch.New(cfg, dispatch.Deps{Budget: buckets[0], Operations: buckets[1], Agents: a}, zap.NewNop(), prometheus.NewRegistry())
}

func target() gopprof.Target {
	return gopprof.Target{Cluster: bustest.Cluster, Node: "one.example", Namespace: "shop", Pod: "web-1", Container: "main",
		Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}}
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// An agent asks over NATS; the budget lives in JetStream and outlives the aggregator.
func TestAskedOverTheBus(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"one.example"}})
	aggregator, agent := b.Aggregator(), b.Agent("one.example")
	go func() { _ = aggregator.Answer(t.Context(), connect(t, aggregator).Decide) }()
	ask := func(capture string) (d gopprof.Decision) {
		f := gopprof.Firing{Capture: capture, Target: target(), Rule: "cpu", Resource: gopprof.ResourceCPU, Ratio: 0.9, At: time.Now()}
		bustest.Eventually(t, "an answer", func() bool {
			var err error
			d, err = agent.Ask(t.Context(), f)
			return err == nil && d.Reason != gopprof.ReasonNoAnswer
		})
		return d
	}
	captures := []string{newID(), newID(), newID()}
	var answers []gopprof.Decision
	for i, want := range []bool{true, true, false} {
		d := ask(captures[i])
		if d.Go != want {
			t.Errorf("answer %d: %+v", i, d)
		}
		answers = append(answers, d)
	}
	if answers[0].Incident != answers[1].Incident {
		t.Errorf("two incidents: %+v", answers)
	}
	b.Stop()
	again := b.Restart()
	go func() { _ = again.Answer(t.Context(), connect(t, again).Decide) }()
	for i, c := range captures {
		if d := ask(c); d != answers[i] {
			t.Errorf("answer %d after the restart: %+v, before: %+v", i, d, answers[i])
		}
	}
}

// A manual capture goes over NATS to the node whose agent told of the target.
func TestManualOverTheBus(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"one.example"}})
	aggregator, agent := b.Aggregator(), b.Agent("one.example")
	d := connect(t, aggregator)
	n := node{asked: make(chan gopprof.CaptureRequest, 1), answer: gopprof.CaptureReply{Accepted: true}}
	state := gopprof.NodeState{Cluster: bustest.Cluster, Node: "one.example", At: time.Now(), Targets: []gopprof.TargetState{{Target: target()}}}
	go func() { _ = aggregator.States(t.Context(), d.Observe) }()
	bustest.Eventually(t, "the node is known", func() bool {
		_ = agent.PublishState(t.Context(), state)
		return len(d.Nodes()) == 1
	})
	ask := dispatch.Manual{Who: "ada", Namespace: "shop", Pod: "web-1"}

	op, err := d.Capture(t.Context(), ask)
	if err != nil || op.Captures[0].Reason != gopprof.ReasonNoAnswer {
		t.Errorf("while the agent does not serve: %+v, %v", op, err)
	}
	go func() { _ = agent.Serve(t.Context(), n) }()
	bustest.Eventually(t, "the agent accepts", func() bool {
		op, err = d.Capture(t.Context(), ask)
		return err == nil && op.Captures[0].State == gopprof.CaptureProfiling
	})
	if r := <-n.asked; r.Capture != op.Captures[0].Capture || r.Request.Operation != op.ID {
		t.Errorf("the agent was asked %+v", r)
	}
	stored := gopprof.Report{ID: op.Captures[0].Capture, Capture: gopprof.Capture{ID: op.Captures[0].Capture, Target: target(),
		Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual, Request: &gopprof.Request{Who: "ada", Operation: op.ID}}}}
	if err := d.Stored(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	op, err = d.Operation(t.Context(), op.ID)
	if err != nil || op.Captures[0].State != gopprof.CaptureStored || op.Captures[0].Report != stored.ID {
		t.Errorf("once it is stored: %+v, %v", op, err)
	}
}
