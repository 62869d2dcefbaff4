// Command agent watches the Go services of one node and profiles those that run hot. It
// is one of gopprof's two programs; docs/ARCHITECTURE.md shows how they work together.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/app"
	"github.com/gopprof/gopprof/pkg/ops"
)

// The exit codes.
const (
	exitFailed = 1 // could not start, or stopped by an error
	exitConfig = 2 // the flags or the configuration are wrong
)

func main() {
	path := flag.String("config", "/etc/gopprof/agent.yaml", "configuration `file`")
	check := flag.Bool("check-config", false, "read the configuration, say what is wrong with it, and exit")
	version := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		fmt.Fprintf(os.Stderr, "agent: unexpected argument %q; see --help\n", flag.Arg(0))
		os.Exit(exitConfig)
	case *version:
		fmt.Println(ops.Version())
	default:
		os.Exit(run(*path, *check))
	}
}

func run(path string, checkOnly bool) int {
	c, err := app.LoadConfig(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitConfig
	}
	if checkOnly {
		fmt.Printf("%s: ok\n", path)
		return 0
	}
	log, err := ops.NewLogger(c.Log)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	defer func() { _ = log.Sync() }()
	ops.BridgeKlog(log)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, c, log); err != nil {
		log.Error("agent failed", zap.Error(err))
		return exitFailed
	}
	return 0
}

func serve(ctx context.Context, c app.Config, log *zap.Logger) error {
	a, err := app.New(ctx, c, log)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
