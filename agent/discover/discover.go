// Package discover says which Go programs run on this node and may be profiled. What the
// node's owner or the cluster says of them enters in its children; targets leave, and
// those that were refused, each with a named reason.
//
// A target's endpoint never leaves the target: scheme, host, port and path are checked
// here, by one function for all discoverers.
package discover

import (
	"context"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Discoverer keeps a list of this node's targets.
type Discoverer interface {
	// Run keeps the list up to date until ctx ends, and returns nil then. What goes wrong
	// on the way is retried and shows in readiness, not here.
	Run(ctx context.Context) error
	// Snapshot returns the list as it is now. It is safe for concurrent use, answers at
	// once, and the caller may keep and change what it gets.
	Snapshot() Snapshot
}

// Node is where an agent runs.
type Node struct {
	Cluster string
	Name    string
}

// Snapshot is a list of targets at one moment.
type Snapshot struct {
	Targets []gopprof.Target
	Refused []gopprof.Refusal // found, and may not be profiled
	// Unlisted tells that who is there was not told yet, as at the start: whoever is not in
	// the list is not gone.
	Unlisted bool
}

// Current returns a target as it is now, found by its key: the endpoint may have moved
// since t was made. The reason is empty, or why it may not be profiled any more.
func Current(s Snapshot, t gopprof.Target) (gopprof.Target, gopprof.Reason) {
	key := t.Key()
	for _, now := range s.Targets {
		if now.Key() == key {
			return now, ""
		}
	}
	for _, refused := range s.Refused {
		if refused.Target.Key() == key {
			return refused.Target, refused.Reason
		}
	}
	return gopprof.Target{}, gopprof.ReasonGone
}
