package receive

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// settleTimeout bounds each talk with NATS about the end of a delivery.
const settleTimeout = 15 * time.Second

// settle ends the delivery. Where NATS does not take it, the delivery comes again by
// itself, which every handler can bear.
func (r *Receiver) settle(ctx context.Context, d Delivery, v verdict) verdict {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	if v.outcome == dead {
		return r.bury(ctx, d, v)
	}
	if v.begun && v.outcome != panicked { // a panic counts as a worker that did not end
		r.finished(ctx, d)
	}
	if v.outcome == stored || v.outcome == resumed {
		r.acknowledge(ctx, d, v)
		return v
	}
	r.giveBack(d, v)
	return v
}

// acknowledge is the last that is done for a capture, and says so: whoever reads the log
// can tell what was seen through from what is still on its way.
func (r *Receiver) acknowledge(ctx context.Context, d Delivery, v verdict) {
	if err := d.Ack(ctx); err != nil {
		r.unsettled(d, err)
		return
	}
	r.log.Info("capture acknowledged", append(fieldsOf(d), zap.String("outcome", string(v.outcome)))...)
}

// bury puts the delivery among the dead letters, when those who wait for the capture were
// told. If either fails, it is tried again later.
func (r *Receiver) bury(ctx context.Context, d Delivery, v verdict) verdict {
	c, unbelieved := d.Capture()
	var err error
	if unbelieved == nil {
		err = r.handler.GiveUp(ctx, c, v.reason, v.err.Error())
	}
	if err == nil {
		err = d.DeadLetter(ctx, v.reason, v.err.Error())
	}
	if err != nil {
		if v.begun { // what failed is the burial; its worker did not die, however long it waited
			within, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
			defer cancel()
			r.finished(within, d)
		}
		v = again(err)
		r.giveBack(d, v)
		return v
	}
	r.metrics.dead.WithLabelValues(string(v.reason)).Inc()
	if unbelieved == nil {
		r.finished(ctx, d)
	}
	return v
}

func (r *Receiver) giveBack(d Delivery, v verdict) {
	delay := r.delay(r.waits.tries(d))
	switch v.outcome {
	case drained:
		delay = 0 // another aggregator may take it at once
	case waiting:
		r.log.Debug("capture waits", append(fieldsOf(d), zap.Duration("again_in", v.again))...)
		r.unsettled(d, d.Nak(v.again))
		return
	}
	r.log.Warn("capture given back", append(fieldsOf(d), zap.String("outcome", string(v.outcome)), zap.String("reason", string(v.reason)), zap.Duration("again_in", delay), zap.Error(v.err))...)
	r.unsettled(d, d.Nak(delay))
}

// fieldsOf names a delivery in the log.
func fieldsOf(d Delivery) []zap.Field {
	c, _ := d.Capture()
	t := c.Target
	return []zap.Field{
		zap.String("node", t.Node), zap.String("namespace", t.Namespace), zap.String("pod", t.Pod),
		zap.String("container", t.Container), zap.String("capture", c.ID),
	}
}

// delay doubles with each try.
func (r *Receiver) delay(tries int) time.Duration {
	d := r.cfg.RetryDelay
	for range tries - 1 {
		if d >= r.cfg.RetryMaxDelay/2 {
			return r.cfg.RetryMaxDelay
		}
		d *= 2
	}
	return d
}

func (r *Receiver) finished(ctx context.Context, d Delivery) {
	err := d.Finished(ctx)
	r.untold.note(d, err == nil)
	r.unsettled(d, err)
}

func (r *Receiver) unsettled(d Delivery, err error) {
	if err == nil {
		return
	}
	c, _ := d.Capture()
	r.metrics.unsettled.Inc()
	r.log.Warn("capture not settled", zap.String("capture", c.ID), zap.Error(err))
}
