// Package accept takes capture requests that people, siblings and alerts send through the
// aggregator.
//
// What enters is a request that names a pod of this node. What leaves is the answer, at
// once: accepted, or refused with a named reason; and later the capture, by way of take
// and publish. A request repeated under the same capture ID starts nothing twice: it is
// answered by what became of the first, so asking again is also how to learn that.
//
// It must never profile anything that discover does not list at this moment, never answer
// "accepted" for a request that take has refused, and start nothing while it is paused.
package accept

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Taker takes captures.
type Taker interface {
	// Start returns at once: why the order is refused, or a function that waits for the
	// capture.
	Start(ctx context.Context, o gopprof.Order) (wait func() (gopprof.Capture, error), err error)
	// Cancel ends a running capture; false when there is none of that ID.
	Cancel(capture string) bool
	// Pause ends all captures and refuses further ones, until it is told to let them in.
	Pause(paused bool)
	Paused() bool
	// Left tells how long a capture still takes, 0 while it waits for its turn; false when
	// it is not running.
	Left(capture string) (left time.Duration, running bool)
}

// Targets returns what discover lists now.
type Targets func() (targets []gopprof.Target, refused []gopprof.Refusal)

// Publisher takes a capture over.
type Publisher interface {
	Publish(ctx context.Context, c gopprof.Capture) error
	// Has tells whether it has a capture, also one that an earlier agent took, or had it lately.
	Has(capture string) bool
}

// Acceptor answers requests. Its methods may be called from any goroutine.
type Acceptor struct {
	taker   Taker
	targets Targets
	publish Publisher
	log     *zap.Logger
	metrics *metrics
	now     func() time.Time

	mu       sync.Mutex
	captures context.Context // of the captures; nil while Run does not run. guarded by mu
	running  sync.WaitGroup  // Add under mu only, before Run ends
	history  history         // guarded by mu
}

// New returns an Acceptor. It refuses every request until Run runs.
func New(taker Taker, targets Targets, publisher Publisher, log *zap.Logger, reg prometheus.Registerer) *Acceptor {
	return &Acceptor{
		taker: taker, targets: targets, publish: publisher, log: log, metrics: newMetrics(reg), now: time.Now,
		history: history{outcomes: make(map[string]gopprof.CaptureReply)},
	}
}

// Run lets requests in until ctx ends. The captures that they start go on after it, until
// captures ends.
func (a *Acceptor) Run(ctx, captures context.Context) error {
	a.letIn(captures)
	<-ctx.Done()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.captures = nil
	return nil
}

func (a *Acceptor) letIn(captures context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.captures = captures
}

// Drain waits, after Run, until all captures have ended and what they took is published.
func (a *Acceptor) Drain(ctx context.Context) error {
	done := make(chan struct{})
	go func() { a.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("requested captures still running")
	}
}

// Capture starts a capture and answers at once.
func (a *Acceptor) Capture(_ context.Context, r gopprof.CaptureRequest) gopprof.CaptureReply {
	reply := a.answer(r)
	a.metrics.answered("capture", reply)
	a.log.Info("capture request answered", zap.String("capture", r.Capture), zap.String("namespace", r.Namespace),
		zap.String("pod", r.Pod), zap.Bool("accepted", reply.Accepted), zap.String("reason", string(reply.Reason)))
	return reply
}

// Cancel ends a capture, whoever asked for it.
func (a *Acceptor) Cancel(_ context.Context, r gopprof.CancelRequest) gopprof.CaptureReply {
	reply := gopprof.CaptureReply{Accepted: true}
	if !a.taker.Cancel(r.Capture) {
		reply = refuse(gopprof.ReasonUnknown, "no such capture is running")
	}
	a.metrics.answered("cancel", reply)
	return reply
}

// Status says what became of a capture: accepted while it waits, is taken, or is done.
func (a *Acceptor) Status(_ context.Context, r gopprof.StatusRequest) gopprof.CaptureReply {
	reply := a.status(r.Capture)
	a.metrics.answered("status", reply)
	return reply
}

