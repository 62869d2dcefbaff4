package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/test/rig"
)

// captureCost measures the aggregator with everything that it starts, from a capture's message
// to its announced report with a call graph, and beside it `go tool pprof -svg` on the same file.
func captureCost(ctx context.Context, b *bench) error {
	files, err := benchProfiles(ctx, b)
	if err != nil {
		return err
	}
	if b.pprof, err = bareTool(ctx); err != nil {
		return err
	}
	r, err := b.rig("aggregator")
	if err != nil {
		return err
	}
	defer r.Stop()
	if err := r.StartAggregator(ctx); err != nil {
		return err
	}
	agent, err := connect(ctx, r.NATS(), filepath.Join(r.Dir, "agent.nk"), rig.Node)
	if err != nil {
		return err
	}
	defer func() { _ = agent.Close(context.WithoutCancel(ctx)) }()
	b.printf("| profile | bytes | samples | aggregator CPU | `go tool pprof -svg` CPU | ratio | its program alone | ratio | processors used |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, p := range files {
		if err := compareCapture(ctx, b, r, agent, p); err != nil {
			return fmt.Errorf("%s: %w", p.Kind, err)
		}
	}
	r.Stop()
	if err := compared(ctx, b, files); err != nil {
		return err
	}
	return stages(ctx, b, files)
}

func benchProfiles(ctx context.Context, b *bench) ([]gopprof.Profile, error) {
	cpu, err := cpuProfile(ctx, 5*time.Second)
	if err != nil {
		return nil, err
	}
	heap, err := heapProfile(ctx, b)
	if err != nil {
		return nil, err
	}
	goroutine, err := goroutineProfile(10_000)
	return []gopprof.Profile{cpu, heap, goroutine}, err
}

func compareCapture(ctx context.Context, b *bench, r *rig.Rig, agent *bus.Agent, p gopprof.Profile) error {
	const most, least = 20, 5
	rounds := most
	if p.SizeBytes > 200<<10 {
		rounds = least
	}
	if err := sendAll(ctx, r, agent, p, 1); err != nil { // workers start, caches fill
		return err
	}
	before, err := treeOf(r.Aggregator.PID())
	if err != nil {
		return err
	}
	began := time.Now()
	if err := sendAll(ctx, r, agent, p, rounds); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := treeOf(r.Aggregator.PID())
	if err != nil {
		return err
	}
	ours := (after.cpu - before.cpu) / time.Duration(rounds)
	read, err := profile.Parse(p.Bytes, profile.DefaultLimits())
	if err != nil {
		return err
	}
	b.printf("| %s | %d | %d | %s |", p.Kind, p.SizeBytes, len(read.Raw().Sample), ms(ours))
	for _, tool := range [][]string{{"go", "tool", "pprof"}, {b.pprof}} {
		theirs, err := peerDraws(ctx, b, tool, p, rounds)
		if err != nil {
			return err
		}
		b.printf(" %s | %.2f |", ms(theirs), float64(ours)/float64(theirs))
	}
	b.printf(" %.1f |\n", float64(after.cpu-before.cpu)/float64(took))
	return nil
}

// sendAll publishes so many captures of one profile and waits for their reports.
func sendAll(ctx context.Context, r *rig.Rig, agent *bus.Agent, p gopprof.Profile, n int) error {
	var sent []string
	for range n {
		c := newCapture(rig.Node, "checkout", p)
		if err := agent.PublishCapture(ctx, c); err != nil {
			return err
		}
		sent = append(sent, c.ID)
	}
	for _, id := range sent {
		if _, err := r.Aggregator.AwaitWhere(ctx, "report announced", func(l rig.Line) bool { return l.Text("capture") == id }); err != nil {
			return err
		}
	}
	return drawn(ctx, r, sent[0])
}

// drawn fails when a report has no call graph: what is compared would be less work.
func drawn(ctx context.Context, r *rig.Rig, id string) error {
	var report gopprof.Report
	if err := r.GetJSON(ctx, api.PathReport(id), &report); err != nil {
		return err
	}
	for _, f := range report.Files {
		if f.Drawing == "" {
			return fmt.Errorf("the %s profile has no call graph: %s", f.Kind, f.Detail)
		}
	}
	return nil
}

func newCapture(node, workload string, profiles ...gopprof.Profile) gopprof.Capture {
	now := time.Now().UTC()
	return gopprof.Capture{
		ID: newID(), Incident: newID(), Start: now.Add(-30 * time.Second), End: now, Profiles: profiles,
		Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual, At: now, Request: &gopprof.Request{Who: "bench"}},
		Target: gopprof.Target{
			Cluster: rig.Cluster, Node: node, Namespace: rig.Namespace, Workload: gopprof.Workload{Kind: "Deployment", Name: workload},
			Pod: workload + "-0", PodUID: "0", Container: workload, Endpoint: gopprof.Endpoint{Scheme: "http", Host: "127.0.0.1", Port: 6060, Path: "/debug/pprof"},
		},
	}
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func connect(ctx context.Context, url, key, node string) (*bus.Agent, error) {
	c := bus.DefaultConfig()
	c.URL, c.NKeyFile = url, config.SecretFile(key)
	return bus.ConnectAgent(ctx, c, rig.Cluster, node, zap.NewNop(), prometheus.NewRegistry())
}

// bareTool is the program that `go tool pprof` starts: the go command costs too.
func bareTool(ctx context.Context) (string, error) {
	tool, err := exec.CommandContext(ctx, "go", "tool", "-n", "pprof").Output()
	if err != nil {
		return "", fmt.Errorf("finding pprof: %w", err)
	}
	return strings.TrimSpace(string(tool)), nil
}

// peerDraws returns the CPU time of one drawing by a tool, with the dot that it starts.
func peerDraws(ctx context.Context, b *bench, tool []string, p gopprof.Profile, rounds int) (time.Duration, error) {
	file := filepath.Join(b.dir, string(p.Kind)+".pb.gz")
	if err := os.WriteFile(file, p.Bytes, 0o600); err != nil {
		return 0, err
	}
	argv := append(slices.Clone(tool), "-svg", "-output", filepath.Join(b.dir, "peer.svg"), file)
	var total time.Duration
	for range rounds {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("go tool pprof: %w: %s", err, out)
		}
		total += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return total / time.Duration(rounds), nil
}
