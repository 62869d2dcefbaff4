package accept

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	maxPatience = 15 * time.Minute // how far in the future a request's deadline may lie
	maxWho      = 256              // bytes of the name of who asked
)

func bad(format string, args ...any) error {
	return &gopprof.Error{Reason: gopprof.ReasonBadInput, Detail: fmt.Sprintf(format, args...)}
}

// check refuses a request that makes no sense, before anything is looked up.
func check(r gopprof.CaptureRequest, now time.Time) error {
	if err := gopprof.CheckID(r.Capture); err != nil {
		return bad("%v", err)
	}
	for _, id := range []string{r.Incident, r.Request.Operation} {
		if id == "" {
			continue
		}
		if err := gopprof.CheckID(id); err != nil {
			return bad("%v", err)
		}
	}
	switch r.Kind {
	case gopprof.TriggerManual, gopprof.TriggerSibling, gopprof.TriggerAlert:
	default:
		return bad("a request of kind %.32q: not manual, sibling or alert", r.Kind)
	}
	if r.Alert != nil && r.Kind != gopprof.TriggerAlert {
		return bad("a request of kind %s that carries an alert", r.Kind)
	}
	if len(r.Request.Who) > maxWho {
		return bad("a name of %d bytes in whose behalf: at most %d", len(r.Request.Who), maxWho)
	}
	return checkWork(r, now)
}

// checkWork looks at what is asked for.
func checkWork(r gopprof.CaptureRequest, now time.Time) error {
	if len(r.Kinds) == 0 || len(r.Kinds) > len(gopprof.Kinds()) {
		return bad("%d kinds of profiles asked for: 1 to %d", len(r.Kinds), len(gopprof.Kinds()))
	}
	for _, k := range r.Kinds {
		if !slices.Contains(gopprof.Kinds(), k) {
			return bad("unknown kind of profile %.32q", k)
		}
	}
	if math.IsNaN(r.CPUSeconds) || r.CPUSeconds < 0 || r.CPUSeconds > 86400 {
		return bad("a profile of %v seconds", r.CPUSeconds)
	}
	if !r.Deadline.IsZero() && !now.Before(r.Deadline) {
		return &gopprof.Error{Reason: gopprof.ReasonExpired, Detail: fmt.Sprintf("the deadline %s has passed: by this node's clock it is %s",
			r.Deadline.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))}
	}
	return nil
}

// order is what take is told.
func order(r gopprof.CaptureRequest, t gopprof.Target, now time.Time) gopprof.Order {
	request := r.Request
	o := gopprof.Order{
		Capture: r.Capture, Incident: r.Incident, Target: t, Kinds: r.Kinds, Deadline: r.Deadline,
		Trigger:    gopprof.Trigger{Kind: r.Kind, At: now.UTC(), Request: &request, Alert: r.Alert},
		CPUSeconds: time.Duration(r.CPUSeconds * float64(time.Second)),
	}
	if latest := now.Add(maxPatience); o.Deadline.After(latest) {
		o.Deadline = latest
	}
	return o
}

// find returns the one target that the request means.
func find(list Targets, r gopprof.CaptureRequest) (gopprof.Target, error) {
	targets, refused := list()
	named := slices.DeleteFunc(slices.Clone(targets), func(t gopprof.Target) bool { return !names(r, t) })
	found := slices.DeleteFunc(slices.Clone(named), func(t gopprof.Target) bool { return r.PodUID != "" && t.PodUID != r.PodUID })
	switch {
	case len(named) == 0:
		return gopprof.Target{}, notListed(refused, r)
	case len(found) == 0:
		return gopprof.Target{}, &gopprof.Error{Reason: gopprof.ReasonGone, Detail: "the pod was recreated since"}
	case len(found) > 1:
		return gopprof.Target{}, bad("the pod has several targets, name a container: %s", strings.Join(containers(found), ", "))
	}
	return found[0], nil
}

// names tells whether the request may mean the target, its UID aside.
func names(r gopprof.CaptureRequest, t gopprof.Target) bool {
	return t.Namespace == r.Namespace && t.Pod == r.Pod && (r.Container == "" || t.Container == r.Container)
}

// notListed says why the target that is meant may not be profiled, if discover knows.
func notListed(refused []gopprof.Refusal, r gopprof.CaptureRequest) error {
	for _, f := range refused {
		if names(r, f.Target) {
			return &gopprof.Error{Reason: f.Reason, Detail: f.Detail}
		}
	}
	return &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "no such target on this node"}
}

func containers(targets []gopprof.Target) []string {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = t.Container
	}
	slices.Sort(names)
	return names
}