func (a *Acceptor) status(capture string) gopprof.CaptureReply {
	if left, running := a.taker.Left(capture); running {
		return gopprof.CaptureReply{Accepted: true, SecondsLeft: left.Seconds()}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if reply, ok := a.known(capture); ok {
		return reply
	}
	return refuse(gopprof.ReasonUnknown, "this agent has not been asked for it since it started")
}

// known is what became of a capture, also of one that an earlier agent took and that waits to
// be sent. The caller holds mu.
func (a *Acceptor) known(capture string) (gopprof.CaptureReply, bool) {
	reply, ok := a.history.get(capture)
	if !ok && a.publish.Has(capture) {
		return done, true
	}
	return reply, ok
}

// Pause stops all profiling of this node, whoever asked for it, until it is called again
// to let it go on.
func (a *Acceptor) Pause(_ context.Context, r gopprof.PauseRequest) gopprof.CaptureReply {
	if was := a.taker.Paused(); was != r.Paused {
		a.log.Warn("profiling switched", zap.Bool("paused", r.Paused))
	}
	a.taker.Pause(r.Paused)
	reply := gopprof.CaptureReply{Accepted: true}
	a.metrics.answered("pause", reply)
	return reply
}

// Paused tells whether nothing may be profiled.
func (a *Acceptor) Paused() bool { return a.taker.Paused() }

func (a *Acceptor) answer(r gopprof.CaptureRequest) gopprof.CaptureReply {
	a.mu.Lock()
	defer a.mu.Unlock()
	if reply, ok := a.known(r.Capture); ok {
		return reply // before the check: the deadline may have passed since
	}
	if err := check(r, a.now()); err != nil {
		return refusal(err)
	}
	if a.captures == nil || a.captures.Err() != nil {
		return refuse(gopprof.ReasonCancelled, "the agent is starting or stopping")
	}
	target, err := find(a.targets, r)
	if err != nil {
		return refusal(err)
	}
	o := order(r, target, a.now())
	wait, err := a.taker.Start(a.captures, o)
	if err != nil {
		return refusal(err)
	}
	a.history.put(r.Capture, gopprof.CaptureReply{Accepted: true})
	a.running.Go(func() { a.finish(o, wait) })
	return gopprof.CaptureReply{Accepted: true}
}

// CameToNothing tells what became of a capture that an earlier agent had accepted: whoever
// asks is answered so from now on, and who waits for the capture is told.
func (a *Acceptor) CameToNothing(o gopprof.Order, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.history.put(o.Capture, refusal(err))
	a.running.Go(func() { a.finish(o, func() (gopprof.Capture, error) { return gopprof.Capture{}, err }) })
}

// finish waits for the capture, hands it on and remembers what became of it. One that came
// to nothing is handed on as well: somebody waits for it.
func (a *Acceptor) finish(o gopprof.Order, wait func() (gopprof.Capture, error)) {
	c, err := wait()
	if err != nil {
		c = o.Nothing(err, a.now())
	}
	// Not under the captures' context: what was taken is kept also when the agent stops.
	if failed := a.publish.Publish(context.Background(), c); err == nil {
		err = failed
	}
	reply := done
	if err != nil {
		reply = refusal(err)
		a.log.Warn("requested capture failed", zap.String("capture", o.Capture), zap.String("reason", string(reply.Reason)), zap.Error(err))
	}
	a.metrics.outcomes.WithLabelValues(string(reply.Reason)).Inc()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.history.put(o.Capture, reply)
}

// done is the answer about a capture that was taken.
var done = gopprof.CaptureReply{Accepted: true, Detail: "done", Done: true}

func refuse(reason gopprof.Reason, detail string) gopprof.CaptureReply {
	return gopprof.CaptureReply{Reason: reason, Detail: detail}
}

func refusal(err error) gopprof.CaptureReply {
	e, ok := errors.AsType[*gopprof.Error](err)
	if !ok {
		return refuse(gopprof.ReasonInternal, err.Error())
	}
	detail := e.Detail
	if detail == "" && e.Err != nil {
		detail = e.Err.Error()
	}
	return refuse(e.Reason, detail)
}
