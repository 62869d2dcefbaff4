package serve

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/gopprof/gopprof/aggregator/serve/auth"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// scope is what the caller of a request may see and do: their namespaces, nothing else.
type scope struct {
	deps    Deps
	metrics *metrics
	held    *held
}

// longestWho bounds the name of who asks, in bytes: agents take no longer one.
const longestWho = 200

// mostReads bounds how many pages are read to fill one of a caller's.
const mostReads = 50

// noSuch is the answer to what is not there and to what is not the caller's alike.
func noSuch(what string) error {
	return &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "no such " + what + ": it never was, is not kept any more, or is not for you to see"}
}

// place is a namespace of a cluster; the same name in another cluster is another place.
type place struct{ cluster, namespace string }

func placeOf(t gopprof.Target) place { return place{t.Cluster, t.Namespace} }

// placeOfOperation is where all captures of an operation are.
func placeOfOperation(op gopprof.Operation) place {
	return place{op.Cluster(), op.Asked.Namespace}
}

// may tells whether the caller may do this. That nobody can say is an error with a reason.
func may(ctx context.Context, v auth.Verb, at place) (bool, error) {
	caller := auth.From(ctx)
	if caller.Cluster != "" && caller.Cluster != at.cluster {
		return false, nil
	}
	ok, err := caller.May(ctx, v, at.namespace)
	if err != nil {
		return false, &gopprof.Error{Reason: gopprof.ReasonNoAnswer, Detail: "nobody can say now what you may do: the API server did not answer", Err: err}
	}
	return ok, nil
}

// must refuses what the caller may not do.
func must(ctx context.Context, v auth.Verb, at place) error {
	ok, err := may(ctx, v, at)
	if err != nil || ok {
		return err
	}
	if at.namespace == auth.All {
		return &gopprof.Error{Reason: gopprof.ReasonForbidden, Detail: fmt.Sprintf("you may not %s in all namespaces", v)}
	}
	return &gopprof.Error{Reason: gopprof.ReasonForbidden, Detail: fmt.Sprintf("you may not %s in namespace %q", v, at.namespace)}
}

// reach remembers, for one request, in which places its caller may do something.
type reach struct {
	ctx   context.Context
	verb  auth.Verb
	known map[place]bool
}

func reachOf(ctx context.Context, v auth.Verb) *reach { return &reach{ctx, v, map[place]bool{}} }

// covers asks once for each place.
func (c *reach) covers(at place) (bool, error) {
	if ok, known := c.known[at]; known {
		return ok, nil
	}
	ok, err := may(c.ctx, c.verb, at)
	if err == nil {
		c.known[at] = ok
	}
	return ok, err
}

// List returns a page of the reports that the caller may see.
func (s scope) List(ctx context.Context, q api.ReportQuery) (api.ReportPage, error) {
	if own := auth.From(ctx).Cluster; own != "" {
		if q.Cluster != "" && q.Cluster != own {
			return api.ReportPage{}, nil
		}
		q.Cluster = own
	}
	look := reachOf(ctx, auth.View)
	ok, err := look.covers(place{q.Cluster, auth.All})
	if err == nil && !ok && q.Namespace != "" {
		ok, err = look.covers(place{q.Cluster, q.Namespace})
		if err == nil && !ok {
			return api.ReportPage{}, nil
		}
	}
	switch {
	case err != nil:
		return api.ReportPage{}, err
	case ok:
		return s.deps.Reports.List(ctx, q)
	}
	return s.sift(ctx, look, q)
}

