package receive

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// outcome is how a delivery ends.
type outcome string

const (
	stored   outcome = "stored"   // acknowledged: its report was made
	resumed  outcome = "resumed"  // acknowledged: its report had been made before
	retried  outcome = "retried"  // given back after a failure
	panicked outcome = "panicked" // given back after a panic, which counts as a killed worker
	drained  outcome = "drained"  // given back because the aggregator stops
	waiting  outcome = "waiting"  // given back because the handler asked for it later: no failure
	dead     outcome = "dead"     // dead-lettered
)

// verdict is an outcome and why.
type verdict struct {
	outcome
	reason gopprof.Reason // of all but stored, resumed and waiting
	err    error          // of all but stored and resumed
	begun  bool           // its start was counted
	again  time.Duration  // of waiting: after how long
}

// receive sees one delivery to its end. ctx is for talking to NATS and outlives work.
func (r *Receiver) receive(ctx, work context.Context, d Delivery) {
	r.metrics.running.Inc()
	defer r.metrics.running.Dec()
	start := time.Now()
	stop := r.keepAlive(d)
	leave, v := r.begin(work, d)
	defer leave() // after the end is counted: a capture that ended is never beside another's deed
	if v.begun {
		v = r.work(work, d)
	}
	stop()
	v = r.settle(ctx, d, v)
	r.waits.note(d, v)
	r.metrics.captures.WithLabelValues(string(v.outcome)).Inc()
	r.metrics.seconds.WithLabelValues(string(v.outcome)).Observe(time.Since(start).Seconds())
}

// begin counts the start, when the capture may be worked on: with others, or alone when a
// worker died with it before. Of those that died together with one worker, only the guilty
// one will kill another, and then nobody else is there to be blamed. leave gives the place
// back and is never nil.
func (r *Receiver) begin(ctx context.Context, d Delivery) (leave func(), v verdict) {
	leave = func() {}
	if _, err := d.Capture(); err != nil {
		return leave, verdict{outcome: dead, reason: ReasonOf(err), err: err}
	}
	starts, err := d.Starts(ctx)
	if err != nil {
		return leave, r.failed(ctx, err)
	}
	starts = r.untold.deaths(d, starts)
	if starts >= r.cfg.MaxStarts {
		err := fmt.Errorf("%d workers began with it and did not end", starts)
		return leave, verdict{outcome: dead, reason: gopprof.ReasonWorkerDied, err: err}
	}
	places := int64(1)
	if starts > 0 {
		places = int64(max(r.cfg.Workers, 1))
		r.metrics.alone.Inc()
	}
	if err := r.places.Acquire(ctx, places); err != nil {
		return leave, r.failed(ctx, err)
	}
	leave = func() { r.places.Release(places) }
	if err := r.started(ctx, d); err != nil {
		return leave, r.failed(ctx, err)
	}
	return leave, verdict{begun: true}
}

// started counts the start. Without room for the count the capture is handled all the same:
// that nothing is received any more would be worse than a worker's death that is not counted.
func (r *Receiver) started(ctx context.Context, d Delivery) error {
	_, err := d.Started(ctx)
	full := errors.Is(err, bus.ErrFull)
	if err != nil && !full {
		return err
	}
	switch before := r.uncounted.Swap(full); {
	case full && !before:
		r.log.Error("no room to count that captures are begun: what kills its worker is not found out", zap.Error(err))
	case !full && before:
		r.log.Info("captures that are begun are counted again")
	}
	return nil
}

// work is the order of contract: announce again what is committed, or else fetch and
// handle; then the bytes are removed, and last the delivery is settled.
func (r *Receiver) work(ctx context.Context, d Delivery) verdict {
	c, _ := d.Capture()
	v := r.handle(ctx, c, d)
	v.begun = true
	if v.outcome == stored || v.outcome == resumed {
		if err := d.RemoveBytes(ctx); err != nil {
			// They go when their age ends.
			r.log.Warn("bytes not removed", zap.String("capture", c.ID), zap.Error(err))
		}
	}
	return v
}

// handle runs the handler; its panic is a failure of this capture only.
func (r *Receiver) handle(ctx context.Context, c gopprof.Capture, d Delivery) (v verdict) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.HandleTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("handling a capture panicked", zap.String("capture", c.ID), zap.Any("error", p),
				zap.ByteString("stack", debug.Stack()))
			v = verdict{outcome: panicked, reason: gopprof.ReasonInternal, err: fmt.Errorf("panic: %v", p)}
		}
	}()
	done, err := r.handler.Resume(ctx, c)
	if err != nil {
		return r.failed(ctx, err)
	}
	if done {
		return verdict{outcome: resumed}
	}
	if c, err = d.Fetch(ctx); err != nil {
		return r.failed(ctx, err)
	}
	if err := r.handler.Handle(ctx, c); err != nil {
		return r.failed(ctx, err)
	}
	return verdict{outcome: stored}
}

// failed decides what an error means for the delivery.
func (r *Receiver) failed(ctx context.Context, err error) verdict {
	if l, ok := errors.AsType[*later](err); ok {
		return verdict{outcome: waiting, again: l.after, err: err}
	}
	if reason := ReasonOf(err); reason != "" {
		return verdict{outcome: dead, reason: reason, err: err}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return verdict{outcome: drained, reason: gopprof.ReasonCancelled, err: err}
	}
	return again(err)
}

// again is the verdict on an error that may pass.
func again(err error) verdict { return verdict{outcome: retried, reason: passing(err), err: err} }

// passing names an error that may pass: the handler's word, or what NATS failed with.
func passing(err error) gopprof.Reason {
	reason := gopprof.ReasonOf(err)
	switch {
	case reason != "":
		return reason
	case errors.Is(err, bus.ErrFull):
		return gopprof.ReasonNATSFull
	case errors.Is(err, bus.ErrAway):
		return gopprof.ReasonNoAnswer
	case errors.Is(err, context.DeadlineExceeded):
		return gopprof.ReasonTimeout
	}
	return gopprof.ReasonInternal
}

// ReasonOf returns the reason of an error that lasts, or "".
func ReasonOf(err error) gopprof.Reason {
	var p *poison
	switch {
	case errors.As(err, &p):
		return p.reason
	case errors.Is(err, bus.ErrUndecodable):
		return gopprof.ReasonUndecodable
	case errors.Is(err, bus.ErrImposter):
		return gopprof.ReasonImposter
	case errors.Is(err, bus.ErrBytesLost):
		return gopprof.ReasonBytesLost
	case errors.Is(err, bus.ErrBytesWrong):
		return gopprof.ReasonBytesWrong
	case errors.Is(err, bus.ErrTooLarge):
		return gopprof.ReasonTooLarge
	}
	return ""
}

// keepAlive tells NATS that the delivery is worked on, until the returned function is
// called.
func (r *Receiver) keepAlive(d Delivery) (stop func()) {
	end := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(r.cfg.InProgressInterval)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				if err := d.InProgress(); err != nil {
					r.metrics.notInProgress.Inc()
				}
			}
		}
	})
	return func() { close(end); ended.Wait() }
}
