package take

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"go.uber.org/zap"
)

// job is one capture from the moment it holds its target's gate.
type job struct {
	t      *Taker
	order  Order
	key    string
	ctx    context.Context // ends when the capture is cancelled
	cancel context.CancelFunc
	log    *zap.Logger
	inside bool          // holds the node's gate; run's goroutine only
	late   time.Duration // that requests took beyond their seconds since it holds the gate; run's goroutine only
	bytes  int64         // taken so far; run's goroutine only
	aside  int64         // of them, in memory while it does not hold the gate; run's goroutine only
	state  Running       // guarded by t.mu
}

// begin checks the order and takes the target's gate.
func (t *Taker) begin(ctx context.Context, o Order) (*job, error) {
	o, err := t.check(o)
	if err != nil {
		return nil, t.refuse(o, err)
	}
	j := &job{t: t, order: o, key: o.Target.Key(), log: t.log.With(fields(o)...)}
	j.state = Running{Capture: o.Capture, Target: o.Target, Trigger: o.Trigger.Kind, Since: t.deps.Now()}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.paused {
		return nil, t.refuse(o, &Error{Reason: gopprof.ReasonPaused, Detail: "all profiling is paused"})
	}
	if other := t.jobs[j.key]; other != nil {
		return nil, t.refuse(o, &Error{Reason: gopprof.ReasonCapturing, Detail: "by capture " + other.order.Capture})
	}
	j.ctx, j.cancel = context.WithCancel(ctx)
	t.jobs[j.key] = j
	t.metrics.running.Inc()
	return j, nil
}

func (t *Taker) refuse(o Order, err error) error {
	reason := gopprof.ReasonOf(err)
	t.metrics.captures.WithLabelValues(string(reason)).Inc()
	t.log.Info("capture refused", append(fields(o), zap.String("reason", string(reason)), zap.Error(err))...)
	return err
}

func fields(o Order) []zap.Field {
	return []zap.Field{
		zap.String("capture", o.Capture), zap.String("node", o.Target.Node), zap.String("namespace", o.Target.Namespace),
		zap.String("pod", o.Target.Pod), zap.String("container", o.Target.Container),
	}
}

// run takes the capture and gives the gates back.
func (j *job) run() (gopprof.Capture, error) {
	defer j.end()
	c, err := j.takeInTurn()
	reason := gopprof.ReasonOf(err)
	j.t.metrics.captures.WithLabelValues(string(reason)).Inc()
	if err != nil {
		j.log.Warn("capture failed", zap.String("reason", string(reason)), zap.Error(err))
		return gopprof.Capture{}, err
	}
	j.log.Info("capture taken", zap.Int("profiles", len(c.Profiles)), zap.Int("failures", len(c.Failures)))
	return c, nil
}

func (j *job) end() {
	j.cancel()
	j.back()
	j.t.mu.Lock()
	defer j.t.mu.Unlock()
	delete(j.t.jobs, j.key)
	j.t.metrics.running.Dec()
}

// takeInTurn takes the capture when the node's gate lets it.
func (j *job) takeInTurn() (gopprof.Capture, error) {
	if err := j.enter(); err != nil {
		return gopprof.Capture{}, err
	}
	defer j.leave()
	c, err := j.take()
	if err == nil {
		j.hand()
	}
	return c, err
}

// enter waits for the node's gate until the order's deadline, and for room, unless it holds the
// gate already.
func (j *job) enter() error {
	if j.ctx.Err() != nil {
		return cancelled()
	}
	if j.inside {
		return nil
	}
	turn := time.NewTimer(j.order.Deadline.Sub(j.t.deps.Now()))
	defer turn.Stop()
	if !j.enterNow() {
		select {
		case j.t.slots <- struct{}{}:
			j.inside = true
		case <-turn.C:
			return &Error{Reason: gopprof.ReasonNodeBusy, Detail: fmt.Sprintf("%d others were profiled until the deadline", cap(j.t.slots))}
		case <-j.ctx.Done():
			return cancelled()
		}
	}
	if err := j.awaitRoom(turn.C); err != nil {
		j.leave()
		return err
	}
	j.back()
	return nil
}

func (j *job) enterNow() bool {
	select {
	case j.t.slots <- struct{}{}:
		j.inside = true
	default:
	}
	return j.inside
}

// leave gives the node's gate back, if it is held.
func (j *job) leave() {
	if j.inside {
		j.inside, j.late = false, 0
		<-j.t.slots
	}
}

// stepAside gives the node's gate back, to come again. It returns false, and nothing is given back,
// when what the capture has taken so far finds no room: all that step aside have that of one
// capture together, because as many may wait as there are targets.
func (j *job) stepAside() bool {
	j.t.mu.Lock()
	fits := j.t.aside+j.bytes <= j.t.cfg.MaxCaptureBytes
	if fits {
		j.aside = j.bytes
		j.t.aside += j.aside
	}
	j.t.mu.Unlock()
	if fits {
		j.leave()
	}
	return fits
}

