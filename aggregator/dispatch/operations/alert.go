package operations

import (
	"fmt"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// alertsWithin is the time for which the captures that alerts ask for are counted.
const alertsWithin = time.Hour

// alerted is what an operation that an alert asked for counts.
type alerted struct {
	at time.Time
	of []workloadKey // one for each capture
}

// noteAlert counts an operation that an alert asked for; k.mu is held.
func (k *Keeper) noteAlert(op gopprof.Operation) {
	if op.Asked.Alert == nil || k.deps.Now().Sub(op.At) > alertsWithin {
		return
	}
	a := alerted{at: op.At}
	for _, oc := range op.Captures {
		a.of = append(a.of, workloadOf(oc.Target))
	}
	k.alerted[op.ID] = a
}

// alertedEnough refuses what an alert asks for when alerts have asked for enough captures of
// the workload within the last hour: a thousand replicas that all have their alert give a few
// captures.
func (k *Keeper) alertedEnough(op gopprof.Operation) error {
	if op.Asked.Alert == nil {
		return nil
	}
	counts := k.alertedLately(op.At)
	for _, oc := range op.Captures {
		if n := counts[workloadOf(oc.Target)]; !oc.Ended() && n >= k.cfg.AlertsPerWorkloadPerHour {
			return &gopprof.Error{Reason: gopprof.ReasonCooldown,
				Detail: fmt.Sprintf("alerts asked for %d captures of %s within the last hour: operations.alerts_per_workload_per_hour", n, oc.Target.Workload)}
		}
	}
	return nil
}

// alertedLately counts the captures that alerts asked for, by workload, and forgets older ones.
func (k *Keeper) alertedLately(now time.Time) map[workloadKey]int {
	k.mu.Lock()
	defer k.mu.Unlock()
	counts := map[workloadKey]int{}
	for id, a := range k.alerted {
		if now.Sub(a.at) > alertsWithin {
			delete(k.alerted, id)
			continue
		}
		for _, of := range a.of {
			counts[of]++
		}
	}
	return counts
}
