package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/client"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// found is what an ID named: a report, or the merged profiles of an operation.
type found struct {
	report gopprof.Report
	merged *api.Merged
}

// find looks an ID up. An operation of one report is that report.
func (c *commands) find(ctx context.Context, cl *client.Client, id string) (found, error) {
	if err := gopprof.CheckID(id); err != nil {
		return found{}, usageError{err}
	}
	r, err := cl.Report(ctx, id)
	if client.SortOf(err) != client.Missing {
		return found{report: r}, err
	}
	op, err := cl.Operation(ctx, id)
	switch {
	case client.SortOf(err) == client.Missing:
		return found{}, c.missing(id, err)
	case err != nil:
		return found{}, err
	}
	return c.ofOperation(ctx, cl, op)
}

func (c *commands) missing(id string, err error) error {
	text := "no report or operation " + id
	if !c.all {
		text += "; one of another namespace is found by -n or -A"
	}
	return &client.Failure{Sort: client.Missing, Text: text, Err: err}
}

func (c *commands) ofOperation(ctx context.Context, cl *client.Client, op gopprof.Operation) (found, error) {
	if op.Asked.Merge {
		m, err := cl.Merged(ctx, op.ID)
		return found{merged: &m}, err
	}
	var ids []string
	for _, oc := range show.Sorted(op.Captures) {
		if oc.Report != "" {
			ids = append(ids, oc.Report+" of "+oc.Target.Pod)
		}
	}
	switch len(ids) {
	case 0:
		return found{}, fmt.Errorf("operation %s has no report: %s", op.ID, show.Progress(op))
	case 1:
		id, _, _ := strings.Cut(ids[0], " ")
		if err := gopprof.CheckID(id); err != nil {
			return found{}, err
		}
		r, err := cl.Report(ctx, id)
		return found{report: r}, err
	}
	return found{}, usage("operation %s has several reports, choose one:\n%s", op.ID, strings.Join(ids, "\n"))
}

// kinds lists the kinds of profiles that there are.
func (f found) kinds() []gopprof.Kind {
	var kinds []gopprof.Kind
	if f.merged != nil {
		for _, k := range f.merged.Kinds {
			if k.Profile != "" {
				kinds = append(kinds, k.Kind)
			}
		}
		return kinds
	}
	return api.Summarize(f.report).Kinds
}

// choose returns the kind that was asked for, or the first that there is, cpu before all.
func (f found) choose(name string) (gopprof.Kind, error) {
	kinds := f.kinds()
	if len(kinds) == 0 {
		return "", fmt.Errorf("there is no profile")
	}
	if name == "" {
		if slices.Contains(kinds, gopprof.KindCPU) {
			return gopprof.KindCPU, nil
		}
		return gopprof.ParseKind(string(kinds[0]))
	}
	k, err := gopprof.ParseKind(name)
	if err != nil {
		return "", usageError{err}
	}
	if !slices.Contains(kinds, k) {
		return "", usage("there is no %s profile, only %v", k, kinds)
	}
	return k, nil
}

// path returns the path of the API of a profile.
func (f found) path(k gopprof.Kind) string {
	if f.merged != nil {
		return api.PathMergedProfile(f.merged.Operation, k)
	}
	return api.PathProfile(f.report.ID, k)
}
