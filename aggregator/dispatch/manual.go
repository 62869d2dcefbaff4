package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Capture asks the agent of one target for a capture and returns the operation that keeps
// its state. An error is a *gopprof.Error when the request was refused before an agent was
// asked (bad_input, unknown, budget, or why the target may not be profiled): then there is
// no operation. What the agent answers, or that it does not, stands in the operation.
func (d *Dispatcher) Capture(ctx context.Context, m Manual) (gopprof.Operation, error) {
	op, request, err := d.plan(ctx, m)
	if err != nil {
		d.metrics.operations.WithLabelValues(string(gopprof.ReasonOf(err))).Inc()
		return gopprof.Operation{}, err
	}
	answer := d.ask(ctx, op.Captures[0].Target, request)
	d.metrics.operations.WithLabelValues(string(answer.Reason)).Inc()
	d.logManual(op, answer)
	// The caller may have hung up meanwhile; what the agent does is written down all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.Manual.AgentTimeout)
	defer cancel()
	if answer.State == gopprof.CaptureFailed {
		err = d.release(ctx, request.Capture)
	}
	op, err2 := d.advanceOperation(ctx, op.ID, request.Capture, answer)
	return op, errors.Join(err, err2)
}

// plan finds the target, takes a place in the bound on manual captures, and stores the
// operation before anybody is asked, so that whatever happens can be looked up.
func (d *Dispatcher) plan(ctx context.Context, m Manual) (gopprof.Operation, gopprof.CaptureRequest, error) {
	m, err := d.cfg.Manual.complete(m)
	if err != nil {
		return gopprof.Operation{}, gopprof.CaptureRequest{}, err
	}
	target, err := resolve(d.Nodes(), m)
	if err != nil {
		return gopprof.Operation{}, gopprof.CaptureRequest{}, err
	}
	now := d.deps.Now()
	op := gopprof.Operation{ID: d.deps.NewID(), Who: m.Who, At: now, Captures: []gopprof.OperationCapture{
		{Capture: d.deps.NewID(), Target: target, State: gopprof.CaptureWaiting},
	}}
	request := gopprof.CaptureRequest{
		Capture: op.Captures[0].Capture, Incident: d.deps.NewID(), Kind: gopprof.TriggerManual,
		Request:   gopprof.Request{Who: m.Who, Operation: op.ID},
		Namespace: target.Namespace, Pod: target.Pod, PodUID: target.PodUID, Container: target.Container,
		Kinds: m.Kinds, CPUSeconds: m.CPUSeconds, Deadline: now.Add(d.cfg.Manual.StartWithin),
	}
	if err := d.admit(ctx, request, now); err != nil {
		return op, request, err
	}
	return op, request, d.create(ctx, op)
}

// complete fills in what a request left out and refuses what makes no sense.
func (c ManualConfig) complete(m Manual) (Manual, error) {
	bad := func(format string, args ...any) (Manual, error) {
		return m, &gopprof.Error{Reason: gopprof.ReasonBadInput, Detail: fmt.Sprintf(format, args...)}
	}
	if m.Namespace == "" || m.Pod == "" {
		return bad("namespace and pod must be named")
	}
	var kinds []gopprof.Kind
	for _, k := range m.Kinds {
		parsed, err := gopprof.ParseKind(string(k))
		if err != nil {
			return bad("%v", err)
		}
		if !slices.Contains(kinds, parsed) {
			kinds = append(kinds, parsed)
		}
	}
	if m.Kinds = kinds; len(kinds) == 0 {
		m.Kinds = []gopprof.Kind{gopprof.KindCPU, gopprof.KindHeap, gopprof.KindGoroutine}
	}
	if most := c.MaxDuration.Seconds(); !(m.CPUSeconds >= 0 && m.CPUSeconds <= most) {
		return bad("%v seconds: from 0 to %v", m.CPUSeconds, most)
	}
	if m.CPUSeconds == 0 {
		m.CPUSeconds = c.CPUDuration.Seconds()
	}
	return m, nil
}

// admit takes a place among the manual captures that may run at once.
func (d *Dispatcher) admit(ctx context.Context, r gopprof.CaptureRequest, now time.Time) error {
	var full error
	err := d.changeLedger(ctx, func(l ledger) (ledger, bool) {
		full = nil
		if l.manualRunning(now, d.cfg.Manual.lifetime()) >= d.cfg.Manual.AtOnce {
			full = &gopprof.Error{Reason: gopprof.ReasonBudget, Detail: fmt.Sprintf("%d manual captures are running already", d.cfg.Manual.AtOnce)}
			return l, false
		}
		return l.with(grant{Capture: r.Capture, Incident: r.Incident, Manual: true, At: now}, d.cfg, now), true
	})
	return errors.Join(err, full)
}

