// Command demo runs gopprof's main job with real parts on this machine: InfluxDB, the
// aggregator with its embedded NATS, the agent, a Go service in a real cgroup with a CPU
// limit, and a second witness that writes Heapster's series.
//
// Built programs enter (bin/, .cache/bin); what each stage did, the report and the message
// to the owner leave, on the terminal. Everything lives in a temporary directory and on
// ports that the kernel chose, and ends with the demo. It must never show anything that
// did not come out of the running programs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/gopprof/gopprof/test/series"
)

func main() {
	runtime.LockOSThread() // the children's lives are tied to this thread
	once := flag.Bool("once", false, "end after the report has arrived, with status 0 only if all of it did")
	witness := flag.Bool("series", false, "be the process that writes Heapster's series (the demo starts it)")
	var c series.Config
	flag.StringVar(&c.URL, "series-url", "", "InfluxDB")
	flag.StringVar(&c.Cgroup, "series-cgroup", "", "cgroup path")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := error(nil)
	if *witness {
		err = series.New(seriesOf(c)).Run(ctx)
	} else {
		err = run(ctx, *once)
	}
	if err != nil && !(errors.Is(err, context.Canceled) && !*once) {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// seriesOf completes what the flags gave with the names that both witnesses know.
func seriesOf(c series.Config) series.Config {
	c.Database, c.Interval = "k8s", 10*time.Second
	c.Node, c.Namespace, c.Pod, c.Container = node, namespace, pod, container
	return c
}

func run(ctx context.Context, once bool) (err error) {
	dir, err := os.MkdirTemp("", "gopprof-demo-")
	if err != nil {
		return err
	}
	d := newDemo(dir)
	defer func() { d.stop(err != nil) }()
	if err := d.play(ctx); err != nil {
		return fmt.Errorf("%w (logs in %s)", err, dir)
	}
	if once {
		return nil
	}
	d.say("everything goes on running: open the page, run the command. Ctrl-C stops it.")
	<-ctx.Done()
	return nil
}