// sift reads pages until one of the caller's own is full. Each read asks for no more than
// is still missing, so that the cursor of the last read is the cursor of the answer.
func (s scope) sift(ctx context.Context, look *reach, q api.ReportQuery) (api.ReportPage, error) {
	want, out := q.Limit, api.ReportPage{Next: q.After}
	for range mostReads {
		q.Limit, q.After = want-len(out.Reports), out.Next
		page, err := s.deps.Reports.List(ctx, q)
		if err != nil {
			return api.ReportPage{}, err
		}
		for _, r := range page.Reports {
			ok, err := look.covers(placeOf(r.Capture.Target))
			if err != nil {
				return api.ReportPage{}, err
			}
			if ok {
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
	if gopprof.ReasonOf(err) == gopprof.ReasonUnknown {
		err = noSuch("report")
	}
	if err != nil {
		return gopprof.Report{}, err
	}
	auth.About(ctx, r.Capture.Target.Namespace, id)
	if ok, err := may(ctx, auth.View, placeOf(r.Capture.Target)); err != nil || !ok {
		return gopprof.Report{}, orNoSuch(err, "report")
	}
	return r, nil
}

func orNoSuch(err error, what string) error {
	if err != nil {
		return err
	}
	return noSuch(what)
}

// Read returns a stored file, which the caller holds until ctx ends. Only keys of a report that
// the caller was shown come here.
func (s scope) Read(ctx context.Context, key string) ([]byte, error) {
	return s.held.read(ctx, auth.From(ctx).Name, func() ([]byte, error) { return s.deps.Reports.Read(ctx, key) })
}

// Capture asks for captures in the caller's name. cancel stops what this request began,
// without asking anybody's rights again.
func (s scope) Capture(ctx context.Context, m gopprof.Manual) (op gopprof.Operation, cancel func(context.Context) error, err error) {
	if op, err = s.capture(ctx, m); err != nil {
		return op, nil, err
	}
	return op, func(ctx context.Context) error {
		_, err := s.deps.Captures.Cancel(ctx, op.ID)
		return err
	}, nil
}

// MayProfile returns what tells whether the caller may ask for captures in a namespace.
func (s scope) MayProfile(ctx context.Context) func(cluster, namespace string) (bool, error) {
	look := reachOf(ctx, auth.Profile)
	return func(cluster, namespace string) (bool, error) { return look.covers(place{cluster, namespace}) }
}

// SeesWhatItTakes tells whether the caller may see what is captured in a namespace, too.
func (s scope) SeesWhatItTakes(ctx context.Context, m gopprof.Manual) error {
	return must(ctx, auth.View, place{cmp.Or(m.Cluster, auth.From(ctx).Cluster), m.Namespace})
}

func (s scope) capture(ctx context.Context, m gopprof.Manual) (gopprof.Operation, error) {
	auth.About(ctx, m.Namespace, cmp.Or(m.Pod, m.Workload.Name, m.Selector))
	m, err := s.named(ctx, m)
	if err != nil {
		return gopprof.Operation{}, err
	}
	return s.deps.Captures.Capture(ctx, m)
}

// named makes a request the caller's, who must be allowed to profile there.
func (s scope) named(ctx context.Context, m gopprof.Manual) (gopprof.Manual, error) {
	if own := auth.From(ctx).Cluster; own != "" {
		m.Cluster = cmp.Or(m.Cluster, own)
	}
	if err := must(ctx, auth.Profile, place{m.Cluster, m.Namespace}); err != nil {
		return m, err
	}
	m.Who = profile.Printable(auth.From(ctx).Name, longestWho)
	return m, nil
}

// Operation returns an operation that the caller may see: one in a namespace of theirs. Any
// other is unknown.
func (s scope) Operation(ctx context.Context, id string) (gopprof.Operation, error) {
	op, err := s.deps.Captures.Operation(ctx, id)
	if gopprof.ReasonOf(err) == gopprof.ReasonUnknown {
		err = noSuch("operation")
	}
	if err != nil {
		return gopprof.Operation{}, err
	}
	auth.About(ctx, op.Asked.Namespace, id)
	if ok, err := may(ctx, auth.View, placeOfOperation(op)); err != nil || !ok {
		return gopprof.Operation{}, orNoSuch(err, "operation")
	}
	return op, nil
}

// Operations returns the newest operations that the caller may see.
func (s scope) Operations(ctx context.Context) ([]gopprof.Operation, error) {
	look, out := reachOf(ctx, auth.View), []gopprof.Operation{}
	for _, op := range s.deps.Captures.Operations() {
		ok, err := look.covers(placeOfOperation(op))
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, op)
		}
	}
	return out, nil
}

// unsaid is how long nobody need be able to say whether the caller may still see what he
// follows. He is shown nothing meanwhile.
const unsaid = 30 * time.Second

// Follow hands over an operation that the caller may see whenever it changes, until it has
// ended, show returns false or ctx ends. When the caller may not see it any more, or nobody
// can say, that is the error.
func (s scope) Follow(ctx context.Context, id string, show func(gopprof.Operation) bool) error {
	if _, err := s.Operation(ctx, id); err != nil {
		return err
	}
	var refused error
	said := s.deps.Now()
	err := s.deps.Captures.Follow(ctx, id, func(op gopprof.Operation) bool {
		ok, err := may(ctx, auth.View, placeOfOperation(op))
		now := s.deps.Now()
		switch {
		case err != nil && ctx.Err() != nil:
			return false
		case err != nil && !op.Ended() && now.Sub(said) < unsaid:
			return true
		case err != nil || !ok:
			refused = orNoSuch(err, "operation")
			return false
		}
		said = now
		return show(op)
	})
	if err != nil {
		return err
	}
	return refused
}

// Merged returns the captures of an operation that the caller may see as one.
func (s scope) Merged(ctx context.Context, id string) (api.Merged, error) {
	op, err := s.Operation(ctx, id)
	if err != nil {
		return api.Merged{}, err
	}
	return s.deps.Groups.Merged(ctx, op)
}

// MergedProfile returns one kind of them as a profile.
func (s scope) MergedProfile(ctx context.Context, id string, k gopprof.Kind) ([]byte, error) {
	op, err := s.Operation(ctx, id)
	if err != nil {
		return nil, err
	}
	data, err := s.deps.Groups.MergedProfile(ctx, op, k)
	if err != nil {
		return nil, err
	}
	return s.held.read(ctx, auth.From(ctx).Name, func() ([]byte, error) { return data, nil }) // it may have taken long
}

// Cancel stops an operation that the caller may see and may have asked for.
func (s scope) Cancel(ctx context.Context, id string) (gopprof.Operation, error) {
	op, err := s.Operation(ctx, id)
	if err != nil {
		return op, err
	}
	if err := must(ctx, auth.Profile, placeOfOperation(op)); err != nil {
		return gopprof.Operation{}, err
	}
	return s.deps.Captures.Cancel(ctx, id)
}

// Pause returns whether everything is paused, which everybody may know who may see anything
// of it.
func (s scope) Pause(ctx context.Context) (api.PauseState, error) { return s.deps.Captures.Pause(ctx) }

// SetPause stops all profiling, or lets it go on.
func (s scope) SetPause(ctx context.Context, p gopprof.Pause) (api.PauseState, error) {
	own := auth.From(ctx).Cluster
	if err := must(ctx, auth.Control, place{own, auth.All}); err != nil {
		return api.PauseState{}, err
	}
	for _, n := range s.deps.Captures.Nodes() { // it stops all clusters
		if own != "" && n.Cluster != own {
			return api.PauseState{}, &gopprof.Error{Reason: gopprof.ReasonForbidden, Detail: fmt.Sprintf("you may do this in cluster %q alone, and the switch is for all of this aggregator's", own)}
		}
	}
	p.Who = auth.From(ctx).Name
	return s.deps.Captures.SetPause(ctx, p)
}

// Nodes returns the nodes with those targets that the caller may see. Nodes without any
// are left out, but for callers who see all namespaces of their cluster.
func (s scope) Nodes(ctx context.Context) ([]gopprof.NodeState, error) {
	look, out := reachOf(ctx, auth.View), []gopprof.NodeState{}
	for _, n := range s.deps.Captures.Nodes() {
		if all, err := look.covers(place{n.Cluster, auth.All}); err != nil {
			return nil, err
		} else if all {
			out = append(out, n)
			continue
		}
		seen, err := look.node(n)
		if err != nil {
			return nil, err
		}
		if len(seen.Targets)+len(seen.Refused) > 0 {
			out = append(out, seen)
		}
	}
	return out, nil
}

// node returns a node with those targets that are seen.
func (c *reach) node(n gopprof.NodeState) (gopprof.NodeState, error) {
	seen := n
	seen.Targets, seen.Refused = nil, nil
	for _, t := range n.Targets {
		if ok, err := c.covers(placeOf(t.Target)); err != nil {
			return n, err
		} else if ok {
			seen.Targets = append(seen.Targets, t)
		}
	}
	for _, r := range n.Refused {
		if ok, err := c.covers(placeOf(r.Target)); err != nil {
			return n, err
		} else if ok {
			seen.Refused = append(seen.Refused, r)
		}
	}
	return seen, nil
}
