package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/client"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const silenceHelp = `Tell nobody of a workload's reports for a while: during a load test, or while a cause that is known
is being mended. Reports are made and listed as ever. Whoever may profile the workload may do this;
everybody sees who did, why and until when.`

const silenceExamples = `  NAME silence deploy/web --for 2h --why "load test"
  NAME silence deploy/web --for 72h --cause gc_bound --why "JIRA-1234, next release"
  NAME silences
  NAME unsilence 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b`

// silencing is the command line of silence.
type silencing struct {
	cluster, cause, why string
	length              time.Duration
}

func (c *commands) silence() *cobra.Command {
	var s silencing
	cmd := &cobra.Command{
		Use: "silence TYPE/NAME", Short: "Tell nobody of a workload's reports for a while",
		Long: silenceHelp, Example: c.named(silenceExamples), Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.runSilence(cmd.Context(), args[0], s) },
	}
	f := cmd.Flags()
	f.DurationVar(&s.length, "for", 0, "how long, as `duration`: 90m, 24h; 720h at most")
	f.StringVar(&s.why, "why", "", "`text` for those who wonder")
	c.causeFlag(cmd, &s.cause)
	f.StringVar(&s.cluster, "cluster", "", "only in this `cluster`")
	return cmd
}

func (c *commands) runSilence(ctx context.Context, arg string, s silencing) error {
	pod, workload, err := parseTarget(arg)
	switch {
	case err != nil:
		return err
	case pod != "":
		return usage("%q: a silence is of a workload: deploy/NAME, sts/NAME …", arg)
	case s.length <= 0 || s.length > api.LongestSilence:
		return usage("--for must be given, and be %s at most", api.LongestSilence)
	case s.why == "":
		return usage("--why must be given: others will wonder")
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	if cl.Namespace == "" {
		return usage("name the namespace by -n")
	}
	made, err := cl.Silence(ctx, api.SilenceRequest{
		Cluster: s.cluster, Namespace: cl.Namespace, Workload: workload, Cause: gopprof.CauseKind(s.cause), Why: s.why,
		Until: c.Now().Add(s.length).UTC().Truncate(time.Second),
	})
	if err != nil {
		return err
	}
	return write(c.Out, []string{fmt.Sprintf("%s in %s is silenced until %s: %s", made.Workload, made.Namespace, until(made), made.ID)})
}

func until(s api.Silence) string { return s.Until.UTC().Format("2006-01-02 15:04 UTC") }

func (c *commands) silences() *cobra.Command {
	cmd := &cobra.Command{
		Use: "silences", Short: "Of which workloads nobody is told, by whom and until when", Example: c.named(silenceExamples), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runSilences(cmd.Context()) },
	}
	c.outputFlag(cmd)
	return cmd
}

func (c *commands) runSilences(ctx context.Context) error {
	if err := c.checkOutput(); err != nil {
		return err
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	list, err := cl.Silences(ctx, namespaceQuery(cl.Namespace))
	if err != nil {
		return err
	}
	if list.Silences == nil {
		list.Silences = []api.Silence{} // never null for programs
	}
	return c.print(list, func(w io.Writer) error {
		if len(list.Silences) == 0 {
			c.say("no silences%s", in(cl.Namespace))
			return nil
		}
		return show.Silences(c.view(cl.Namespace), list.Silences).Write(w)
	})
}

func (c *commands) unsilence() *cobra.Command {
	return &cobra.Command{
		Use: "unsilence SILENCE", Short: "End a silence before its time", Example: c.named(silenceExamples), Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.end(args[0], func(cl *client.Client) (string, error) {
				s, err := cl.EndSilence(cmd.Context(), args[0])
				return fmt.Sprintf("%s in %s is told of again", s.Workload, s.Namespace), err
			})
		},
	}
}

const notifyTestHelp = `Send a test message to a receiver of the aggregator's configuration, by its own channel, and say what
came of it. Only administrators of all namespaces may do this.`

const notifyTestExamples = `  NAME notify test ops`

func (c *commands) notify() *cobra.Command {
	cmd := &cobra.Command{Use: "notify", Short: "Try whether people are told", Example: c.named(notifyTestExamples)}
	cmd.AddCommand(&cobra.Command{
		Use: "test RECEIVER", Short: "Send a test message to a receiver", Long: notifyTestHelp, Example: c.named(notifyTestExamples), Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.runNotifyTest(cmd.Context(), args[0]) },
	})
	return cmd
}

func (c *commands) runNotifyTest(ctx context.Context, receiver string) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	cl.Namespace = "" // receivers are of all
	r, err := cl.TestReceiver(ctx, receiver)
	if err != nil {
		return err
	}
	if r.Told {
		return write(c.Out, []string{r.Receiver + " took the message"})
	}
	then := "a report would be given up"
	if r.Retry {
		then = "a report would be tried again"
	}
	c.say("%s did not take it (%s): %s", r.Receiver, then, show.Because(r.Reason, r.Detail))
	return errSaid
}
