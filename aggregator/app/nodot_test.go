package app

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/embedded/natstest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// Without graphviz an aggregator starts and says so once; reports are stored and announced
// without call graphs, and say why and what to do.
func TestReportsGoOutWithoutDot(t *testing.T) {
	o := natstest.Start(t)
	c := configOn(o)
	c.Draw.Dot = filepath.Join(t.TempDir(), "no", "dot")
	core, logs := observer.New(zap.WarnLevel)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	a, err := New(ctx, c, Workers{Draw: []string{"false"}}, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	ended := running(ctx, a)
	if n := logs.FilterMessage("call graphs cannot be drawn; reports go out without them").Len(); n != 1 {
		t.Errorf("it says so %d times", n)
	}

	heap := heapOf(shopTarget)
	agent, err := bus.ConnectAgent(ctx, o.Config, shopTarget.Cluster, shopTarget.Node, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "the agent is connected", func() bool { return agent.Connected() == nil })
	if err := agent.PublishCapture(ctx, heap); err != nil {
		t.Fatal(err)
	}
	announced := make(chan gopprof.Report, 1)
	listening := make(chan error, 1)
	go func() {
		listening <- a.bus.Reports(ctx, "listener", func(_ context.Context, r gopprof.Report) error { announced <- r; return nil })
	}()
	select {
	case r := <-announced:
		says(t, "announced", r)
	case <-time.After(poll.Patience):
		t.Fatal("no report is announced")
	}
	r, found, err := a.store.Committed(ctx, heap)
	if err != nil || !found {
		t.Fatalf("stored: %v, %v", found, err)
	}
	says(t, "stored", r)
	stop()
	if err := errors.Join(agent.Close(t.Context()), <-listening, endOf(t, ended)); err != nil {
		t.Error(err)
	}
}

// says checks that a report has everything but a call graph, and the reason why.
func says(t *testing.T, which string, r gopprof.Report) {
	t.Helper()
	f, ok := r.File(gopprof.KindHeap)
	if !ok || f.Profile == "" || f.Drawing != "" || f.Reason != gopprof.ReasonDrawFailed || !strings.Contains(f.Detail, "install graphviz") {
		t.Errorf("%s: %+v", which, f)
	}
	if len(r.Explanation.Profiles) != 1 || len(r.Explanation.Profiles[0].Functions) == 0 || r.Picture == "" {
		t.Errorf("%s: explained as %+v, with picture %q", which, r.Explanation, r.Picture)
	}
}