// release ends a capture's place in every bound.
func (d *Dispatcher) release(ctx context.Context, capture string) error {
	return d.changeLedger(ctx, func(l ledger) (ledger, bool) { return l.ended(capture, d.deps.Now()) })
}

func (d *Dispatcher) create(ctx context.Context, op gopprof.Operation) error {
	value, err := json.Marshal(op)
	if err == nil {
		_, err = d.deps.Operations.Create(ctx, op.ID, value)
	}
	if err != nil {
		return fmt.Errorf("storing operation %q: %w", op.ID, err)
	}
	return nil
}

// ask puts the request to the agent and returns the state that its answer means.
func (d *Dispatcher) ask(ctx context.Context, t gopprof.Target, r gopprof.CaptureRequest) gopprof.OperationCapture {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Manual.AgentTimeout)
	defer cancel()
	reply, err := d.deps.Agents.RequestCapture(ctx, t.Cluster, t.Node, r)
	switch {
	case errors.Is(err, bus.ErrNoAgent):
		return failed(gopprof.ReasonNoAnswer, fmt.Sprintf("no agent answers for node %q", t.Node))
	case err != nil:
		return failed(gopprof.ReasonNoAnswer, fmt.Sprintf("the agent of node %q did not answer: %v", t.Node, err))
	case !reply.Accepted:
		return refusal(reply)
	}
	return gopprof.OperationCapture{State: gopprof.CaptureProfiling, Until: d.deps.Now().Add(duration(r))}
}

// agentReasons are the words by which agents refuse. A word that is none of them must not
// become the value of a metric's label.
var agentReasons = []gopprof.Reason{
	gopprof.ReasonUnknown, gopprof.ReasonGone, gopprof.ReasonTerminating, gopprof.ReasonNotStarted, gopprof.ReasonInvalidEndpoint,
	gopprof.ReasonCapturing, gopprof.ReasonNodeBusy, gopprof.ReasonContended, gopprof.ReasonExpired, gopprof.ReasonCancelled,
	gopprof.ReasonForbidden, gopprof.ReasonBadInput, gopprof.ReasonSpoolFull, gopprof.ReasonSpoolFailed, gopprof.ReasonInternal,
	gopprof.ReasonUnreachable, gopprof.ReasonTimeout, gopprof.ReasonRedirected, gopprof.ReasonStatus,
	gopprof.ReasonTooLarge, gopprof.ReasonInvalidProfile, gopprof.ReasonNotEnabled,
	gopprof.ReasonEnded, gopprof.ReasonNoAddress, gopprof.ReasonHostNetwork, gopprof.ReasonAmbiguousContainer, gopprof.ReasonNoContainer,
}

func refusal(r gopprof.CaptureReply) gopprof.OperationCapture {
	if !slices.Contains(agentReasons, r.Reason) {
		return failed(gopprof.ReasonNoAnswer, fmt.Sprintf("the agent refused without a reason that is known here: %.64q", r.Reason))
	}
	return failed(r.Reason, fmt.Sprintf("%.500s", r.Detail))
}

func failed(r gopprof.Reason, detail string) gopprof.OperationCapture {
	return gopprof.OperationCapture{State: gopprof.CaptureFailed, Reason: r, Detail: detail}
}

// duration is how long a capture takes once it has started: the timed kinds follow one
// another, the others take moments.
func duration(r gopprof.CaptureRequest) time.Duration {
	timed := 0
	for _, k := range r.Kinds {
		if k.Timed() {
			timed++
		}
	}
	return time.Duration(float64(timed)*r.CPUSeconds*float64(time.Second)) + 5*time.Second
}

func (d *Dispatcher) logManual(op gopprof.Operation, answer gopprof.OperationCapture) {
	oc := op.Captures[0]
	d.log.Info("manual capture requested",
		zap.String("operation", op.ID), zap.String("who", op.Who), zap.String("capture", oc.Capture),
		zap.String("node", oc.Target.Node), zap.String("namespace", oc.Target.Namespace), zap.String("pod", oc.Target.Pod),
		zap.String("container", oc.Target.Container), zap.String("reason", string(answer.Reason)))
}
