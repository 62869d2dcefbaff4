package command

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/client"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// outcome is an operation that has ended, with the reports of it that were read.
type outcome struct {
	op      gopprof.Operation
	reports []gopprof.Report // in the order of show.Sorted, without those that there are not
}

// finish tells what became of an operation and fetches its profiles.
func (c *commands) finish(ctx context.Context, cl *client.Client, op gopprof.Operation, p place) error {
	o, err := read(ctx, cl, op, p)
	if err != nil {
		return err
	}
	if err := c.tell(ctx, cl, o, p); err != nil {
		return err
	}
	files, err := c.save(ctx, cl, o, p)
	if err != nil {
		return err
	}
	c.hint(op, files)
	if !o.whole() {
		return errSaid
	}
	return nil
}

// read fetches the reports that are needed: the one of a single pod, for what it says, and
// all whose profiles are wanted.
func read(ctx context.Context, cl *client.Client, op gopprof.Operation, p place) (outcome, error) {
	o := outcome{op: op}
	if len(op.Captures) > 1 && p.dir == "" {
		return o, nil
	}
	for _, oc := range show.Sorted(op.Captures) {
		if oc.State != gopprof.CaptureStored {
			continue
		}
		if err := gopprof.CheckID(oc.Report); err != nil {
			return o, fmt.Errorf("the report of pod %s: %w", oc.Target.Pod, err)
		}
		r, err := cl.Report(ctx, oc.Report)
		if err != nil {
			return o, err
		}
		o.reports = append(o.reports, r)
	}
	return o, nil
}

// whole tells whether everything that was asked for was captured, as far as is known.
func (o outcome) whole() bool {
	for _, oc := range o.op.Captures {
		if oc.State != gopprof.CaptureStored {
			return false
		}
	}
	for _, r := range o.reports {
		if len(r.Capture.Failures) > 0 {
			return false
		}
	}
	return len(o.op.Captures) > 0
}

// tell writes the result: each pod's report or why there is none, and who differs.
func (c *commands) tell(ctx context.Context, cl *client.Client, o outcome, p place) error {
	return c.print(o.op, func(w io.Writer) error {
		if p.stdout {
			w = c.Err
		}
		if err := show.Captures(c.view(o.op.Asked.Namespace), o.op).Write(w); err != nil {
			return err
		}
		if o.op.Asked.Merge {
			return c.tellMerged(ctx, cl, o.op, w)
		}
		return o.say(w)
	})
}

// say writes what the report of a single pod says, and which profiles of several could not
// be taken.
func (o outcome) say(w io.Writer) error {
	if len(o.op.Captures) == 1 && len(o.reports) == 1 {
		return tellReport(w, o.reports[0])
	}
	var lines []string
	for _, r := range o.reports {
		for _, f := range r.Capture.Failures {
			lines = append(lines, fmt.Sprintf("%s: no %s profile: %s", r.Capture.Target.Pod, f.Kind, show.Because(f.Reason, f.Detail)))
		}
	}
	return write(w, lines)
}

// tellReport writes what a person should know of a report first: what it says, what limits
// that, why it was hot, and what it lacks.
func tellReport(w io.Writer, r gopprof.Report) error {
	lines := []string{r.Explanation.Summary}
	for _, warning := range r.Explanation.Warnings {
		lines = append(lines, "warning: "+warning)
	}
	lines = append(lines, show.Why(r.Explanation.Verdict)...)
	for _, f := range r.Capture.Failures {
		lines = append(lines, fmt.Sprintf("no %s profile: %s", f.Kind, show.Because(f.Reason, f.Detail)))
	}
	return write(w, lines)
}

func (c *commands) tellMerged(ctx context.Context, cl *client.Client, op gopprof.Operation, w io.Writer) error {
	if !stored(op) {
		return nil
	}
	m, err := cl.Merged(ctx, op.ID)
	if err != nil {
		return err
	}
	for _, k := range m.Kinds {
		if err := write(w, show.Merged(k)); err != nil {
			return err
		}
	}
	return nil
}

func stored(op gopprof.Operation) bool {
	return slices.ContainsFunc(op.Captures, func(oc gopprof.OperationCapture) bool { return oc.State == gopprof.CaptureStored })
}

func write(w io.Writer, lines []string) error {
	for _, l := range lines {
		if _, err := fmt.Fprintln(w, show.Clean(l)); err != nil {
			return err
		}
	}
	return nil
}

// hint says how to go on.
func (c *commands) hint(op gopprof.Operation, files []string) {
	for _, f := range files {
		c.say("written: %s", f)
	}
	switch {
	case len(files) > 0:
		c.say("look at it: %s %s", viewer(files[0]), files[0])
	case op.Asked.Merge && stored(op):
		c.say("look at it: %s", c.again("open "+op.ID))
	default:
		for _, oc := range show.Sorted(op.Captures) {
			if oc.State == gopprof.CaptureStored {
				c.say("look at it: %s", c.again("open "+oc.Report))
				return
			}
		}
	}
}
