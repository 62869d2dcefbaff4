package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// The stages as the pipeline needs them.
type (
	discoverer interface{ Snapshot() discover.Snapshot }
	observer   interface {
		Observe(ctx context.Context, targets []gopprof.Target, now time.Time) []observe.Observed
		Over(key string, start, end time.Time) (gopprof.Window, bool)
	}
	asker interface {
		Ask(ctx context.Context, firing gopprof.Firing) gopprof.Decision
		// CameToNothing tells that a capture that was allowed made no profile.
		CameToNothing(capture string)
	}
	agreer interface {
		Agree(ctx context.Context, fired judge.Fired) gopprof.Agreement
	}
	taker interface {
		Take(ctx context.Context, order gopprof.Order) (gopprof.Capture, error)
	}
	keeper interface {
		// note writes down that a firing, or with its incident a capture, is in hand.
		note(o gopprof.Order)
		// strike removes it: what became of it is safe, or was told.
		strike(capture string)
	}
	publisher interface {
		Publish(ctx context.Context, capture gopprof.Capture) error
		Hold(capture gopprof.Capture, until time.Time) error
		Amend(ctx context.Context, id string, change func(c *gopprof.Capture)) error
		Has(capture string) bool
	}
)

// pipeline is what an agent does, in flow order.
type pipeline struct {
	discover discoverer
	observe  observer
	windows  judge.Source // whose windows are judged; nil under the policy "series"
	judge    *judge.Judge
	ask      asker
	agree    agreer
	take     taker
	publish  publisher
	hand     keeper

	remember func() // writes what judge must know after a restart
	newID    func() string
	now      func() time.Time
	version  string
	heldFor  time.Duration // the longest that a capture is held for the witness's answer
	log      *zap.Logger
	guard    *guard

	unheldMost int64        // bytes of captures that may wait for the witness's answer in memory, beyond one
	unheld     atomic.Int64 // those that do

	turns    turns          // of the targets
	captures sync.WaitGroup // running captures; turn adds, drain waits
}

// triggerLifetime is how long after firing a capture may still start: while it waits its
// turn on the node or for somebody else's hold on the CPU profiler.
const triggerLifetime = 90 * time.Second

// turn looks at every target that is due and starts a capture for every rule that fires.
// ctx is the turn's, captures is the one under which captures run on after it.
func (p *pipeline) turn(ctx, captures context.Context, now time.Time) {
	snapshot := p.discover.Snapshot()
	for _, seen := range p.observe.Observe(ctx, snapshot.Targets, now) {
		switch {
		case p.windows == nil:
		case seen.Err != nil:
			p.judge.Unread(seen.Target, unreadReason(seen.Err))
		default:
			p.fire(captures, p.judged(seen.Target, p.windows, now))
		}
	}
	if !snapshot.Unlisted {
		p.judge.Forget(keys(snapshot.Targets), now)
	}
	if p.judge.Rearmed() {
		p.remember()
	}
}

// judged judges one target. A panic costs this target this turn.
func (p *pipeline) judged(t gopprof.Target, windows judge.Source, now time.Time) (fired []judge.Fired) {
	p.guard.do(guardedJudge, func() { fired = p.judge.Judge(t, windows, now) }, fieldsOf(t),
		func() { p.judge.Unread(t, gopprof.ReasonInternal) })
	return fired
}

func unreadReason(err error) gopprof.Reason {
	switch {
	case errors.Is(err, observe.ErrGone):
		return gopprof.ReasonGone
	case errors.Is(err, observe.ErrPanicked):
		return gopprof.ReasonInternal
	}
	return gopprof.ReasonNoReadings
}

// fire starts a capture for each rule that fired. That it fired is logged when it is in hand,
// before anything else can fail or has to wait: what became of it stands in exactly one line
// after, of the next agent when this one was killed meanwhile; or nowhere, when it could not be
// written down and the log says so.
func (p *pipeline) fire(ctx context.Context, fired []judge.Fired) {
	for _, f := range fired {
		id := p.newID()
		log := p.logOf(f).With(zap.String("capture", id))
		p.captures.Go(func() {
			defer p.hand.strike(id) // also of what panicked: the agent lives, and the next one must not say that it died with it
			p.guard.do(guardedCapture, func() { p.capture(ctx, f, id, log) }, append(fieldsOfFired(f), zap.String("capture", id)),
				func() { p.judge.Refused(f, gopprof.ReasonInternal, p.now()) })
		})
	}
}

