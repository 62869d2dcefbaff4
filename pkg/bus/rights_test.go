package bus_test

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// An administrator takes an agent's subscriptions from it and gives them back, on a server and
// a connection that go on: by itself the server brings none of them back, neither the one by
// which requests come nor the one by which it acknowledges.
func TestSubscriptionsRefusedForAWhile(t *testing.T) {
	o := startOutside(t)
	aggregator := o.aggregator()
	agent, err := bus.ConnectAgent(t.Context(), o.Other, bustest.Cluster, "a", zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close(within(t)) })
	agent.AskAgain(50 * time.Millisecond)
	serve(t, agent, &asked{})
	serves := func() bool {
		r, err := aggregator.RequestCapture(within(t), bustest.Cluster, "a", gopprof.CaptureRequest{
			Capture: newID(t), Incident: newID(t), Kind: gopprof.TriggerManual, Request: gopprof.Request{Who: "alice"}, Namespace: "shop", Pod: "cart-0",
			Kinds: []gopprof.Kind{gopprof.KindHeap}, CPUSeconds: 5, Deadline: time.Now().Add(time.Minute),
		})
		if errors.Is(err, bus.ErrInvalid) {
			t.Fatal(err)
		}
		return err == nil && r.Accepted
	}
	poll.Until(t, "the agent serves", serves)
	publish(t, agent, capture(t, "a", 5))
	o.Deny(bus.AgentInbox(bustest.Cluster, "a")+".>", bus.Root+"agent.>")
	poll.Until(t, "the refusal shows", func() bool { return errors.Is(agent.Connected(), bus.ErrRefused) })
	o.Deny()
	poll.Until(t, "the agent serves again", serves)
	publish(t, agent, capture(t, "a", 5))
}
