package command

import (
	"context"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const reportsExamples = `  NAME reports -n shop
  NAME reports -A --since 24h --kind heap
  NAME reports -A --cause gc_bound
  NAME reports --workload deploy/web --limit 100 -o json`

// selection is the command line of reports.
type selection struct {
	cluster, workload, pod, kind, incident, cause string
	since                                         time.Duration
	limit                                         int
}

func (c *commands) reports() *cobra.Command {
	var s selection
	cmd := &cobra.Command{
		Use: "reports", Aliases: []string{"report"}, Short: "What was found, newest first",
		Example: c.named(reportsExamples), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runReports(cmd.Context(), s) },
	}
	f := cmd.Flags()
	f.StringVar(&s.cluster, "cluster", "", "only of this `cluster`")
	f.StringVar(&s.workload, "workload", "", "only of this workload: `name`, or TYPE/NAME")
	f.StringVar(&s.pod, "pod", "", "only of this `pod`")
	f.StringVar(&s.incident, "incident", "", "only of this incident, by `ID`")
	f.DurationVar(&s.since, "since", 0, "only the last `duration`: 90m, 24h")
	f.IntVar(&s.limit, "limit", 20, "most reports")
	c.causeFlag(cmd, &s.cause)
	c.kindFlag(cmd, &s.kind, "only with a profile of this `kind`")
	c.outputFlag(cmd)
	return cmd
}

func (c *commands) runReports(ctx context.Context, s selection) error {
	if err := c.checkOutput(); err != nil {
		return err
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	q, err := s.query(cl.Namespace, c.Now())
	if err != nil {
		return err
	}
	list, err := cl.Reports(ctx, q, s.limit)
	if err != nil {
		return err
	}
	if list.Reports == nil {
		list.Reports = []api.ReportSummary{} // never null for programs
	}
	return c.print(list, func(w io.Writer) error {
		if len(list.Reports) == 0 {
			c.say("no reports%s", in(cl.Namespace))
			return nil
		}
		return show.Reports(c.view(cl.Namespace), list.Reports).Write(w)
	})
}

func (s selection) query(namespace string, now time.Time) (url.Values, error) {
	if s.limit < 1 {
		return nil, usage("--limit must be above 0")
	}
	if s.kind != "" {
		k, err := gopprof.ParseKind(s.kind)
		if err != nil {
			return nil, usageError{err}
		}
		s.kind = string(k)
	}
	if s.cause != "" {
		if _, err := gopprof.ParseCauseKind(s.cause); err != nil {
			return nil, usageError{err}
		}
	}
	if pod, workload, err := parseTarget(s.workload); err == nil && pod == "" {
		s.workload = workload
	}
	q := url.Values{}
	for name, value := range map[string]string{
		"cluster": s.cluster, "namespace": namespace, "workload": s.workload, "pod": s.pod, "kind": s.kind, "incident": s.incident, "cause": s.cause,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if s.since > 0 {
		q.Set("from", now.Add(-s.since).UTC().Format(time.RFC3339))
	}
	return q, nil
}

func in(namespace string) string {
	if namespace == "" {
		return ""
	}
	return " in namespace " + namespace + "; -A is all"
}