// back ends what stepAside began: it holds the gate again, or has ended.
func (j *job) back() {
	j.t.mu.Lock()
	defer j.t.mu.Unlock()
	j.t.aside -= j.aside
	j.aside = 0
}

// slowAfter is how late a target's answers may be, all together, before it gives way to others.
const slowAfter = time.Second

// giveWay gives the node's gate back between two kinds of a slow target: whoever waits has their
// turn first, so that no target holds a place longer than one request may take.
func (j *job) giveWay() error {
	if j.inside && j.late > slowAfter && !j.stepAside() {
		return &Error{Reason: gopprof.ReasonNodeBusy, Detail: fmt.Sprintf("slow, and there was no room to wait with %d bytes", j.bytes)}
	}
	return nil
}

func cancelled() error { return &Error{Reason: gopprof.ReasonCancelled} }

// take asks for one kind after the other.
func (j *job) take() (gopprof.Capture, error) {
	o := j.order
	c := gopprof.Capture{ID: o.Capture, Incident: o.Incident, Trigger: o.Trigger, Target: o.Target, Start: j.t.deps.Now().UTC(), Agent: j.t.deps.Version}
	var last error
	for i, k := range o.Kinds {
		j.step(k, o.Kinds[i:])
		if !endsCapture(last) {
			last = j.takeKind(&c, k)
		}
		if last != nil {
			j.fail(&c, k, last)
		}
	}
	c.End = j.t.deps.Now().UTC()
	if len(c.Profiles) == 0 {
		return c, nothing(c.Failures)
	}
	return c, nil
}

// takeKind adds one profile to the capture. A panic, which foreign bytes may bring about in a
// library, costs this profile only.
func (j *job) takeKind(c *gopprof.Capture, k gopprof.Kind) (err error) {
	defer func() {
		if p := recover(); p != nil {
			j.log.Error("taking a profile panicked", zap.String("kind", string(k)), zap.Any("error", p), zap.ByteString("stack", debug.Stack()))
			err = &Error{Reason: gopprof.ReasonInternal, Detail: clean(fmt.Sprint("panicked: ", p))}
		}
	}()
	if k == gopprof.KindTrace && j.order.Trigger.Kind != gopprof.TriggerManual {
		return &Error{Reason: gopprof.ReasonForbidden, Detail: "a trace is taken by hand only"}
	}
	if err := j.giveWay(); err != nil {
		return err
	}
	if err := j.enter(); err != nil { // the gate was given back, or while another kind waited
		return err
	}
	got, err := j.fetchPatiently(k)
	if err != nil {
		return err
	}
	if len(c.Profiles) == 0 {
		c.Target, c.Labels = got.target, gopprof.SplitLabels(got.target.Labels)
	}
	if k == gopprof.KindCPU {
		c.CPUSeconds, c.Requests = got.cpuSeconds, got.requests
	}
	c.Profiles = append(c.Profiles, got.profile)
	j.bytes += got.profile.SizeBytes
	j.t.metrics.taken(got.profile)
	return nil
}

func (j *job) fail(c *gopprof.Capture, k gopprof.Kind, err error) {
	f := gopprof.Failure{Kind: k, Reason: gopprof.ReasonOf(err), Detail: detailOf(err)}
	c.Failures = append(c.Failures, f)
	j.t.metrics.failed(f)
	j.log.Warn("profile not taken", zap.String("kind", string(k)), zap.String("reason", string(f.Reason)), zap.Error(err))
}

// step notes how far the capture is.
func (j *job) step(k gopprof.Kind, left []gopprof.Kind) {
	until := j.t.deps.Now()
	for _, l := range left {
		if l.Timed() {
			until = until.Add(j.order.CPUSeconds)
		}
	}
	j.t.mu.Lock()
	defer j.t.mu.Unlock()
	j.state.Kind, j.state.Until = k, until
}

// endsCapture tells whether a failure holds for the kinds that follow as well: asking on
// would only cost time.
func endsCapture(err error) bool {
	switch gopprof.ReasonOf(err) {
	case gopprof.ReasonCancelled, gopprof.ReasonGone, gopprof.ReasonTerminating, gopprof.ReasonNotStarted,
		gopprof.ReasonInvalidEndpoint, gopprof.ReasonUnknown, gopprof.ReasonTimeout:
		return true
	case gopprof.ReasonUnreachable:
		return notDialled(err)
	}
	return false
}

// nothing is the error of a capture without profiles, under the first failure's name.
func nothing(failures []gopprof.Failure) error {
	all := make([]string, len(failures))
	for i, f := range failures {
		all[i] = fmt.Sprintf("%s: %s", f.Kind, f.Reason)
		if f.Detail != "" {
			all[i] += " (" + f.Detail + ")"
		}
	}
	return &Error{Reason: failures[0].Reason, Detail: strings.Join(all, "; ")}
}
