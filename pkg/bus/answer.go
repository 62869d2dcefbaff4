package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

const (
	// answersAtOnce bounds the firings that are decided at the same time.
	answersAtOnce = 32
	// requestWait is how long an agent may take to say whether it accepts.
	requestWait = 5 * time.Second
)

// Answer decides the firings of all agents until ctx ends, sharing them with the other
// aggregators. A firing whose body names another node than its subject is not answered.
func (a *Aggregator) Answer(ctx context.Context, decide func(context.Context, gopprof.Firing) gopprof.Decision) error {
	var running sync.WaitGroup
	gate := make(chan struct{}, answersAtOnce)
	sub, err := a.nc.QueueSubscribe(root+"firing.*.*", answerQueue, func(m *nats.Msg) {
		gate <- struct{}{}
		running.Go(func() {
			defer func() { <-gate }()
			a.guarded(m, func() { a.answer(a.life, m, decide) })
		})
	})
	if err != nil {
		return fmt.Errorf("answering agents: %w", err)
	}
	<-ctx.Done()
	err = sub.Unsubscribe()
	running.Wait()
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("answering agents: %w", err)
	}
	return nil
}

func (a *Aggregator) answer(ctx context.Context, m *nats.Msg, decide func(context.Context, gopprof.Firing) gopprof.Decision) {
	f, reason := readFiring(m)
	if reason != "" {
		a.met.refuse(reason)
		return
	}
	out, err := wire.EncodeDecision(f.Capture, decide(ctx, f))
	if err == nil {
		err = m.Respond(out)
	}
	if err != nil {
		a.log.Warn("decision not sent", zap.String("node", f.Target.Node), zap.String("capture", f.Capture), zap.Error(err))
	}
}

// readFiring believes a firing only when subject, body and the place for the answer are
// of the same node: we may publish what that node may not.
func readFiring(m *nats.Msg) (gopprof.Firing, gopprof.Reason) {
	f, err := wire.DecodeFiring(m.Data)
	if err != nil {
		return gopprof.Firing{}, gopprof.ReasonUndecodable
	}
	from, err := parseOrigin("firing", m.Subject)
	if err != nil || from != (origin{f.Target.Cluster, f.Target.Node, ""}) {
		return gopprof.Firing{}, gopprof.ReasonImposter
	}
	if !ownReply(m.Reply, from) {
		return gopprof.Firing{}, gopprof.ReasonImposter
	}
	return f, ""
}

// serviceReply begins the subjects that the server itself makes for answers which cross
// from one account into another; it lets no client name one.
const serviceReply = "_R_."

// ownReply tells whether an answer would go to the node that asks, or to nobody.
func ownReply(reply string, from origin) bool {
	return strings.HasPrefix(reply, serviceReply) || strings.HasPrefix(reply, agentInbox(from.cluster, from.node)+".")
}

// States hands over what the nodes tell of themselves until ctx ends. A state of which some
// targets are not believed is counted as refused, and handed over without them.
func (a *Aggregator) States(ctx context.Context, take func(gopprof.NodeState)) error {
	sub, err := a.nc.Subscribe(root+"state.*.*", func(m *nats.Msg) {
		a.guarded(m, func() { a.state(m, take) })
	})
	if err != nil {
		return fmt.Errorf("listening to states: %w", err)
	}
	<-ctx.Done()
	if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("listening to states: %w", err)
	}
	return nil
}

func (a *Aggregator) state(m *nats.Msg, take func(gopprof.NodeState)) {
	s, left, err := wire.DecodeState(m.Data)
	if err != nil {
		a.met.refuse(gopprof.ReasonUndecodable)
		return
	}
	from, err := parseOrigin("state", m.Subject)
	if err != nil || from != (origin{s.Cluster, s.Node, ""}) {
		a.met.refuse(gopprof.ReasonImposter)
		return
	}
	if len(left) > 0 {
		a.met.refuse(gopprof.ReasonUndecodable)
	}
	take(s)
}

// RequestCapture asks a node's agent for a capture and returns its answer; ErrNoAgent if
// none listens.
func (a *Aggregator) RequestCapture(ctx context.Context, cluster, node string, r gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
	data, err := wire.EncodeCaptureRequest(r)
	return a.ask(ctx, requestSubject(cluster, node, verbCapture), r.Capture, data, err)
}

// RequestCancel asks a node's agent to stop a capture; ErrNoAgent if none listens.
func (a *Aggregator) RequestCancel(ctx context.Context, cluster, node string, r gopprof.CancelRequest) (gopprof.CaptureReply, error) {
	data, err := wire.EncodeCancelRequest(r)
	return a.ask(ctx, requestSubject(cluster, node, verbCancel), r.Capture, data, err)
}

// RequestStatus asks a node's agent what became of a capture; ErrNoAgent if none listens.
func (a *Aggregator) RequestStatus(ctx context.Context, cluster, node string, r gopprof.StatusRequest) (gopprof.CaptureReply, error) {
	data, err := wire.EncodeStatusRequest(r)
	return a.ask(ctx, requestSubject(cluster, node, verbStatus), r.Capture, data, err)
}

// RequestPause tells a node's agent to pause or to go on; ErrNoAgent if none listens.
func (a *Aggregator) RequestPause(ctx context.Context, cluster, node string, r gopprof.PauseRequest) (gopprof.CaptureReply, error) {
	data, err := wire.EncodePauseRequest(r)
	return a.ask(ctx, requestSubject(cluster, node, verbPause), r.ID, data, err)
}

// ask sends what was encoded and reads the answer to it, which carries the same ID.
func (a *Aggregator) ask(ctx context.Context, subject, id string, data []byte, encoding error) (gopprof.CaptureReply, error) {
	if encoding != nil {
		return gopprof.CaptureReply{}, fmt.Errorf("asking an agent about %q: %w: %w", id, ErrInvalid, encoding)
	}
	m, err := a.request(ctx, subject, data, requestWait)
	if errors.Is(err, nats.ErrNoResponders) {
		return gopprof.CaptureReply{}, fmt.Errorf("asking an agent about %q: %w", id, ErrNoAgent)
	}
	if err != nil {
		return gopprof.CaptureReply{}, fmt.Errorf("asking an agent about %q: %w", id, err)
	}
	r, err := wire.DecodeCaptureReply(id, m.Data)
	if err != nil {
		a.met.refuse(gopprof.ReasonUndecodable)
		return gopprof.CaptureReply{}, fmt.Errorf("asking an agent about %q: %w: %w", id, ErrUndecodable, err)
	}
	return r, nil
}
