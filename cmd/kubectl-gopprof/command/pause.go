package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/client"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
	"github.com/gopprof/gopprof/pkg/api"
)

const obeyEvery = 500 * time.Millisecond

const pauseHelp = `Switch all profiling off, everywhere: what rules would take, and what people ask for. Every agent
obeys within seconds and drops what it is taking; the command waits until all have said so.
It stays so until ` + "`resume`" + `. Only administrators of all namespaces may do this.`

const pauseExamples = `  NAME pause --why "load test until noon"
  NAME resume`

func (c *commands) pause() *cobra.Command {
	var why string
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "pause", Short: "Switch all profiling off, within seconds", Long: pauseHelp, Example: c.named(pauseExamples), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.setPause(cmd.Context(), api.PauseRequest{Paused: true, Why: why}, wait)
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "`text` for those who wonder")
	waitFlag(cmd, &wait)
	return cmd
}

func (c *commands) resume() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "resume", Short: "Let profiling go on after a pause", Example: c.named(pauseExamples), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.setPause(cmd.Context(), api.PauseRequest{}, wait)
		},
	}
	waitFlag(cmd, &wait)
	return cmd
}

func waitFlag(cmd *cobra.Command, to *time.Duration) {
	cmd.Flags().DurationVar(to, "wait", 15*time.Second, "longest `time` to wait for the agents; 0 does not wait")
}

func (c *commands) setPause(ctx context.Context, r api.PauseRequest, wait time.Duration) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	cl.Namespace = "" // the switch is of all
	p, err := cl.SetPause(ctx, r)
	if err != nil {
		return err
	}
	p, err = c.untilObeyed(ctx, cl, p, wait)
	if err != nil {
		return err
	}
	if err := write(c.Out, []string{c.pauseWords(p)}); err != nil {
		return err
	}
	switch {
	case p.Paused != r.Paused:
		return fmt.Errorf("somebody switched it back meanwhile")
	case p.Obeying < p.Agents:
		c.say("%d agents have not said so yet: they may be slow or cut off; `targets` names nodes that are silent", p.Agents-p.Obeying)
		return errSaid
	}
	return nil
}

// untilObeyed looks until every agent obeys, for as long as may be waited.
func (c *commands) untilObeyed(ctx context.Context, cl *client.Client, p api.PauseState, wait time.Duration) (api.PauseState, error) {
	asked := p.Paused
	for waited := time.Duration(0); p.Paused == asked && p.Obeying < p.Agents && waited < wait; waited += obeyEvery {
		if err := c.Wait(ctx, obeyEvery); err != nil {
			return p, err
		}
		next, err := cl.Pause(ctx)
		if err != nil {
			return p, err
		}
		p = next
	}
	return p, nil
}

func (c *commands) pauseWords(p api.PauseState) string {
	s := "profiling goes on"
	if p.Paused {
		s = "all profiling is paused"
	}
	if p.Who != "" {
		s += " by " + p.Who
	}
	if !p.At.IsZero() {
		s += " since " + show.Age(c.Now(), p.At)
	}
	if p.Why != "" {
		s += ": " + p.Why
	}
	return fmt.Sprintf("%s (%d of %d agents obey)", s, p.Obeying, p.Agents)
}
