package operations

import (
	"fmt"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// alertedEnough refuses what an alert asks for when alerts have asked for enough captures of
// the workload within the last hour: a thousand replicas that all have their alert give a few
// captures.
func (k *Keeper) alertedEnough(op gopprof.Operation) error {
	if op.Asked.Alert == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, oc := range op.Captures {
		if oc.Ended() {
			continue
		}
		t := oc.Target
		if n := alerted(k.recent, t, op.At.Add(-time.Hour)); n >= k.cfg.AlertsPerWorkloadPerHour {
			return &gopprof.Error{Reason: gopprof.ReasonCooldown,
				Detail: fmt.Sprintf("alerts asked for %d captures of %s within the last hour: operations.alerts_per_workload_per_hour", n, t.Workload)}
		}
	}
	return nil
}

// alerted counts the captures of a target's workload that alerts have asked for.
func alerted(recent []gopprof.Operation, t gopprof.Target, since time.Time) (n int) {
	for _, op := range recent { // newest first
		if op.At.Before(since) {
			break
		}
		if op.Asked.Alert == nil {
			continue
		}
		for _, oc := range op.Captures {
			if w := oc.Target; w.Cluster == t.Cluster && w.Namespace == t.Namespace && w.Workload == t.Workload {
				n++
			}
		}
	}
	return n
}
