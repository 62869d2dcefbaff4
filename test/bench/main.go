// Command bench measures what gopprof costs, beside its peers in the same run.
//
// Built programs (bin/, .cache/bin) and real parts enter: cgroups, NATS, InfluxDB, cAdvisor's
// own manager, `go tool pprof`. Tables in Markdown leave, on standard output. It judges
// nothing and fails no build: machines differ, so what counts are the ratios. It must never
// leave a process, a cgroup or a file behind, and talks to loopback only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

// benchmarks are all of them, in the order of docs/benchmarks.md.
var benchmarks = []struct {
	name string
	run  func(context.Context, *bench) error
}{
	{"agent", agentCost},
	{"aggregator", captureCost},
	{"burst", burst},
	{"index", index},
	{"price", price},
	{"query", query},
	{"latency", latency},
	{"manual", manual},
}

// bench is what they share.
type bench struct {
	dir  string // of this benchmark, empty at its start
	root string // of the source tree
	self string // this program
	out  io.Writer
	span time.Duration // of one measurement

	pprof string // the peer of drawing
}

// roles are what this program is when a benchmark starts it as a process of its own.
var roles = map[string]func(context.Context, string) error{
	"cadvisor-manager": runManager,
	"service":          runService,
	"heap":             runHeap,
	"agent":            runAgent,
	"aggregator":       runAggregator,
	"draw-worker":      runDrawWorker,
	"view-worker":      runViewWorker,
}

func main() {
	only := flag.String("only", "", "regular expression of the benchmarks to run; empty is all")
	span := flag.Duration("span", 2*time.Minute, "how long one measurement lasts")
	role := flag.String("role", "", "be a part of a benchmark (which starts it)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	if be, ok := roles[*role]; ok {
		err = be(ctx, flag.Arg(0))
	} else {
		err = run(ctx, *only, *span)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, span time.Duration) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("flag -only: %w", err)
	}
	root, err := parts.Root()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Print(header(ctx, root))
	var failed []error
	for _, b := range benchmarks {
		if wanted.MatchString(b.name) && ctx.Err() == nil {
			failed = append(failed, runOne(ctx, &bench{root: root, self: self, out: os.Stdout, span: span}, b.name, b.run))
		}
	}
	return errors.Join(failed...)
}

func runOne(ctx context.Context, b *bench, name string, f func(context.Context, *bench) error) (err error) {
	if b.dir, err = os.MkdirTemp("", "gopprof-bench-"); err != nil {
		return err
	}
	b.printf("\n### %s\n\n", name)
	if err := f(ctx, b); err != nil {
		b.printf("\nfailed\n")
		return fmt.Errorf("%s: %w (its files stay in %s)", name, err, b.dir)
	}
	return os.RemoveAll(b.dir)
}

func (b *bench) printf(format string, args ...any) { fmt.Fprintf(b.out, format, args...) }

// program is the command line of one of gopprof's programs.
func (b *bench) program(name string) []string { return []string{filepath.Join(b.root, "bin", name)} }

// role is the command line of a part.
func (b *bench) role(name, arg string) []string { return []string{b.self, "-role", name, arg} }

// rig returns a rig in a directory of this benchmark, at gopprof's default settings.
func (b *bench) rig(name string) (*rig.Rig, error) {
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return rig.New(rig.Config{
		Dir: dir, Window: time.Minute, CPUSeconds: 30 * time.Second, Warm: 10 * time.Second, Quiet: 30 * time.Second,
		Agent: b.program("agent"), Aggregator: b.program("aggregator"),
	}), nil
}

// wait lets time pass: what a benchmark measures happens meanwhile.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
