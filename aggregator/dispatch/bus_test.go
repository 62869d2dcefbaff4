package dispatch_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

func connect(t *testing.T, a *bus.Aggregator) *dispatch.Dispatcher {
	t.Helper()
	budget, err := a.Bucket(t.Context(), bus.BucketBudget)
	if err != nil {
		t.Fatal(err)
	}
	cfg := dispatch.DefaultConfig()
	cfg.Budget.PerWorkloadAtOnce = 2
	return dispatch.New(cfg, dispatch.Deps{Budget: budget}, zap.NewNop(), prometheus.NewRegistry())
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
		poll.Until(t, "an answer", func() bool {
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