// capture is the way of one firing, under the ID that its capture will have: ask → take, while
// the series are asked → publish.
func (p *pipeline) capture(ctx context.Context, f judge.Fired, id string, log *zap.Logger) {
	p.hand.note(orderOf(f, id, "", p.now()))
	log.Info("rule fired", zap.Float64("ratio", ratioOf(f)))
	turn, err := p.turns.enter(ctx, f.Target.Key(), func(before *turn) bool { return p.join(f, before) })
	if err != nil {
		p.refuse(f, log, reasonOf(err), err)
	}
	if turn == nil {
		return
	}
	defer close(turn.ended)
	defer turn.leave()
	order, ok := p.granted(ctx, f, id, log)
	if !ok {
		return
	}
	asking, enough := context.WithCancel(ctx)
	defer enough() // nobody waits for the witness of nothing
	agreement := p.agreement(asking, f)
	capture, err := p.take.Take(ctx, order)
	turn.taken = withoutBytes(capture)
	turn.leave()
	if err != nil {
		p.refuse(f, log, reasonOf(err), err)
		p.tellNothing(order, log, err)
		return
	}
	capture.Agent = p.version
	capture, held := p.awaited(capture, agreement, log)
	err = p.handOn(ctx, f, capture, held, log)
	if turn.agreement, turn.published = capture.Agreement, err == nil; err != nil {
		p.tellNothing(order, log, err)
	}
}

// heldLonger is how much longer a capture is held than its witness is waited for.
const heldLonger = 5 * time.Minute

// awaited waits for the witness's answer. Meanwhile what was taken is held in the spool and
// not in memory: if the agent dies now, it is sent without the answer by the next one. Where the
// disk takes nothing, few wait in memory, and others go without the answer.
func (p *pipeline) awaited(capture gopprof.Capture, agreement <-chan gopprof.Agreement, log *zap.Logger) (_ gopprof.Capture, held bool) {
	select {
	case capture.Agreement = <-agreement:
		return capture, false
	default:
	}
	capture.Agreement = gopprof.Agreement{
		Result: gopprof.AgreementUnavailable, Reason: gopprof.ReasonNoAnswer, Detail: "the agent ended before the series had answered, or could not write the answer down",
	}
	if err := p.publish.Hold(capture, p.now().Add(p.heldFor)); err != nil {
		log.Warn("capture not held in the spool", zap.Error(err))
		size := capture.SizeBytes()
		if total := p.unheld.Add(size); total > p.unheldMost && total > size {
			p.unheld.Add(-size)
			capture.Agreement.Detail = "the capture could not be written down, and others wait in memory: it does not wait for the series"
			return capture, false
		}
		defer p.unheld.Add(-size)
	} else {
		capture, held = withoutBytes(capture), true
	}
	capture.Agreement = <-agreement
	return capture, held
}

// withoutBytes is a capture of which nothing is kept but what it is.
func withoutBytes(c gopprof.Capture) gopprof.Capture {
	c.Profiles = slices.Clone(c.Profiles)
	for i := range c.Profiles {
		c.Profiles[i].Bytes = nil
	}
	return c
}

// join makes another rule's capture that just ended this one's, if it holds all kinds that
// would be taken: what was hot then is hot now, and once is enough.
func (p *pipeline) join(f judge.Fired, before *turn) bool {
	if !before.holds(f.Rule.Kinds) {
		return false
	}
	if <-before.ended; !before.published {
		return false
	}
	p.judge.Captured(f, before.taken.ID, before.agreement, p.now())
	p.remember()
	p.logOf(f).Info("firing joined another rule's capture", zap.String("capture", before.taken.ID))
	return true
}

// granted asks whether the firing may become a capture, and returns its order if it may.
func (p *pipeline) granted(ctx context.Context, f judge.Fired, id string, log *zap.Logger) (gopprof.Order, bool) {
	log.Info("capture asked for")
	decision := p.ask.Ask(ctx, firingOf(f, id, p.now()))
	if !decision.Go {
		p.refuse(f, log, decision.Reason, nil)
		return gopprof.Order{}, false
	}
	return orderOf(f, id, decision.Incident, p.now()), true
}

// handOn publishes what was taken, also when the captures were cancelled meanwhile.
func (p *pipeline) handOn(ctx context.Context, f judge.Fired, capture gopprof.Capture, held bool, log *zap.Logger) error {
	ctx = context.WithoutCancel(ctx)
	hand := func() error { return p.publish.Publish(ctx, capture) }
	if held {
		hand = func() error {
			return p.publish.Amend(ctx, capture.ID, func(c *gopprof.Capture) { c.Agreement = capture.Agreement })
		}
	}
	if err := hand(); err != nil {
		p.refuse(f, log, reasonOf(err), err)
		return err
	}
	p.judge.Captured(f, capture.ID, capture.Agreement, p.now())
	p.remember()
	log.Info("witnesses compared", zap.String("agreement", string(capture.Agreement.Result)),
		zap.String("reason", string(capture.Agreement.Reason)), zap.String("detail", capture.Agreement.Detail))
	return nil
}

