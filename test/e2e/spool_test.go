package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/publish"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	"github.com/gopprof/gopprof/test/rig"
)

// The agent is killed while its spool is at its bound and a capture is running. The next one
// sends what the spool held, each once, and says what became of the capture in hand.
func TestAgentKilledWithAFullSpool(t *testing.T) {
	ctx, r := newRigOf(t, 20*time.Second)
	r.AgentYAML = strings.Replace(rig.AgentYAML, "publish: {", "publish: {max_bytes: 1048576, ", 1)
	startProcesses(ctx, t, r)
	r.Agent.Stop()
	r.Aggregator.Kill()
	spooled := fillSpool(ctx, t, filepath.Join(r.Dir, "agent", "spool"))
	must(t, r.StartAgent(ctx))
	must(t, r.Burner.Heat(ctx, 1))
	capture := killInHand(ctx, t, r)
	line, err := r.Agent.Await(ctx, "firing came to nothing")
	must(t, err)
	if line.Text("capture") != capture || line.Text("reason") != string(gopprof.ReasonAgentDied) {
		t.Errorf("said %v, want capture %s and %s", line, capture, gopprof.ReasonAgentDied)
	}
	must(t, r.StartAggregator(ctx))
	checkEachOnce(ctx, t, r, spooled)
}

// fillSpool has a spool of 1 MiB drop its oldest capture, and returns the others.
func fillSpool(ctx context.Context, t *testing.T, dir string) (captures []string) {
	t.Helper()
	cfg := publish.DefaultConfig()
	cfg.Dir, cfg.MaxBytes = dir, 1<<20
	p, err := publish.New(cfg, away{}, zap.NewNop(), prometheus.NewRegistry())
	must(t, err)
	for waiting := 0; waiting == len(captures); waiting, _ = p.Pending() {
		c := large()
		must(t, p.Publish(ctx, c))
		captures = append(captures, c.ID)
	}
	must(t, p.Close())
	return captures[1:]
}

// away is NATS that is not there.
type away struct{}

func (away) PublishCapture(context.Context, gopprof.Capture) error { return bus.ErrAway }

// large is a capture by hand of some 200 KB: so many stacks, each of its own functions.
func large() gopprof.Capture {
	stacks := make([]profiletest.Stack, 6000)
	for i := range stacks {
		stacks[i] = profiletest.On(1e7, fmt.Sprintf("main.f%x", rand.Uint64()), fmt.Sprintf("main.g%x", rand.Uint64()), "main.main")
	}
	data, now := profiletest.CPU(1, stacks...), time.Now().UTC().Truncate(time.Millisecond)
	sum := sha256.Sum256(data)
	return gopprof.Capture{
		ID: uuid.Must(uuid.NewV7()).String(), Incident: uuid.Must(uuid.NewV7()).String(), Start: now, End: now.Add(time.Second),
		Target:   gopprof.Target{Cluster: rig.Cluster, Node: rig.Node, Namespace: rig.Namespace, Pod: rig.Pod, Container: rig.Container},
		Trigger:  gopprof.Trigger{Kind: gopprof.TriggerManual, At: now, Request: &gopprof.Request{Who: "ada", Operation: uuid.Must(uuid.NewV7()).String()}},
		Profiles: []gopprof.Profile{{Kind: gopprof.KindCPU, Seconds: 1, SizeBytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Bytes: data}},
	}
}

// checkEachOnce waits until there is a report of each of the captures, and checks that there is
// one of each.
func checkEachOnce(ctx context.Context, t *testing.T, r *rig.Rig, captures []string) {
	t.Helper()
	n := map[string]int{}
	must(t, rig.Poll(ctx, func() error {
		var list api.ReportList
		if err := r.GetJSON(ctx, api.PathReports, &list); err != nil {
			return err
		}
		clear(n)
		for _, s := range list.Reports {
			n[s.ID]++
		}
		for _, id := range captures {
			if n[id] == 0 {
				return errors.New("no report of " + id)
			}
		}
		return nil
	}))
	for _, id := range captures {
		if n[id] != 1 {
			t.Errorf("%d reports of capture %s, want one", n[id], id)
		}
	}
}
