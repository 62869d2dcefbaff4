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
	k.countAlert(op.ID, op)
}

func (k *Keeper) countAlert(under string, op gopprof.Operation) {
	a := alerted{at: op.At}
	for _, oc := range op.Captures {
		a.of = append(a.of, workloadOf(oc.Target))
	}
	k.alerted[under] = a
}

// withinAlerts leaves out of what an alert asks for what alerts have asked for often enough of a
// workload within the last hour, and refuses it when that is all: a thousand replicas that all
// have their alert give a few captures. What is left counts at once, under its key until written
// is called.
func (k *Keeper) withinAlerts(op gopprof.Operation) (_ gopprof.Operation, written func(), err error) {
	if op.Asked.Alert == nil {
		return op, func() {}, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	waits := claimKey(op.Asked)
	delete(k.alerted, waits) // the same alert, from another sender in the same moment
	counts, asked := k.alertedLately(op.At), op.Captures
	var enough error
	op.Captures = nil
	for _, oc := range asked {
		of := workloadOf(oc.Target)
		if !oc.Ended() && counts[of] >= k.cfg.AlertsPerWorkloadPerHour {
			enough = &gopprof.Error{Reason: gopprof.ReasonCooldown,
				Detail: fmt.Sprintf("alerts asked for %d captures of %s within the last hour: operations.alerts_per_workload_per_hour", counts[of], oc.Target.Workload)}
			continue
		}
		counts[of]++
		op.Captures = append(op.Captures, oc)
	}
	if enough != nil && unfinishedOf(op) == 0 {
		return op, nil, enough
	}
	k.countAlert(waits, op)
	return op, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.alerted, waits)
	}, nil
}

// alertedLately counts the captures that alerts asked for, by workload, and forgets older ones;
// k.mu is held.
func (k *Keeper) alertedLately(now time.Time) map[workloadKey]int {
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
