package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

// askWait is how long a firing agent waits for the aggregator's word.
const askWait = time.Second

// Agent is one node's end of the bus.
type Agent struct {
	*link
	cluster, node string
	now           func() time.Time
}

// ConnectAgent returns the node's end of the bus, though NATS may be away: it connects
// when it can, and again whenever it was lost. It fails only on what waiting cannot mend:
// no URL, an unreadable key.
func ConnectAgent(ctx context.Context, c Config, cluster, node string, log *zap.Logger, reg prometheus.Registerer) (*Agent, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connecting to nats: %w", err)
	}
	if c.URL == "" {
		return nil, fmt.Errorf("connecting to nats: no url")
	}
	if node == "" {
		return nil, fmt.Errorf("connecting to nats: no name for this node")
	}
	opts, err := c.options("gopprof-agent "+node, agentInbox(cluster, node))
	if err != nil {
		return nil, fmt.Errorf("connecting to nats: %w", err)
	}
	l, err := dial(opts, c.URL, log, newMetrics(reg, sideAgent))
	if err != nil {
		return nil, err
	}
	return &Agent{link: l, cluster: cluster, node: node, now: time.Now}, nil
}

// Ask puts a firing to the aggregator and returns its decision. It takes a second at
// most; an error means that nobody answered, or is ErrInvalid: nobody was asked.
func (a *Agent) Ask(ctx context.Context, f gopprof.Firing) (gopprof.Decision, error) {
	data, err := wire.EncodeFiring(f)
	if err != nil {
		return gopprof.Decision{}, fmt.Errorf("asking about capture %q: %w: %w", f.Capture, ErrInvalid, err)
	}
	m, err := a.request(ctx, subject("firing", a.cluster, a.node), data, askWait)
	if err != nil {
		return gopprof.Decision{}, fmt.Errorf("asking about capture %q: %w", f.Capture, err)
	}
	d, err := wire.DecodeDecision(f.Capture, m.Data)
	if err != nil {
		return gopprof.Decision{}, fmt.Errorf("asking about capture %q: %w: %w", f.Capture, ErrUndecodable, err)
	}
	return d, nil
}

// PublishState tells whoever listens what this node knows. Nobody acknowledges it. With
// ErrPartly it was told without some of its targets.
func (a *Agent) PublishState(_ context.Context, s gopprof.NodeState) error {
	data, left, err := encodeState(s)
	if err != nil {
		return fmt.Errorf("publishing state: %w", err)
	}
	if err := a.nc.Publish(subject("state", a.cluster, a.node), data); err != nil {
		return fmt.Errorf("publishing state: %w: %w", ErrAway, err)
	}
	if len(left) > 0 {
		return fmt.Errorf("publishing state: %w: %d left out, the first because of: %w", ErrPartly, len(left), left[0])
	}
	return nil
}

// Requests is what an agent does when it is asked to.
type Requests interface {
	// Capture starts a capture and returns whether it did, without waiting for its end.
	Capture(context.Context, gopprof.CaptureRequest) gopprof.CaptureReply
	Cancel(context.Context, gopprof.CancelRequest) gopprof.CaptureReply
	// Status says what became of a capture.
	Status(context.Context, gopprof.StatusRequest) gopprof.CaptureReply
	// Pause stops or allows all profiling.
	Pause(context.Context, gopprof.PauseRequest) gopprof.CaptureReply
}

// Serve answers requests until ctx ends. While NATS is away nobody asks; afterwards it
// goes on by itself.
func (a *Agent) Serve(ctx context.Context, r Requests) error {
	for verb, answer := range map[string]func(data []byte) []byte{
		verbCapture: answering(a, wire.DecodeCaptureRequest, func(q gopprof.CaptureRequest) (string, gopprof.CaptureReply) { return q.Capture, r.Capture(ctx, q) }),
		verbCancel:  answering(a, wire.DecodeCancelRequest, func(q gopprof.CancelRequest) (string, gopprof.CaptureReply) { return q.Capture, r.Cancel(ctx, q) }),
		verbStatus:  answering(a, wire.DecodeStatusRequest, func(q gopprof.StatusRequest) (string, gopprof.CaptureReply) { return q.Capture, r.Status(ctx, q) }),
		verbPause:   answering(a, wire.DecodePauseRequest, func(q gopprof.PauseRequest) (string, gopprof.CaptureReply) { return q.ID, r.Pause(ctx, q) }),
	} {
		sub, err := a.serve(verb, answer)
		if err != nil {
			return fmt.Errorf("serving requests: %w", err)
		}
		defer sub.Drain() //nolint:errcheck // the connection is closing anyway
	}
	<-ctx.Done()
	return nil
}

func (a *Agent) serve(verb string, answer func(data []byte) []byte) (*nats.Subscription, error) {
	respond := func(m *nats.Msg, out []byte) {
		if out == nil {
			return
		}
		if err := m.Respond(out); err != nil {
			a.log.Warn("answer not sent", zap.String("verb", verb), zap.Error(err))
		}
	}
	return a.nc.Subscribe(requestSubject(a.cluster, a.node, verb), func(m *nats.Msg) {
		a.guarded(m, func() { respond(m, answer(m.Data)) }, func() {
			respond(m, a.reply(wire.EventID(m.Data), gopprof.CaptureReply{Reason: gopprof.ReasonInternal, Detail: "panicked"}))
		})
	})
}

// answering reads one sort of request and returns the answer to it under its ID.
func answering[Q any](a *Agent, decode func([]byte) (Q, error), act func(Q) (id string, r gopprof.CaptureReply)) func([]byte) []byte {
	return func(data []byte) []byte {
		q, err := decode(data)
		if err != nil {
			return a.refuse(data, err)
		}
		return a.reply(act(q))
	}
}

// refuse answers what could not be read, under the ID of the request: a newer aggregator
// learns so that this agent is too old. What has no ID gets no answer.
func (a *Agent) refuse(data []byte, err error) []byte {
	a.met.refuse(gopprof.ReasonUndecodable)
	id := wire.EventID(data)
	if id == "" {
		return nil
	}
	return a.reply(id, gopprof.CaptureReply{Reason: gopprof.ReasonUndecodable, Detail: err.Error()})
}

func (a *Agent) reply(capture string, r gopprof.CaptureReply) []byte {
	out, err := wire.EncodeCaptureReply(wire.From{Cluster: a.cluster, Node: a.node}, capture, r)
	if err != nil {
		a.log.Error("answer not encoded", zap.String("capture", capture), zap.Error(err))
		return nil
	}
	return out
}
