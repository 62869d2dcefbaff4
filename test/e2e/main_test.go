// Package e2e tests the whole of gopprof with real parts: agent and aggregator, NATS,
// InfluxDB, a Go service in a real cgroup, a webhook.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	agent "github.com/gopprof/gopprof/agent/app"
	aggregator "github.com/gopprof/gopprof/aggregator/app"
	"github.com/gopprof/gopprof/aggregator/draw"
	"github.com/gopprof/gopprof/aggregator/draw/views"
	"github.com/gopprof/gopprof/pkg/ops"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

// TestMain lets the test's own program be the programs under test, so that they are
// processes of their own, which can be killed, and run under the race detector.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case "agent", "aggregator":
		os.Exit(program(os.Args[1], os.Args[2:]))
	case "draw-worker":
		worker(draw.Worker)
	case "view-worker":
		worker(views.Worker)
	default:
		os.Exit(m.Run())
	}
}

// worker is a child process of the aggregator.
func worker(work func(in io.Reader, out io.Writer) error) {
	if err := work(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runner is either program.
type runner interface {
	Run(ctx context.Context) error
}

func program(name string, args []string) int {
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	path := flags.String("config", "", "")
	_ = flags.Parse(args)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log, err := ops.NewLogger(ops.DefaultLogConfig())
	if err != nil {
		return 1
	}
	p, err := newProgram(ctx, name, *path, log)
	if err == nil {
		err = p.Run(ctx)
	}
	if err != nil {
		log.Error("program failed", zap.Error(err))
		return 1
	}
	return 0
}

func newProgram(ctx context.Context, name, path string, log *zap.Logger) (runner, error) {
	if name == "agent" {
		c, err := agent.LoadConfig(path)
		if err != nil {
			return nil, err
		}
		return agent.New(ctx, c, log)
	}
	c, err := aggregator.LoadConfig(path)
	if err != nil {
		return nil, err
	}
	return aggregator.New(ctx, c, aggregator.Workers{Draw: []string{os.Args[0], "draw-worker"}, View: []string{os.Args[0], "view-worker"}}, log)
}

// patience bounds each scenario: most of it is for a machine that does much else.
const patience = 3 * time.Minute

// newRig starts what every scenario has: InfluxDB, the inbox and the burner. Windows and
// series are of three seconds. siblings are further pods of the burner's workload, which stay
// quiet.
func newRig(t *testing.T, siblings ...string) (context.Context, *rig.Rig) {
	t.Helper()
	return newRigOf(t, time.Second, siblings...)
}

// newRigOf is newRig with CPU profiles of another length.
func newRigOf(t *testing.T, cpu time.Duration, siblings ...string) (context.Context, *rig.Rig) {
	t.Helper()
	// Not the test's own, which ends before its cleanups: what a test starts after the programs,
	// as a browser, is gone before they stop.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := rig.New(rig.Config{
		Dir: t.TempDir(), Window: 3 * time.Second, CPUSeconds: cpu,
		Agent: []string{self, "agent"}, Aggregator: []string{self, "aggregator"},
	})
	t.Cleanup(r.Stop)
	t.Cleanup(func() { showLogs(t, r) })
	parts.Need(t, "influxd")
	if err := parts.CgroupsAllowed(); err != nil {
		parts.Missing(t, "no cgroup with limits on this machine: %v", err)
	}
	burner, err := parts.BuildBurner(ctx, t.TempDir())
	must(t, err)
	must(t, r.StartBurner(burner))
	for _, pod := range siblings {
		must(t, r.StartSibling(burner, pod))
	}
	must(t, r.StartInfluxDB(ctx))
	must(t, r.StartInbox())
	must(t, r.StartSeries(ctx))
	return ctx, r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// showLogs prints what the programs said when a scenario failed.
func showLogs(t *testing.T, r *rig.Rig) {
	if !t.Failed() {
		return
	}
	for _, p := range []*rig.Process{r.Agent, r.Aggregator} {
		if p == nil {
			continue
		}
		text, err := os.ReadFile(p.File)
		t.Logf("%s said (%v):\n%s", p.Name, err, text)
	}
}
