package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/client"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const operationsExamples = `  NAME operations
  NAME operations 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b
  NAME operations 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b --watch`

func (c *commands) operations() *cobra.Command {
	var limit int
	var watch bool
	cmd := &cobra.Command{
		Use: "operations [OPERATION]", Aliases: []string{"operation", "ops"}, Short: "Captures asked for by hand, newest first, or one of them pod by pod",
		Example: c.named(operationsExamples), Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: c.asked(operationWords, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.checkOutput(); err != nil {
				return err
			}
			cl, err := c.client()
			switch {
			case err != nil:
				return err
			case len(args) == 1:
				return c.oneOperation(cmd.Context(), cl, args[0], watch)
			case watch:
				return usage("--watch needs an operation")
			}
			return c.allOperations(cmd.Context(), cl, limit)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "most operations")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "wait until it has ended; an interrupt cancels nothing")
	c.outputFlag(cmd)
	return cmd
}

func (c *commands) allOperations(ctx context.Context, cl *client.Client, limit int) error {
	all, err := cl.Operations(ctx)
	if err != nil {
		return err
	}
	list := []gopprof.Operation{}
	for _, o := range all {
		if (cl.Namespace == "" || o.Asked.Namespace == cl.Namespace) && len(list) < limit {
			list = append(list, o)
		}
	}
	return c.print(api.OperationList{Operations: list}, func(w io.Writer) error {
		if len(list) == 0 {
			c.say("no operations%s", in(cl.Namespace))
			return nil
		}
		return show.Operations(c.view(cl.Namespace), list).Write(w)
	})
}

func (c *commands) oneOperation(ctx context.Context, cl *client.Client, id string, watch bool) error {
	if err := gopprof.CheckID(id); err != nil {
		return usageError{err}
	}
	op, err := cl.Operation(ctx, id)
	if err == nil && watch {
		op, err = c.watch(ctx, cl, op)
	}
	if err != nil {
		return err
	}
	if watch {
		return c.finish(ctx, cl, op, place{})
	}
	return c.print(op, func(w io.Writer) error {
		line := fmt.Sprintf("%s of %s by %s, %s ago: %s", show.Asked(op.Asked), op.Asked.Namespace, op.Who, show.Age(c.Now(), op.At), show.Progress(op))
		if err := write(w, []string{line}); err != nil {
			return err
		}
		return show.Captures(c.view(op.Asked.Namespace), op).Write(w)
	})
}

const cancelExamples = `  NAME cancel 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b`

func (c *commands) cancel() *cobra.Command {
	return &cobra.Command{
		Use: "cancel OPERATION", Short: "Stop what of an operation has not ended",
		Example: c.named(cancelExamples), Args: cobra.ExactArgs(1),
		ValidArgsFunction: c.asked(operationWords, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.end(args[0], func(cl *client.Client) (string, error) {
				op, err := cl.Cancel(cmd.Context(), args[0])
				return "cancelled: " + show.Progress(op), err
			})
		},
	}
}

// end ends what has an ID, and says what was done.
func (c *commands) end(id string, do func(cl *client.Client) (said string, err error)) error {
	if err := gopprof.CheckID(id); err != nil {
		return usageError{err}
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	said, err := do(cl)
	if err != nil {
		return err
	}
	return write(c.Out, []string{said})
}
