package command

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const topExamples = `  NAME top 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b
  NAME top 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b --kind heap --limit 30 -o wide`

func (c *commands) top() *cobra.Command {
	var kind string
	var limit int
	cmd := &cobra.Command{
		Use: "top REPORT|OPERATION", Short: "The heaviest functions of a report, its cause first",
		Example: c.named(topExamples), Args: cobra.ExactArgs(1),
		ValidArgsFunction: c.asked(reportWords, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.checkOutput(); err != nil {
				return err
			}
			cl, err := c.client()
			if err != nil {
				return err
			}
			f, err := c.find(cmd.Context(), cl, args[0])
			if err != nil {
				return err
			}
			return c.printTop(f, kind, limit)
		},
	}
	c.kindFlag(cmd, &kind, "`kind` of the profile; all of them when left out")
	cmd.Flags().IntVar(&limit, "limit", 10, "most functions of a profile")
	c.outputFlag(cmd)
	return cmd
}

func (c *commands) printTop(f found, kind string, limit int) error {
	tops := f.report.Explanation.Profiles
	var v any = f.report
	tell := func(w io.Writer) error { return tellReport(w, f.report) }
	if f.merged != nil {
		v, tops, tell = f.merged, nil, func(w io.Writer) error { return nil }
		for _, k := range f.merged.Kinds {
			tops = append(tops, k.Top)
		}
	}
	if kind != "" {
		k, err := f.choose(kind)
		if err != nil {
			return err
		}
		tops = slices.DeleteFunc(slices.Clone(tops), func(t gopprof.TopFunctions) bool { return t.Kind != k })
	}
	return c.print(v, func(w io.Writer) error {
		if err := tell(w); err != nil {
			return err
		}
		for _, t := range tops {
			if err := c.writeTop(w, t, limit); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *commands) writeTop(w io.Writer, t gopprof.TopFunctions, limit int) error {
	if _, err := fmt.Fprintf(w, "\n%s\n", show.Heading(t)); err != nil {
		return err
	}
	if len(t.Functions) == 0 {
		return nil
	}
	return show.Top(c.view(""), t, limit).Write(w)
}
