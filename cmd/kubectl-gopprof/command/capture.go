package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/client"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// grace is how long a request goes on after the first interrupt: what it started could not
// be cancelled if its answer were lost.
const grace = 5 * time.Second

const captureHelp = `Take profiles now, and wait for the reports.

What to profile is one of
  pod/NAME (or NAME), host/NAME          one pod; one host outside Kubernetes
  deploy/NAME, sts/, ds/, job/ …         all pods of the workload
  workload/KIND/NAME                     the same for other kinds, as workload/Host/checkout
  -l KEY=VALUE,…                         all pods of the namespace whose labels match

A terminal sees a bar for each pod, a file or pipe one line for each change. An interrupt
(Ctrl-C) cancels what has not ended; a second one leaves at once.

-o json, yaml and wide are formats of the result; anything else is where the profiles go:
  -o FILE    the profile, where there is only one: of one pod, or of --merge. Without
             --kind it is that of the cpu
  -o DIR     an existing directory or a name that ends in /, and whenever there are
             several: POD-KIND.pb.gz of each pod, merged-KIND.pb.gz with --merge
  -o -       like FILE, on standard output

The exit code is 0 only if everything asked for was captured.`

const captureExamples = `  # one pod: cpu, heap and goroutines, as the server's default is
  NAME capture pod/web-6f7c9-x2x4z

  # the cpu for a minute, straight into pprof
  NAME capture pod/web-6f7c9-x2x4z --kind cpu --seconds 60 -o cpu.pb.gz && go tool pprof -http=localhost: cpu.pb.gz

  # all replicas, five at a time, as one profile; says who differs
  NAME capture deploy/web -n shop --merge --at-once 5 -o web.pb.gz

  # three pods by label, every file into a directory
  NAME capture -l app=web,tier!=cache --max-pods 3 --kind heap,goroutine -o profiles/

  # do not wait, look later
  NAME capture sts/db --detach
  NAME operations OPERATION --watch`

func (c *commands) capture() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use: "capture TYPE/NAME | -l KEY=VALUE", Short: "Profile a pod, or all pods of a workload, now",
		Long: captureHelp, Example: c.named(captureExamples), Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: c.asked(targetWords, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				a.arg = args[0]
			}
			return c.runCapture(cmd.Context(), a)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&a.selector, "selector", "l", "", "`labels` of the pods: app=web,tier!=cache")
	f.StringSliceVar(&a.kinds, "kind", nil, "`kinds` of profiles, repeated or with commas; the server's default when left out")
	f.Var(&a.seconds, "seconds", "length of the cpu profile and the trace; the server's default when left out")
	f.StringVarP(&a.container, "container", "c", "", "`container`, where a pod has several that can be profiled")
	f.StringVar(&a.cluster, "cluster", "", "`cluster`, where the server serves several")
	f.IntVar(&a.maxPods, "max-pods", 0, "of several pods: profile at most `n`, spread over the nodes")
	f.IntVar(&a.atOnce, "at-once", 0, "of several pods: at most `n` at the same time")
	f.IntVar(&a.expect, "expect", 0, "of several pods: do nothing unless `n` match; needed for large groups")
	f.BoolVar(&a.allAtOnce, "all-at-once", false, "of a workload: leave no replica alone")
	f.BoolVar(&a.merge, "merge", false, "of several pods: make one profile of all, and say who differs")
	f.StringVarP(&a.out, "output", "o", "", "`file` or directory for the profiles; or json, yaml, wide")
	f.BoolVar(&a.detach, "detach", false, "print the operation and leave")
	_ = cmd.RegisterFlagCompletionFunc("kind", fixed(words(gopprof.Kinds())...))
	_ = cmd.RegisterFlagCompletionFunc("output", files)
	return cmd
}

func (c *commands) runCapture(ctx context.Context, a asking) error {
	r, err := a.request()
	if err != nil {
		return err
	}
	place, err := c.placeFor(a, &r)
	if err != nil {
		return err
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	if r.Namespace, err = c.namespaceFor(ctx, cl, r); err != nil {
		return err
	}
	asked, stop := gracefully(ctx, c.Last)
	defer stop()
	op, err := cl.Capture(asked, uuid.NewString(), r)
	if err != nil {
		return err
	}
	if a.detach && ctx.Err() == nil {
		return c.detached(op)
	}
	c.say("operation %s: %s", op.ID, meant(op))
	op, err = c.follow(ctx, cl, op)
	if err != nil {
		return err
	}
	return c.finish(ctx, cl, op, place)
}

// placeFor reads -o: a format, or where profiles go.
func (c *commands) placeFor(a asking, r *api.CaptureRequest) (place, error) {
	if slices.Contains(formats(), a.out) {
		c.output = a.out
		return place{}, nil
	}
	p, err := newPlace(a.out, r)
	switch {
	case err != nil:
		return p, err
	case a.out != "" && a.detach:
		return p, usage("--detach does not wait for profiles: leave -o out")
	case p.stdout && c.OutTerminal:
		return p, usage("a profile is nothing to see on a terminal: -o FILE, or a pipe")
	}
	return p, nil
}

// namespaceFor returns the namespace that a request is about.
func (c *commands) namespaceFor(ctx context.Context, cl *client.Client, r api.CaptureRequest) (string, error) {
	if c.all {
		return "", usage("a capture is of one namespace: -n instead of -A")
	}
	if cl.Namespace != "" {
		return cl.Namespace, nil
	}
	list, err := cl.Targets(ctx, nil)
	if err != nil {
		return "", err
	}
	return namespaceIn(list, r)
}

// gracefully returns a context that ends a moment after ctx, or with last.
func gracefully(ctx, last context.Context) (context.Context, context.CancelFunc) {
	graced, cancel := context.WithCancel(last)
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(graced, func() { timer.Stop() })
	})
	return graced, func() { stop(); cancel() }
}

func meant(op gopprof.Operation) string {
	if n := len(op.Captures); n != op.Matched && op.Matched > 0 {
		return fmt.Sprintf("%d of the %d pods that match", n, op.Matched)
	}
	if len(op.Captures) == 1 {
		return "pod " + op.Captures[0].Target.Pod
	}
	return fmt.Sprintf("%d pods", len(op.Captures))
}

func (c *commands) detached(op gopprof.Operation) error {
	c.say("it goes on: %s", c.again("operations "+op.ID+" --watch"))
	return c.print(op, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, show.Clean(op.ID))
		return err
	})
}