// tellNothing tells who allowed a capture that it will not come, and gives its place in the
// budget back.
func (p *pipeline) tellNothing(order gopprof.Order, log *zap.Logger, err error) {
	p.ask.CameToNothing(order.Capture)
	nothing := order.Nothing(err, p.now())
	nothing.Agent = p.version
	if err := p.publish.Publish(context.Background(), nothing); err != nil {
		log.Warn("aggregator not told", zap.Error(err))
	}
}

// died is the end of a capture that an earlier agent had in hand, or of a firing: whether that
// was granted nobody knows, and nobody waits for it.
func (p *pipeline) died(order gopprof.Order, err error) {
	f := judge.Fired{Target: order.Target, Evidence: *order.Trigger.Evidence, Rule: gopprof.Rule{Name: order.Trigger.Evidence.Rule}}
	for _, rule := range p.judge.Rules() {
		if rule.Name == f.Rule.Name {
			f.Rule = rule
		}
	}
	log := p.logOf(f).With(zap.String("capture", order.Capture), zap.Time("since", order.Trigger.At))
	p.refuse(f, log, reasonOf(err), err)
	if order.Incident == "" {
		p.hand.strike(order.Capture)
		return
	}
	p.captures.Go(func() {
		p.guard.do(guardedCapture, func() { p.tellNothing(order, log, err) }, fieldsOfFired(f))
	})
}

// agreement asks the second witness while the capture runs.
func (p *pipeline) agreement(ctx context.Context, f judge.Fired) <-chan gopprof.Agreement {
	answer := make(chan gopprof.Agreement, 1)
	p.captures.Go(func() {
		p.guard.do(guardedCapture, func() { answer <- p.agree.Agree(ctx, f) }, fieldsOf(f.Target),
			func() {
				answer <- gopprof.Agreement{Result: gopprof.AgreementUnavailable, Reason: gopprof.ReasonInternal}
			})
	})
	return answer
}

func (p *pipeline) refuse(f judge.Fired, log *zap.Logger, reason gopprof.Reason, err error) {
	p.judge.Refused(f, reason, p.now())
	log.Warn("firing came to nothing", zap.String("reason", string(reason)), zap.Error(err))
}

// drain waits for running captures.
func (p *pipeline) drain(ctx context.Context) error {
	done := make(chan struct{})
	go func() { p.captures.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("captures still running")
	}
}

func (p *pipeline) logOf(f judge.Fired) *zap.Logger {
	return p.log.With(fieldsOfFired(f)...)
}

func fieldsOfFired(f judge.Fired) []zap.Field {
	return append(fieldsOf(f.Target), zap.String("rule", f.Rule.Name))
}

func orderOf(f judge.Fired, id, incident string, now time.Time) gopprof.Order {
	return gopprof.Order{
		Capture: id, Incident: incident, Target: f.Target, Kinds: f.Rule.Kinds, CPUSeconds: f.Rule.CPUSeconds,
		Trigger:  gopprof.Trigger{Kind: gopprof.TriggerRule, At: now, Evidence: &f.Evidence},
		Deadline: now.Add(triggerLifetime),
	}
}

func firingOf(f judge.Fired, id string, now time.Time) gopprof.Firing {
	return gopprof.Firing{
		Capture: id, Target: f.Target, Rule: f.Rule.Name, Resource: f.Rule.Resource, Ratio: ratioOf(f), At: now,
		Threshold: f.Evidence.Threshold, Kinds: f.Rule.Kinds, CPUSeconds: f.Rule.CPUSeconds.Seconds(),
	}
}

func ratioOf(f judge.Fired) float64 {
	ratio, _ := f.Evidence.Newest().Ratio(f.Rule.Resource)
	return ratio
}

// reasonOf returns the named reason of a stage's error.
func reasonOf(err error) gopprof.Reason {
	if reason := gopprof.ReasonOf(err); reason != "" {
		return reason
	}
	if errors.Is(err, context.Canceled) {
		return gopprof.ReasonCancelled
	}
	return gopprof.ReasonInternal
}

func keys(targets []gopprof.Target) map[string]bool {
	present := make(map[string]bool, len(targets))
	for _, t := range targets {
		present[t.Key()] = true
	}
	return present
}
