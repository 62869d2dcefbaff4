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

// options are the command line.
type options struct {
	config string
	node   string // over the configuration's
}

func main() {
	var o options
	flag.StringVar(&o.config, "config", "/etc/gopprof/agent.yaml", "configuration `file`")
	flag.StringVar(&o.node, "node", "", "`name` of this node, over the configuration's: one file serves all nodes of a cluster")
	check := flag.Bool("check-config", false, "read the configuration, say what is wrong with it, and exit")
	give := flag.String("give", "", "make the `directory`, give it to the user of --to, and exit; for an init container that is root")
	to := flag.String("to", "65532:65532", "`uid:gid` of --give")
	version := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		fmt.Fprintf(os.Stderr, "agent: unexpected argument %q; see --help\n", flag.Arg(0))
		os.Exit(exitConfig)
	case *version:
		fmt.Println(ops.Version())
	case *give != "":
		if err := giveDirectory(*give, *to); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			os.Exit(exitFailed)
		}
	case *check:
		os.Exit(with(o, func(app.Config) error { fmt.Printf("%s: ok\n", o.config); return nil }))
	default:
		os.Exit(with(o, run))
	}
}

// with does something with the configuration and returns the exit code.
func with(o options, do func(app.Config) error) int {
	c, err := app.LoadConfig(o.config)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitConfig
	}
	if o.node != "" {
		c.Node = o.node
	}
	if err := do(c); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
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
		log.Error("agent failed", zap.Error(err))
	}
	return err
}

func serve(ctx context.Context, c app.Config, log *zap.Logger) error {
	a, err := app.New(ctx, c, log)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
