package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gopprof/gopprof/aggregator/explain/group"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// groups makes one of the captures of an operation, out of what is stored of them, one
// group at a time. The last few of operations that have ended are kept, if they are small.
type groups struct {
	reports reportReader
	gate    *profile.Gate
	turn    chan struct{} // holds one who merges
	line    chan struct{} // holds those who wait for it
	kept    *[]keptGroup  // newest last; whoever holds turn may read and change it
}

// keptGroup is what came of one kind of an operation that has ended.
type keptGroup struct {
	operation string
	kind      gopprof.Kind
	stored    int // captures: one may be stored late
	result    group.Result
}

const (
	maxKeptGroups = 8
	maxKeptBytes  = 8 << 20 // of the profiles of those; a usual one has some ten thousand
	maxGroupsLine = 16
	// mergeWithin is the longest that one may take: large profiles wait for it (profile.Gate).
	mergeWithin = 2 * time.Minute
)

// reportReader is the store as groups need it, with named errors.
type reportReader interface {
	Report(ctx context.Context, id string) (gopprof.Report, error)
	Read(ctx context.Context, key string) ([]byte, error)
}

func newGroups(r reportReader, gate *profile.Gate) groups {
	return groups{r, gate, make(chan struct{}, 1), make(chan struct{}, maxGroupsLine), &[]keptGroup{}}
}

// Merged implements serve.Groups.
func (g groups) Merged(ctx context.Context, op gopprof.Operation) (api.Merged, error) {
	out := api.Merged{Operation: op.ID, Kinds: []api.MergedKind{}}
	for _, kind := range op.Asked.Kinds {
		if kind == gopprof.KindTrace { // no pprof file
			continue
		}
		result, err := g.merge(ctx, op, kind)
		if err != nil {
			return api.Merged{}, err
		}
		if result.Profile != nil {
			result.Kind.Profile = api.PathMergedProfile(op.ID, kind)
		}
		out.Kinds = append(out.Kinds, result.Kind)
	}
	return out, nil
}

// MergedProfile implements serve.Groups.
func (g groups) MergedProfile(ctx context.Context, op gopprof.Operation, kind gopprof.Kind) ([]byte, error) {
	result, err := g.merge(ctx, op, kind)
	if err != nil {
		return nil, err
	}
	if result.Profile == nil {
		return nil, nothingToMerge(op, result.Kind)
	}
	return result.Profile, nil
}

// nothingToMerge says why there is no merged profile: as the first pod that was left out.
func nothingToMerge(op gopprof.Operation, k api.MergedKind) error {
	if len(k.LeftOut) == 0 {
		return &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: fmt.Sprintf("operation %s has no %s profile yet", op.ID, k.Kind)}
	}
	first := k.LeftOut[0]
	return &gopprof.Error{Reason: first.Reason, Detail: fmt.Sprintf("no pod's %s profile could be had; of %s: %s", k.Kind, first.Pod, first.Detail)}
}

func (g groups) merge(ctx context.Context, op gopprof.Operation, kind gopprof.Kind) (group.Result, error) {
	select {
	case g.line <- struct{}{}:
		defer func() { <-g.line }()
	default:
		return group.Result{}, &gopprof.Error{Reason: gopprof.ReasonBudget, Detail: "many groups are being merged: ask again later"}
	}
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return group.Result{}, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, mergeWithin)
	defer cancel()
	stored := 0
	for _, oc := range op.Captures {
		if oc.State == gopprof.CaptureStored {
			stored++
		}
	}
	for _, k := range *g.kept {
		if k.operation == op.ID && k.kind == kind && k.stored == stored {
			return k.result, nil
		}
	}
	result, err := g.mergeNow(ctx, op, kind)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = &gopprof.Error{Reason: gopprof.ReasonTimeout, Detail: fmt.Sprintf("the group's profiles could not be read and merged within %v: the store is slow, or they are large: ask again, or for fewer pods", mergeWithin)}
	}
	if err == nil && op.Ended() && ctx.Err() == nil {
		g.keep(keptGroup{op.ID, kind, stored, result})
	}
	return result, err
}

// keep keeps what came of a group, in the place of the oldest where there is no room. What is
// larger than all may be that are kept is made again for whoever asks again.
func (g groups) keep(k keptGroup) {
	if len(k.result.Profile) > maxKeptBytes {
		return
	}
	k.result.Profile = bytes.Clone(k.result.Profile) // without what its writer reserved
	all := append(*g.kept, k)
	for len(all) > maxKeptGroups || profileBytes(all) > maxKeptBytes {
		all = slices.Delete(all, 0, 1) // which lets go of it
	}
	*g.kept = all
}

func profileBytes(kept []keptGroup) (n int) {
	for _, k := range kept {
		n += len(k.result.Profile)
	}
	return n
}

func (g groups) mergeNow(ctx context.Context, op gopprof.Operation, kind gopprof.Kind) (group.Result, error) {
	var members []group.Member
	var failed []api.LeftOut
	for _, oc := range op.Captures {
		switch oc.State {
		case gopprof.CaptureStored:
			members = append(members, g.member(ctx, oc, kind))
		case gopprof.CaptureFailed:
			failed = append(failed, api.LeftOut{Pod: oc.Target.Pod, Reason: oc.Reason, Detail: oc.Detail})
		}
	}
	limits, leave := g.gate.Through(profile.DefaultLimits())
	defer leave()
	result, err := group.Merge(kind, members, limits)
	result.Kind.LeftOut = append(result.Kind.LeftOut, failed...)
	return result, err
}

// member is one pod's profile, read when it is its turn.
func (g groups) member(ctx context.Context, oc gopprof.OperationCapture, kind gopprof.Kind) group.Member {
	return group.Member{Pod: oc.Target.Pod, Report: oc.Report, Read: func() ([]byte, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r, err := g.reports.Report(ctx, oc.Report)
		if err != nil {
			return nil, err
		}
		f, ok := r.File(kind)
		if !ok {
			return nil, missing(r, kind)
		}
		return g.reports.Read(ctx, f.Profile)
	}}
}

// missing says why a report holds no profile of a kind.
func missing(r gopprof.Report, kind gopprof.Kind) error {
	for _, f := range r.Capture.Failures {
		if f.Kind == kind {
			return &gopprof.Error{Reason: f.Reason, Detail: f.Detail}
		}
	}
	return &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: fmt.Sprintf("its report holds no %s profile", kind)}
}
