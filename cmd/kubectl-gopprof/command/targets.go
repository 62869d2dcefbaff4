package command

import (
	"context"
	"fmt"
	"io"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/client"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const targetsHelp = `What the agents watch: what each pod uses of its limits, and for each rule why it did or did
not fire. Below stand pods that were found and may not be profiled, with the way out.`

const targetsExamples = `  NAME targets
  NAME targets -A -o wide
  NAME targets --pod web-6f7c9-x2x4z`

// watched is the command line of targets.
type watched struct{ cluster, node, pod, workload string }

func (c *commands) targets() *cobra.Command {
	var s watched
	cmd := &cobra.Command{
		Use: "targets", Aliases: []string{"target"}, Short: "What is watched, and why it did or did not fire",
		Long: targetsHelp, Example: c.named(targetsExamples), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runTargets(cmd.Context(), s) },
	}
	f := cmd.Flags()
	f.StringVar(&s.cluster, "cluster", "", "only of this `cluster`")
	f.StringVar(&s.node, "node", "", "only of this `node`")
	f.StringVar(&s.pod, "pod", "", "only this `pod`")
	f.StringVar(&s.workload, "workload", "", "only of this workload: `name`, or TYPE/NAME")
	c.outputFlag(cmd)
	return cmd
}

func (c *commands) runTargets(ctx context.Context, s watched) error {
	if err := c.checkOutput(); err != nil {
		return err
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	q := url.Values{}
	for name, value := range map[string]string{"cluster": s.cluster, "node": s.node, "namespace": cl.Namespace} {
		if value != "" {
			q.Set(name, value)
		}
	}
	list, err := cl.Targets(ctx, q)
	if err != nil {
		return err
	}
	list = s.of(list)
	return c.print(list, func(w io.Writer) error { return c.writeTargets(ctx, cl, w, list) })
}

// of picks what the server does not.
func (s watched) of(list api.TargetList) api.TargetList {
	if _, workload, err := parseTarget(s.workload); err == nil && workload != "" {
		s.workload = workload
	}
	fits := func(t gopprof.Target) bool {
		return (s.pod == "" || t.Pod == s.pod) && (s.workload == "" || t.Workload.String() == s.workload || t.Workload.Name == s.workload)
	}
	out := api.TargetList{Nodes: []api.Node{}}
	for _, n := range list.Nodes {
		picked := n
		picked.Targets, picked.Refused = []gopprof.TargetState{}, nil
		for _, t := range n.Targets {
			if fits(t.Target) {
				picked.Targets = append(picked.Targets, t)
			}
		}
		for _, r := range n.Refused {
			if fits(r.Target) {
				picked.Refused = append(picked.Refused, r)
			}
		}
		if s.pod == "" && s.workload == "" || len(picked.Targets)+len(picked.Refused) > 0 {
			out.Nodes = append(out.Nodes, picked)
		}
	}
	return out
}

func (c *commands) writeTargets(ctx context.Context, cl *client.Client, w io.Writer, list api.TargetList) error {
	v := c.view(cl.Namespace)
	if err := write(w, append(c.pausedLine(ctx, cl, list), show.Silent(v, list.Nodes)...)); err != nil {
		return err
	}
	table, refused := show.Targets(v, list.Nodes), show.RefusedTargets(v, list.Nodes)
	if len(table.Rows) == 0 && refused == nil {
		c.say("nothing is watched%s", in(cl.Namespace))
		return nil
	}
	if len(table.Rows) > 0 {
		if err := table.Write(w); err != nil {
			return err
		}
	}
	if refused == nil {
		return nil
	}
	if len(table.Rows) > 0 {
		fmt.Fprintln(w)
	}
	return refused.Write(w)
}

// pausedLine says that all profiling is switched off, if an agent says so.
func (c *commands) pausedLine(ctx context.Context, cl *client.Client, list api.TargetList) []string {
	for _, n := range list.Nodes {
		if n.Paused {
			p, err := cl.Pause(ctx)
			if err != nil || !p.Paused {
				return []string{"agents say that all profiling is paused"}
			}
			return []string{c.pauseWords(p)}
		}
	}
	return nil
}
