package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/embedded/natstest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	"github.com/gopprof/gopprof/test/poll"
)

// heapOf is a capture of a heap.
func heapOf(target gopprof.Target) gopprof.Capture {
	c := taken(uuid.Must(uuid.NewV7()).String(), uuid.Must(uuid.NewV7()).String(), target, gopprof.Trigger{Kind: gopprof.TriggerRule})
	data := profiletest.Heap(profiletest.On(7<<20, "main.leak", "main.main"))
	sum := sha256.Sum256(data)
	c.Profiles = []gopprof.Profile{{Kind: gopprof.KindHeap, SizeBytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Bytes: data}}
	return c
}

// NATS forgets who the aggregator is, and knows it again: what agents publish meanwhile
// waits, the log says why, and the same aggregator stores and announces it once.
func TestAuthenticationRevokedAndRestored(t *testing.T) {
	o := natstest.Start(t)
	core, logs := observer.New(zap.WarnLevel)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cfg := configOn(o)
	cfg.Streams.AckWait = time.Second // what was handed to who was refused is handed out again
	a, err := New(ctx, cfg, Workers{Draw: []string{"false"}}, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	ended := running(ctx, a)
	agent, err := bus.ConnectAgent(ctx, o.Other, shopTarget.Cluster, shopTarget.Node, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	connected := func() bool { return agent.Connected() == nil }
	poll.Until(t, "the agent is connected", connected)
	var all []gopprof.Capture
	publish := func(n int) {
		for range n {
			all = append(all, heapOf(shopTarget))
			poll.Until(t, "a capture is published", func() bool { return agent.PublishCapture(ctx, all[len(all)-1]) == nil })
		}
	}
	stored := func(all []gopprof.Capture) (n int) {
		for _, c := range all {
			if _, found, err := a.store.Committed(ctx, c); err == nil && found {
				n++
			}
		}
		return n
	}
	publish(2)
	o.Revoke() // in the middle of them
	poll.Until(t, "the aggregator is refused", func() bool { return errors.Is(a.bus.Connected(), bus.ErrRefused) })
	publish(3)
	poll.Until(t, "the log says why", func() bool {
		return logs.FilterMessage("nats reported an error").FilterField(zap.Error(nats.ErrAuthorization)).Len() > 0
	})
	if n := stored(all[2:]); n > 0 { // of the first two, one may have been in hand
		t.Errorf("%d are stored by who was refused", n)
	}
	o.Restore()
	poll.Until(t, "all are stored", func() bool { return stored(all) == len(all) })
	poll.Until(t, "nothing waits", func() bool { return o.Messages(bus.StreamCaptures)+o.Messages(bus.StreamBytes) == 0 })
	if n := o.Messages(bus.StreamReports); n != uint64(len(all)) {
		t.Errorf("%d reports are announced, want %d", n, len(all))
	}
	page, err := a.store.List(ctx, store.Query{})
	if err != nil || len(page.Reports) != len(all) {
		t.Errorf("%d reports are listed, %v; want %d", len(page.Reports), err, len(all))
	}
	stop()
	if err := errors.Join(agent.Close(t.Context()), endOf(t, ended)); err != nil {
		t.Error(err)
	}
}
