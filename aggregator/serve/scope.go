package serve

import (
	"context"
	"fmt"

	"github.com/gopprof/gopprof/aggregator/serve/auth"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// scope is what the caller of a request may see and do: their namespaces, nothing else.
type scope struct{ deps Deps }

// mostReads bounds how many pages are read to fill one of a caller's.
const mostReads = 50

// List returns a page of the reports that the caller may see.
func (s scope) List(ctx context.Context, q api.ReportQuery) (api.ReportPage, error) {
	caller := auth.From(ctx)
	switch {
	case caller.Everything:
		return s.deps.Reports.List(ctx, q)
	case q.Namespace == "" && len(caller.Namespaces) == 1:
		q.Namespace = caller.Namespaces[0]
	}
	if q.Namespace != "" {
		if !caller.Sees(q.Namespace) {
			return api.ReportPage{}, nil
		}
		return s.deps.Reports.List(ctx, q)
	}
	return s.sift(ctx, caller, q)
}

// sift reads pages until one of the caller's own is full. Each read asks for no more than
// is still missing, so that the cursor of the last read is the cursor of the answer.
func (s scope) sift(ctx context.Context, caller auth.Caller, q api.ReportQuery) (api.ReportPage, error) {
	want, out := q.Limit, api.ReportPage{Next: q.After}
	for range mostReads {
		q.Limit, q.After = want-len(out.Reports), out.Next
		page, err := s.deps.Reports.List(ctx, q)
		if err != nil {
			return api.ReportPage{}, err
		}
		for _, r := range page.Reports {
			if caller.Sees(r.Capture.Target.Namespace) {
				out.Reports = append(out.Reports, r)
			}
		}
		if out.Next = page.Next; out.Next == "" || len(out.Reports) >= want {
			break
		}
	}
	return out, nil
}

// Report returns a report that the caller may see; any other is unknown.
func (s scope) Report(ctx context.Context, id string) (gopprof.Report, error) {
	r, err := s.deps.Reports.Report(ctx, id)
	if err == nil && !auth.From(ctx).Sees(r.Capture.Target.Namespace) {
		return gopprof.Report{}, &gopprof.Error{Reason: gopprof.ReasonUnknown}
	}
	return r, err
}

// Read returns a stored file. Only keys of a report that the caller was shown come here.
func (s scope) Read(ctx context.Context, key string) ([]byte, error) {
	return s.deps.Reports.Read(ctx, key)
}

// Capture asks for a capture in the caller's name.
func (s scope) Capture(ctx context.Context, m gopprof.Manual) (gopprof.Operation, error) {
	caller := auth.From(ctx)
	if !caller.Sees(m.Namespace) {
		return gopprof.Operation{}, &gopprof.Error{Reason: gopprof.ReasonForbidden, Detail: fmt.Sprintf("namespace %q is not yours", m.Namespace)}
	}
	m.Who = caller.Name
	return s.deps.Captures.Capture(ctx, m)
}

// Operation returns an operation all of whose targets the caller may see; any other is
// unknown.
func (s scope) Operation(ctx context.Context, id string) (gopprof.Operation, error) {
	op, err := s.deps.Captures.Operation(ctx, id)
	if err != nil {
		return op, err
	}
	for _, c := range op.Captures {
		if !auth.From(ctx).Sees(c.Target.Namespace) {
			return gopprof.Operation{}, &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "no such operation"}
		}
	}
	return op, nil
}

// Cancel stops an operation that the caller may see.
func (s scope) Cancel(ctx context.Context, id string) (gopprof.Operation, error) {
	if op, err := s.Operation(ctx, id); err != nil {
		return op, err
	}
	return s.deps.Captures.Cancel(ctx, id)
}

// Nodes returns the nodes with those targets that the caller may see. Nodes without any
// are left out, but for callers who see everything.
func (s scope) Nodes(ctx context.Context) []gopprof.NodeState {
	caller, out := auth.From(ctx), []gopprof.NodeState{}
	for _, n := range s.deps.Captures.Nodes() {
		if caller.Everything {
			out = append(out, n)
			continue
		}
		seen := n
		seen.Targets, seen.Refused = nil, nil
		for _, t := range n.Targets {
			if caller.Sees(t.Target.Namespace) {
				seen.Targets = append(seen.Targets, t)
			}
		}
		for _, r := range n.Refused {
			if caller.Sees(r.Target.Namespace) {
				seen.Refused = append(seen.Refused, r)
			}
		}
		if len(seen.Targets)+len(seen.Refused) > 0 {
			out = append(out, seen)
		}
	}
	return out
}
