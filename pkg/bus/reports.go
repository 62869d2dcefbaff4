package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

const (
	// reportWorkers is how many reports one consumer handles at once: a slow receiver of
	// messages must not hold up the others.
	reportWorkers = 32
	// reportsPending bounds the reports of one consumer that are worked on or wait for
	// another try. At the bound nobody is told of new ones, so that it is beyond what
	// receivers that are away can make wait.
	reportsPending = 100_000
	// The pauses before a report is handed over again double between these.
	reportPause    = time.Second
	reportMaxPause = 5 * time.Minute
	// newerTries is how often a report of a newer version is handed over before it is ended, for
	// about an hour: while replicas are updated one after the other, one of them can read it.
	newerTries = 20
)

// PublishReport publishes a report, once: if it is there already, that is success, and
// ErrDifferent if another one is there under its ID. One that is too large for a message
// goes out with fewer functions of each profile.
func (a *Aggregator) PublishReport(ctx context.Context, r gopprof.Report) error {
	data, err := wire.EncodeReport(r)
	if errors.Is(err, wire.ErrTooLarge) {
		return fmt.Errorf("publishing report %q: %w: %w", r.ID, ErrTooLarge, err)
	}
	if err != nil {
		return fmt.Errorf("publishing report %q: %w: %w", r.ID, ErrInvalid, err)
	}
	m := &nats.Msg{Subject: reportSubject(r), Data: data}
	ack, err := a.publish(ctx, m, jetstream.WithMsgID(r.ID), jetstream.WithExpectLastSequencePerSubject(0))
	if wrongLastSequence(err) || err == nil && ack.Duplicate {
		err = a.sameReport(ctx, m.Subject, data)
	}
	if err != nil {
		return fmt.Errorf("publishing report %q: %w", r.ID, err)
	}
	return nil
}

// sameReport compares with what the stream has: by meaning, since an older version may
// have written it.
func (a *Aggregator) sameReport(ctx context.Context, subject string, data []byte) error {
	s, err := a.stream(ctx, StreamReports)
	if err != nil {
		return err
	}
	ctx, done := a.guard(ctx, "", ackWait)
	defer done()
	m, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) { // the ID is known from another subject
		return ErrDifferent
	}
	if err != nil {
		return classify(ctx, err)
	}
	stored, err := wire.DecodeReport(m.Data)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDifferent, err)
	}
	again, err := wire.EncodeReport(stored)
	if err != nil || !bytes.Equal(again, data) {
		return ErrDifferent
	}
	return nil
}

// Reports hands over every report until ctx ends, by the durable consumer of that name,
// which starts with the oldest report that is kept. nil from handle is the end of a
// report; an error brings it back after a pause that grows. The log of it is handle's.
func (a *Aggregator) Reports(ctx context.Context, durable string, handle func(context.Context, gopprof.Report) error) error {
	wait := a.streamConfig().AckWait
	source := consumer{a, StreamReports, jetstream.ConsumerConfig{
		Durable:   durable,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: wait,
		MaxDeliver: -1, MaxAckPending: reportsPending,
		DeliverPolicy: jetstream.DeliverAllPolicy,
	}, nil, new(sync.Mutex)}
	return source.run(ctx, reportWorkers, func(m jetstream.Msg) { a.report(m, wait, handle) })
}

func (a *Aggregator) report(m jetstream.Msg, wait time.Duration, handle func(context.Context, gopprof.Report) error) {
	r, err := wire.DecodeReport(m.Data())
	if errors.Is(err, wire.ErrVersion) && deliveries(m) < newerTries {
		a.log.Warn("report of a newer version left to a newer aggregator", zap.String("subject", clip(m.Subject())), zap.Error(err))
		a.settled(r, m.NakWithDelay(reportDelay(m)))
		return
	}
	if err != nil || reportSubject(r) != m.Subject() {
		a.met.refuse(gopprof.ReasonUndecodable)
		a.log.Error("report not believed", zap.String("subject", clip(m.Subject())), zap.Error(err))
		a.settled(r, m.TermWithReason(string(gopprof.ReasonUndecodable)))
		return
	}
	stop := keepAlive(m, wait)
	err = a.handled(r, handle)
	stop()
	if err == nil {
		ctx, done := a.guard(a.life, m.Reply(), ackWait)
		defer done()
		a.settled(r, m.DoubleAck(ctx))
		return
	}
	a.settled(r, m.NakWithDelay(reportDelay(m)))
}

// handled runs the handler; its panic is a failure of this report only: it would come again
// at each start, and end the program each time.
func (a *Aggregator) handled(r gopprof.Report, handle func(context.Context, gopprof.Report) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			a.log.Error("handling a report panicked", zap.String("capture", r.ID), zap.Any("error", p), zap.ByteString("stack", debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return handle(a.life, r)
}

// settled logs an answer to the server that did not get through: the report comes again.
func (a *Aggregator) settled(r gopprof.Report, err error) {
	if err != nil {
		a.log.Warn("report not settled, it will come again", zap.String("capture", r.ID), zap.Error(err))
	}
}

// keepAlive tells the server that a message is worked on until the returned function is
// called.
func keepAlive(m jetstream.Msg, wait time.Duration) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(wait / 3)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				_ = m.InProgress() // if it is lost, the report comes again
			}
		}
	}()
	return func() { close(end); <-ended }
}

// reportDelay doubles with each delivery.
func reportDelay(m jetstream.Msg) time.Duration {
	return min(reportPause<<min(deliveries(m)-1, 16), reportMaxPause)
}
