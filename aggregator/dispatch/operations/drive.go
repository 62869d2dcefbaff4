package operations

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	// lookEvery is how often the driver looks though nobody woke it.
	lookEvery = time.Second
	// askEvery is how often an agent is asked what became of a capture that it accepted.
	askEvery = 3 * time.Second
	// tryAgain is how long a busy target is left alone before its agent is asked again.
	tryAgain = 2 * time.Second
	// watchAgain is how long a watch that failed is left alone.
	watchAgain = time.Second
)

// trial is what the driver remembers of a capture between two looks. It is lost with the
// driver, which costs a few questions asked again.
type trial struct {
	since  time.Time // when its agent was first asked to begin
	next   time.Time // when its agent may be asked again
	silent time.Time // since when its agent has been silent about it; zero: it answered
}

// Run drives the operations until ctx ends, whenever this replica holds the lease.
func (k *Keeper) Run(ctx context.Context) error {
	k.working.Go(func() { k.watch(ctx, k.deps.Records, k.watched, k.seenAll) })
	k.working.Go(func() { k.watch(ctx, k.deps.Control, k.watchedControl, func() {}) })
	defer k.lease.release(context.WithoutCancel(ctx), k)
	defer k.working.Wait()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		now := k.deps.Now()
		k.clock.look(now)
		k.prune(now)
		if k.caughtUp.Load() && k.lease.hold(ctx, k) {
			k.turn(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-k.woken:
		case <-tick.C:
		}
	}
}

// watch keeps what is known of a bucket up to date.
func (k *Keeper) watch(ctx context.Context, bucket KV, show func(key string, value []byte, revision uint64), shown func()) {
	for ctx.Err() == nil {
		if err := bucket.Watch(ctx, show, shown); err != nil && ctx.Err() == nil {
			k.log.Warn("operations cannot be watched, trying again", zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(watchAgain):
		}
	}
}

// seenAll lets this replica drive: whoever does not know of all that runs could begin too
// much beside it.
func (k *Keeper) seenAll() {
	k.caughtUp.Store(true)
	k.wake()
}

func (k *Keeper) watched(key string, value []byte, revision uint64) {
	switch {
	case gopprof.CheckID(key) != nil:
		return
	case value == nil:
		k.forget(key)
		return
	}
	op, err := decode(key, value)
	if err != nil {
		k.log.Warn("record of an operation is unreadable", zap.String("operation", key), zap.Error(err))
		k.forget(key) // nothing of it could be written down
		return
	}
	k.note(op, revision, len(value))
	k.wake()
}

func (k *Keeper) watchedControl(key string, value []byte, revision uint64) {
	if key == pauseKey {
		k.notePause(value, revision)
	}
}

// waver notes that agents may be away for a moment though nothing is wrong with them: they
// come back to NATS, or to us, a while after it.
func (k *Keeper) waver() { k.unsteady.Store(k.deps.Now().UnixNano()) }

// steady tells whether an agent that is not there is gone. A clock that was set back since
// tells that it was not a moment ago.
func (k *Keeper) steady() bool {
	return k.deps.Now().Sub(time.Unix(0, k.unsteady.Load())).Abs() >= k.cfg.GoneAfter
}

// forget drops an operation that the bucket has forgotten.
func (k *Keeper) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.live, id)
	delete(k.sizes, id)
	k.recent = slices.DeleteFunc(k.recent, func(op gopprof.Operation) bool { return op.ID == id })
}

// turn looks at every operation that has not ended and begins what is to be done now. It
// waits for nobody: questions are asked in the background.
func (k *Keeper) turn(ctx context.Context) {
	now := k.deps.Now()
	ops, busy := k.snapshot()
	k.tellPause(ctx, now)
	k.makeRoom(ctx)
	for _, op := range ops {
		k.tend(ctx, op, now)
	}
	if k.paused.Load().Paused {
		return
	}
	later := func(capture string) bool { return k.trialOf(capture).next.After(now) }
	isBusy := func(capture string) bool { return busy[capture] }
	for _, s := range schedule(ops, k.cfg, isBusy, later, k.replicas()) {
		k.background(s.capture.Capture, func() { k.begin(ctx, s) })
	}
}

