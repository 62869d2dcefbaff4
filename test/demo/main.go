// Command demo runs gopprof's main job with real parts on this machine, and shows each
// step as it happens.
//
// Built programs enter (bin/, .cache/bin); what each stage did, the report and the message
// to the owner leave, on the terminal. It must never show anything that did not come out
// of the running programs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
	"github.com/gopprof/gopprof/test/series"
)

func main() {
	once := flag.Bool("once", false, "end after the report has arrived, with status 0 only if all of it did")
	witness := flag.Bool("series", false, "be the process that writes Heapster's series (the demo starts it)")
	var c series.Config
	c.Register(flag.CommandLine)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	if *witness {
		err = series.New(c).Run(ctx)
	} else {
		err = run(ctx, *once)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, once bool) (err error) {
	root, err := parts.Root()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gopprof-demo-")
	if err != nil {
		return err
	}
	d := &demo{began: time.Now(), Rig: rig.New(rig.Config{
		Dir: dir, Window: 10 * time.Second, CPUSeconds: 10 * time.Second,
		Agent:      []string{filepath.Join(root, "bin", "agent")},
		Aggregator: []string{filepath.Join(root, "bin", "aggregator")},
		Series:     []string{self, "-series"},
	})}
	defer func() { d.end(err) }()
	if err := d.play(ctx); err != nil {
		return fmt.Errorf("%w (the logs stay in %s)", err, dir)
	}
	if once {
		return nil
	}
	d.say("everything goes on running: open the page, run the command. Ctrl-C stops it.")
	<-ctx.Done()
	return nil
}
