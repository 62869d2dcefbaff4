// Command aggregator explains, draws, stores and announces the captures that agents send,
// and tells the owners. It is one of gopprof's two programs; docs/ARCHITECTURE.md shows
// how they work together.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/app"
	"github.com/gopprof/gopprof/aggregator/draw"
	"github.com/gopprof/gopprof/aggregator/draw/views"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/pkg/durable"
	"github.com/gopprof/gopprof/pkg/ops"
)

// The exit codes.
const (
	exitFailed = 1 // could not start, or stopped by an error
	exitConfig = 2 // the flags or the configuration are wrong
)

// The arguments with which the aggregator starts itself as a worker that draws, or serves
// one view of pprof; they are not for people.
const (
	drawWorker = "draw-worker"
	viewWorker = "view-worker"
)

// workers are what it then does.
var workers = map[string]func(in io.Reader, out io.Writer) error{drawWorker: draw.Worker, viewWorker: views.Worker}

func main() {
	if len(os.Args) == 2 && workers[os.Args[1]] != nil {
		if err := workers[os.Args[1]](os.Stdin, os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "aggregator %s: %v\n", os.Args[1], err)
			os.Exit(exitFailed)
		}
		return
	}
	path := flag.String("config", "/etc/gopprof/aggregator.yaml", "configuration `file`")
	check := flag.Bool("check-config", false, "read the configuration, say what is wrong with it, and exit")
	letters := flag.Bool("dead-letters", false, "list the captures that the aggregator that runs here could not handle, and exit")
	replay := flag.String("replay", "", "let the aggregator that runs here handle the dead letter with this `ID` again (all: every one), and exit")
	newKey := flag.String("new-key", "", "write a new secret key of an agent or consumer to `file`, print its public key, and exit")
	version := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		fmt.Fprintf(os.Stderr, "aggregator: unexpected argument %q; see --help\n", flag.Arg(0))
		os.Exit(exitConfig)
	case *version:
		fmt.Println(ops.Version())
	case *newKey != "":
		os.Exit(writeKey(*newKey))
	case *check:
		os.Exit(with(*path, func(app.Config) error { fmt.Printf("%s: ok\n", *path); return nil }))
	case *letters:
		os.Exit(with(*path, func(c app.Config) error { return app.DeadLetters(context.Background(), c.Status, os.Stdout) }))
	case *replay != "":
		os.Exit(with(*path, func(c app.Config) error { return app.Replay(context.Background(), c.Status, *replay, os.Stdout) }))
	default:
		os.Exit(with(*path, run))
	}
}

// writeKey makes a key pair. A file that exists is never overwritten: somebody may live by
// the key in it.
func writeKey(path string) int {
	if _, err := os.Lstat(path); err == nil {
		fmt.Fprintf(os.Stderr, "aggregator: %s exists; name a new file\n", path)
		return exitConfig
	}
	seed, public, err := embedded.NewKey()
	if err == nil {
		err = durable.WriteFile(path, []byte(seed+"\n"), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "aggregator:", err)
		return exitFailed
	}
	fmt.Println(public)
	return 0
}

// with does something with the configuration and returns the exit code.
func with(path string, do func(app.Config) error) int {
	c, err := app.LoadConfig(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitConfig
	}
	if err := do(c); err != nil {
		fmt.Fprintln(os.Stderr, "aggregator:", err)
		return exitFailed
	}
	return 0
}

func run(c app.Config) error {
	log, err := ops.NewLogger(c.Log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	ops.BridgeKlog(log)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err = serve(ctx, c, log)
	if err != nil {
		log.Error("aggregator failed", zap.Error(err))
	}
	return err
}

func serve(ctx context.Context, c app.Config, log *zap.Logger) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the own program: %w", err)
	}
	a, err := app.New(ctx, c, app.Workers{Draw: []string{self, drawWorker}, View: []string{self, viewWorker}}, log)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