// snapshot returns the operations that have not ended, and what is being done about them,
// of one moment: what has just been asked for must neither be missing among what runs nor
// be asked for again.
func (k *Keeper) snapshot() (ops []gopprof.Operation, busy map[string]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.live {
		ops = append(ops, r.op)
	}
	return ops, maps.Clone(k.busy)
}

// tend looks after what an operation has begun: what is overdue, what shall stop, and what
// its agents say.
func (k *Keeper) tend(ctx context.Context, op gopprof.Operation, now time.Time) {
	if _, overdue := k.expire(op, now); overdue {
		k.every(op.ID, now, func() { k.writeExpired(ctx, op.ID) })
	}
	for _, oc := range op.Captures {
		if oc.State != gopprof.CaptureProfiling {
			continue
		}
		if !op.Cancelled.IsZero() || k.paused.Load().Paused {
			k.every(oc.Capture, now, func() { k.stop(ctx, op, oc) })
			continue
		}
		k.every(oc.Capture, now, func() { k.askAfter(ctx, op, oc) })
	}
}

// every does something about a capture or an operation in the background, again after a
// while.
func (k *Keeper) every(id string, now time.Time, f func()) {
	t := k.trialOf(id)
	if t.next.After(now) {
		return
	}
	t.next = now.Add(askEvery)
	k.setTrial(id, t)
	k.background(id, f)
}

func (k *Keeper) writeExpired(ctx context.Context, id string) {
	if _, err := k.change(ctx, id, func(op *gopprof.Operation) (changed bool) {
		*op, changed = k.expire(*op, k.deps.Now())
		return changed
	}); err != nil {
		k.log.Warn("operation not written", zap.String("operation", id), zap.Error(err))
	}
}

// begin asks a target's agent for its capture and writes down what it answers. What cannot
// be written is asked again later under the same ID, which starts nothing twice. That the driver
// ends does not cut it short: the next one would begin others beside what the agent has begun.
func (k *Keeper) begin(ctx context.Context, s start) {
	if !k.waits(s) { // it began, or was cancelled, since it was looked at
		return
	}
	ctx = context.WithoutCancel(ctx)
	answer, reached := k.ask(ctx, s)
	now := k.deps.Now()
	t := k.trialOf(s.capture.Capture)
	if t.since.IsZero() {
		t.since = now
	}
	t.next = now.Add(askEvery)
	if (passing(answer.Reason) && now.Before(t.since.Add(k.cfg.StartWithin))) || (!reached && !k.steady()) {
		t.next = now.Add(tryAgain)
		k.setTrial(s.capture.Capture, t)
		return
	}
	k.setTrial(s.capture.Capture, t)
	advanced, err := k.advanceCapture(ctx, s.operation.ID, s.capture.Capture, answer)
	if err != nil {
		k.log.Warn("answer of an agent not written", zap.String("operation", s.operation.ID), zap.String("capture", s.capture.Capture), zap.Error(err))
		return
	}
	if (!advanced && answer.State == gopprof.CaptureProfiling) || !reached {
		k.cancelCapture(ctx, s.capture) // it was cancelled meanwhile, or nobody waits for it now
	}
	if advanced {
		k.metrics.began(answer)
		k.logBegun(s, answer)
	}
}

// passing tells whether a refusal may be none in a moment.
func passing(r gopprof.Reason) bool {
	return r == gopprof.ReasonCapturing || r == gopprof.ReasonNodeBusy || r == gopprof.ReasonPaused
}

