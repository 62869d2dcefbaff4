package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Query says which reports to list. An empty field asks for all.
type Query struct {
	Cluster   string
	Namespace string
	Workload  string // a name, or "Kind/name"
	Pod       string
	Kind      gopprof.Kind // reports with a stored profile of this kind
	Incident  string
	Cause     gopprof.CauseKind // reports of which this is the main cause
	From      time.Time         // captures decided at or after
	To        time.Time         // captures decided before
	Limit     int               // most reports in a page; 0 is 50, and 500 is the most
	After     string            // Next of the page before
}

// ErrCursor says that Query.After is not the Next of a page.
var ErrCursor = errors.New("not a cursor of this list")

const (
	defaultLimit = 50
	maxLimit     = 500
	// clockMargin is how far the clocks of agents and aggregator may be apart: an incident
	// is searched for from this long before its identifier was made.
	clockMargin = 24 * time.Hour
)

func (q Query) limit() int {
	if q.Limit <= 0 {
		return defaultLimit
	}
	return min(q.Limit, maxLimit)
}

// bounds returns the identifiers that the query may mean: lower <= id < upper.
func (q Query) bounds() (lower, upper string, err error) {
	lower, upper = lowestID, highestID
	if !q.From.IsZero() {
		// A time within a millisecond excludes that millisecond's identifiers.
		lower = firstID(q.From.Add(time.Millisecond - 1).Truncate(time.Millisecond))
	}
	if gopprof.CheckID(q.Incident) == nil {
		lower = max(lower, firstID(idTime(q.Incident).Add(-clockMargin)))
	}
	if !q.To.IsZero() {
		upper = firstID(q.To)
	}
	if q.After != "" {
		if gopprof.CheckID(q.After) != nil {
			return "", "", fmt.Errorf("listing reports: %w", ErrCursor)
		}
		upper = min(upper, q.After)
	}
	return lower, upper, nil
}

func (q Query) matches(c card) bool {
	return (q.Kind == "" || slices.Contains(c.kinds, q.Kind)) &&
		(q.Cluster == "" || q.Cluster == c.cluster) &&
		(q.Namespace == "" || q.Namespace == c.namespace) &&
		(q.Workload == "" || q.Workload == c.workload.Name || q.Workload == c.workload.String()) &&
		(q.Pod == "" || q.Pod == c.pod) &&
		(q.Incident == "" || q.Incident == c.incident) &&
		(q.Cause == "" || q.Cause == c.cause)
}

// folder returns what keys of a day that the query may mean have in common.
func (q Query) folder() string {
	if q.Namespace == "" {
		return ""
	}
	folder := escape(q.Namespace, maxNameBytes) + "/"
	if w, ok := q.workload(); ok {
		folder += workloadFolder(w) + "/"
	}
	return folder
}

// workload returns the workload of a query that names its kind as well.
func (q Query) workload() (gopprof.Workload, bool) {
	kind, name, ok := strings.Cut(q.Workload, "/")
	return gopprof.Workload{Kind: kind, Name: name}, ok
}

// mayMean tells by a report's key alone whether the query may mean it: what it refuses
// need not be read.
func (q Query) mayMean(r ref) bool {
	return (q.Namespace == "" || r.ns == escape(q.Namespace, maxNameBytes)) &&
		(q.Pod == "" || r.pod == escape(q.Pod, maxNameBytes)) &&
		(q.Kind == "" || slices.Contains(r.files, profileFile(q.Kind))) &&
		q.mayMeanWorkload(r)
}

func (q Query) mayMeanWorkload(r ref) bool {
	if w, ok := q.workload(); ok {
		return r.workload == workloadFolder(w)
	}
	_, name, _ := strings.Cut(r.workload, "-")
	return q.Workload == "" || name == escape(q.Workload, maxNameBytes)
}
