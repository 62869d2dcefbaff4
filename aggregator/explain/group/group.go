// Package group makes one profile of a group of pods, and says who of it is different.
//
// Enters: the pods' profiles of one kind, read one at a time through a function of the
// caller's. Leaves: their sum as a file, each pod's part of it, the pods that spend their
// time differently from the others and on what, and the pods that were left out, each with
// its reason. It is pure: what it says depends on the profiles alone, not on their order,
// and it has no clock.
//
// Must never happen: a claim that chance explains as well; one pod's file that keeps the
// others out of the sum, or makes them look different; more in memory than the sum and one
// profile, which together are allowed what one is, and a thousand numbers of each pod.
package group

import (
	"fmt"
	"runtime/debug"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// topFunctions is how many functions of the sum are listed by flat, and by cum.
const topFunctions = 20

// Member is one pod of a group and its profile.
type Member struct {
	Pod     string  // its name; with its container, if it is in the group twice
	Report  string  // ID
	Seconds float64 // that the profile took; 0 when unknown, then the file is asked
	// Read returns the profile's bytes as they came. It is called twice at most, so that
	// the group's files are never in memory together. Its error leaves the pod out, with
	// the error's reason (gopprof.ReasonOf), or store_failed.
	Read func() ([]byte, error)
}

// Result is what came of a group.
type Result struct {
	// Kind is complete but for the path of the profile, which is the caller's to give.
	Kind api.MergedKind
	// Profile is the sum: a gzipped pprof file that profile.Parse accepts under the same
	// limits, without labels; nil when no pod's profile could be read.
	Profile []byte
}

// Merge adds the profiles of a group and compares the pods. The limits hold for each pod's
// profile, and together for the sum and the profile that is added to it: what finds no room
// is left out, the largest first.
// A pod that cannot be read costs its own part only. The error is a *gopprof.Error:
// bad_input for a kind that is no pprof file.
func Merge(kind gopprof.Kind, members []Member, lim profile.Limits) (Result, error) {
	if _, err := gopprof.ParseKind(string(kind)); err != nil || kind == gopprof.KindTrace {
		return Result{}, &gopprof.Error{Reason: gopprof.ReasonBadInput, Detail: fmt.Sprintf("profiles of kind %.32q cannot be merged", string(kind))}
	}
	g := &group{kind: kind, members: members, limits: lim, leftOut: map[int]api.LeftOut{}}
	defer g.release()
	pods := g.fitting(g.weigh())
	found := judge(kind, pods, g.names.list)
	sum := g.add(pods, found)
	return g.result(pods, found, sum)
}

// group is a group while it is worked on.
type group struct {
	kind    gopprof.Kind
	members []Member
	limits  profile.Limits
	names   names
	leftOut map[int]api.LeftOut // by place in members
	most    int64               // bytes that reading the costliest took
}

// largeCost is the cost in bytes from which a profile's memory is worth giving back to the
// machine. A usual one costs a tenth of it.
const largeCost = 16 << 20

// release gives back what large profiles took.
func (g *group) release() {
	if g.most > largeCost {
		debug.FreeOSMemory()
	}
}

// leave leaves a member out.
func (g *group) leave(member int, reason gopprof.Reason, detail string) {
	g.leftOut[member] = api.LeftOut{Pod: g.members[member].Pod, Reason: reason, Detail: profile.Printable(detail, maxDetail)}
}

// maxDetail is the longest detail, in bytes: those of a store's errors are foreign.
const maxDetail = 1000

// parse reads and parses a member's profile, or leaves the member out.
func (g *group) parse(member int) *profile.Profile {
	data, err := g.members[member].Read()
	if err != nil {
		reason := gopprof.ReasonOf(err)
		if reason == "" {
			reason = gopprof.ReasonStoreFailed
		}
		g.leave(member, reason, err.Error())
		return nil
	}
	p, err := profile.Parse(data, g.limits)
	if err != nil {
		g.most = g.limits.MemoryBytes // for all that is known
		g.leave(member, profile.ReasonOf(err), err.Error())
		return nil
	}
	g.most = max(g.most, p.Cost())
	return p
}

// result puts together what was found.
func (g *group) result(pods []pod, found findings, sum *profile.Profile) (Result, error) {
	r := Result{Kind: api.MergedKind{Kind: g.kind, Pods: []api.MergedPod{}, Outliers: []api.Outlier{}}}
	if sum != nil {
		var err error
		if r.Profile, err = sum.Bytes(); err != nil {
			return Result{}, &gopprof.Error{Reason: gopprof.ReasonInternal, Err: err}
		}
		w, err := sum.Weigh(g.kind)
		if err != nil {
			return Result{}, &gopprof.Error{Reason: gopprof.ReasonInternal, Err: err}
		}
		r.Kind.Top = w.Top(topFunctions)
		found.explainLess(w)
	}
	r.Kind.Pods = g.parts(pods)
	r.Kind.Outliers = g.outliers(found)
	r.Kind.Note = g.note(pods, found)
	for i := range g.members {
		if l, ok := g.leftOut[i]; ok {
			r.Kind.LeftOut = append(r.Kind.LeftOut, l)
		}
	}
	return r, nil
}