// ask puts the request to the agent and returns the state that its answer means; reached is
// false when there was none.
func (k *Keeper) ask(ctx context.Context, s start) (state gopprof.OperationCapture, reached bool) {
	ctx, cancel := context.WithTimeout(ctx, k.cfg.AgentTimeout)
	defer cancel()
	t, m := s.capture.Target, s.operation.Asked
	kind := gopprof.TriggerManual
	if m.Alert != nil {
		kind = gopprof.TriggerAlert
	}
	reply, err := k.deps.Agents.RequestCapture(ctx, t.Cluster, t.Node, gopprof.CaptureRequest{
		Capture: s.capture.Capture, Incident: s.operation.Incident, Kind: kind, Alert: m.Alert,
		Request:   gopprof.Request{Who: s.operation.Who, Operation: s.operation.ID},
		Namespace: t.Namespace, Pod: t.Pod, PodUID: t.PodUID, Container: t.Container,
		Kinds: m.Kinds, CPUSeconds: m.CPUSeconds, Deadline: k.deps.Now().Add(k.cfg.StartWithin),
	})
	if dispatch.WeAreAway(err) {
		k.waver()
	}
	if reason, detail := dispatch.Refusal(t.Node, k.cfg.AgentTimeout, reply, err); reason != "" {
		return failed(reason, detail), err == nil || errors.Is(err, bus.ErrInvalid)
	}
	now := k.deps.Now().UTC()
	return gopprof.OperationCapture{State: gopprof.CaptureProfiling, Started: now, Until: now.Add(duration(m))}, true
}

// askAfter asks an agent what became of a capture that it accepted.
func (k *Keeper) askAfter(ctx context.Context, op gopprof.Operation, oc gopprof.OperationCapture) {
	within, cancel := context.WithTimeout(ctx, k.cfg.AgentTimeout)
	defer cancel()
	reply, err := k.deps.Agents.RequestStatus(within, oc.Target.Cluster, oc.Target.Node, gopprof.StatusRequest{Capture: oc.Capture})
	if ctx.Err() != nil {
		return
	}
	next, changed := k.answered(op, oc, reply, err)
	if !changed {
		return
	}
	if _, err := k.advanceCapture(ctx, op.ID, oc.Capture, next); err != nil {
		k.log.Warn("state of a capture not written", zap.String("operation", op.ID), zap.String("capture", oc.Capture), zap.Error(err))
	}
	if err != nil { // its place is free now: it should not go on
		k.cancelCapture(ctx, oc)
	}
}

// answered is what an agent's answer, or its silence, means for a capture.
func (k *Keeper) answered(op gopprof.Operation, oc gopprof.OperationCapture, reply gopprof.CaptureReply, err error) (gopprof.OperationCapture, bool) {
	now := k.deps.Now()
	t := k.trialOf(oc.Capture)
	if dispatch.WeAreAway(err) {
		k.waver()
	}
	if err != nil && !k.steady() {
		return oc, false
	}
	if err != nil {
		if t.silent.IsZero() {
			t.silent = now
			k.setTrial(oc.Capture, t)
		}
		if now.Sub(t.silent) < k.cfg.GoneAfter {
			return oc, false
		}
		return failed(gopprof.ReasonNoAnswer, fmt.Sprintf("the agent of node %q accepted it and has been silent for %s since", oc.Target.Node, now.Sub(t.silent).Round(time.Second))), true
	}
	t.silent = time.Time{}
	k.setTrial(oc.Capture, t)
	switch {
	case !reply.Accepted && reply.Reason == gopprof.ReasonUnknown:
		return failed(gopprof.ReasonNoAnswer, fmt.Sprintf("the agent of node %q accepted it and was restarted since", oc.Target.Node)), true
	case !reply.Accepted:
		return refusal(reply), true
	case reply.SecondsLeft > 0:
		until := now.Add(time.Duration(reply.SecondsLeft * float64(time.Second))).UTC()
		if latest := k.cfg.latest(op, oc); until.After(latest) { // whatever the agent says
			until = latest
		}
		if drift := until.Sub(oc.Until); drift > -lookAgain && drift < 5*time.Second+lookAgain {
			return oc, false
		}
		oc.Until = until
		return oc, true
	}
	return oc, false
}

// refusal is the state of a capture that its agent refused.
func refusal(r gopprof.CaptureReply) gopprof.OperationCapture {
	return failed(dispatch.Refusal("", 0, r, nil))
}

func (k *Keeper) logBegun(s start, answer gopprof.OperationCapture) {
	t := s.capture.Target
	k.log.Info("capture asked for",
		zap.String("operation", s.operation.ID), zap.String("who", s.operation.Who), zap.String("capture", s.capture.Capture),
		zap.String("node", t.Node), zap.String("namespace", t.Namespace), zap.String("pod", t.Pod),
		zap.String("container", t.Container), zap.String("reason", string(answer.Reason)))
}
