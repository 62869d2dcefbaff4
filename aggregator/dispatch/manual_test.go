package dispatch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// agents answers requests as it is told to and remembers them.
type agents struct {
	capture  func(gopprof.CaptureRequest) (gopprof.CaptureReply, error)
	cancel   gopprof.CaptureReply
	cancelOf error
	asked    []gopprof.CaptureRequest
	nodes    []string
	stopped  []string
}

func (a *agents) RequestCapture(_ context.Context, cluster, node string, r gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
	a.asked, a.nodes = append(a.asked, r), append(a.nodes, cluster+"/"+node)
	if a.capture == nil {
		return gopprof.CaptureReply{Accepted: true}, nil
	}
	return a.capture(r)
}

func (a *agents) RequestCancel(_ context.Context, _, _ string, r gopprof.CancelRequest) (gopprof.CaptureReply, error) {
	a.stopped = append(a.stopped, r.Capture)
	return a.cancel, a.cancelOf
}

func answering(r gopprof.CaptureReply, err error) *agents {
	return &agents{capture: func(gopprof.CaptureRequest) (gopprof.CaptureReply, error) { return r, err }}
}

func target(node, pod, container string) gopprof.Target {
	return gopprof.Target{Cluster: "c", Node: node, Namespace: "shop", Pod: pod, PodUID: "uid-" + pod, Container: container,
		Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}}
}

// manualScene is a dispatcher that knows two nodes.
func manualScene(a *agents) (*Dispatcher, *clock) {
	c := newClock()
	d := newDispatcher(testConfig(), c.deps(newMemory(), newMemory(), a))
	d.Observe(gopprof.NodeState{Cluster: "c", Node: "a", Targets: []gopprof.TargetState{
		{Target: target("a", "web-1", "main")},
		{Target: target("a", "two", "left")}, {Target: target("a", "two", "right")},
		{Target: target("a", "gone", "main"), Gone: true},
	}, Refused: []gopprof.Refusal{{Target: target("a", "dying", "main"), Reason: gopprof.ReasonTerminating, Detail: "being deleted"}}})
	c.add(time.Second)
	d.Observe(gopprof.NodeState{Cluster: "c", Node: "b", Targets: []gopprof.TargetState{{Target: target("b", "db-0", "main")}}})
	return d, c
}

func manual(pod string) Manual { return Manual{Who: "ada", Namespace: "shop", Pod: pod} }

func TestManualCapture(t *testing.T) {
	a := &agents{}
	d, c := manualScene(a)
	op, err := d.Capture(t.Context(), manual("web-1"))
	if err != nil {
		t.Fatal(err)
	}
	if op.Who != "ada" || len(op.Captures) != 1 || op.Captures[0].State != gopprof.CaptureProfiling {
		t.Fatalf("operation: %+v", op)
	}
	if want := c.now().Add(35 * time.Second); !op.Captures[0].Until.Equal(want) {
		t.Errorf("expected to end at %v, not %v", want, op.Captures[0].Until)
	}
	r := a.asked[0]
	if a.nodes[0] != "c/a" || r.Capture != op.Captures[0].Capture || r.Kind != gopprof.TriggerManual || r.PodUID != "uid-web-1" ||
		r.Container != "main" || r.CPUSeconds != 30 || !r.Deadline.Equal(c.now().Add(time.Minute)) ||
		r.Request != (gopprof.Request{Who: "ada", Operation: op.ID}) || gopprof.CheckID(r.Incident) != nil {
		t.Errorf("request: %+v", r)
	}
	again, err := d.Operation(t.Context(), op.ID)
	if err != nil || again.Captures[0].State != gopprof.CaptureProfiling {
		t.Errorf("looked up: %+v, %v", again, err)
	}
}

func TestWhoIsAsked(t *testing.T) {
	for name, c := range map[string]struct {
		ask    Manual
		reason gopprof.Reason
		detail string
	}{
		"unknown pod":               {manual("web-9"), gopprof.ReasonUnknown, "web-9"},
		"another namespace":         {Manual{Namespace: "bank", Pod: "web-1"}, gopprof.ReasonUnknown, "bank"},
		"unknown container":         {Manual{Namespace: "shop", Pod: "two", Container: "middle"}, gopprof.ReasonUnknown, "two/middle"},
		"several containers":        {manual("two"), gopprof.ReasonBadInput, "left, right"},
		"the container named":       {Manual{Namespace: "shop", Pod: "two", Container: "right"}, "", ""},
		"vanished":                  {manual("gone"), gopprof.ReasonUnknown, "gone"},
		"may not be profiled":       {manual("dying"), gopprof.ReasonTerminating, "being deleted"},
		"another node":              {manual("db-0"), "", ""},
		"no pod":                    {manual(""), gopprof.ReasonBadInput, "named"},
		"no such kind":              {Manual{Namespace: "shop", Pod: "db-0", Kinds: []gopprof.Kind{"cmdline"}}, gopprof.ReasonBadInput, "cmdline"},
		"longer than allowed":       {Manual{Namespace: "shop", Pod: "db-0", CPUSeconds: 61}, gopprof.ReasonBadInput, "60"},
		"less than no time":         {Manual{Namespace: "shop", Pod: "db-0", CPUSeconds: -1}, gopprof.ReasonBadInput, "-1"},
		"a trace, which is allowed": {Manual{Namespace: "shop", Pod: "db-0", Kinds: []gopprof.Kind{"trace"}, CPUSeconds: 5}, "", ""},
	} {
		a := &agents{}
		d, _ := manualScene(a)
		_, err := d.Capture(t.Context(), c.ask)
		if gopprof.ReasonOf(err) != c.reason || (err != nil && !strings.Contains(err.Error(), c.detail)) {
			t.Errorf("%s: %v", name, err)
		}
		if asked := len(a.asked) > 0; asked != (c.reason == "") {
			t.Errorf("%s: an agent was asked: %v", name, asked)
		}
	}
}

func TestPodThatMoved(t *testing.T) {
	a := &agents{}
	d, c := manualScene(a)
	c.add(time.Minute)
	d.Observe(gopprof.NodeState{Cluster: "c", Node: "b", Targets: []gopprof.TargetState{{Target: target("b", "web-1", "main")}}})
	if _, err := d.Capture(t.Context(), manual("web-1")); err != nil || a.nodes[0] != "c/b" {
		t.Errorf("asked %v, %v: the pod is on b now", a.nodes, err)
	}
}

func TestKindsOnce(t *testing.T) {
	a := &agents{}
	d, _ := manualScene(a)
	m := manual("web-1")
	m.Kinds = []gopprof.Kind{"heap", "profile", "cpu", "heap"}
	if _, err := d.Capture(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if want := []gopprof.Kind{"heap", "cpu"}; !slices.Equal(a.asked[0].Kinds, want) {
		t.Errorf("asked for %v, not %v", a.asked[0].Kinds, want)
	}
}

func TestAgentsAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		agents *agents
		reason gopprof.Reason
	}{
		"nobody there":        {answering(gopprof.CaptureReply{}, bus.ErrNoAgent), gopprof.ReasonNoAnswer},
		"no answer in time":   {answering(gopprof.CaptureReply{}, context.DeadlineExceeded), gopprof.ReasonNoAnswer},
		"not a target there":  {answering(gopprof.CaptureReply{Reason: gopprof.ReasonUnknown}, nil), gopprof.ReasonUnknown},
		"busy":                {answering(gopprof.CaptureReply{Reason: gopprof.ReasonNodeBusy, Detail: "2 run"}, nil), gopprof.ReasonNodeBusy},
		"no without a reason": {answering(gopprof.CaptureReply{}, nil), gopprof.ReasonNoAnswer},
	} {
		d, _ := manualScene(c.agents)
		op, err := d.Capture(t.Context(), manual("web-1"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if oc := op.Captures[0]; oc.State != gopprof.CaptureFailed || oc.Reason != c.reason {
			t.Errorf("%s: %+v", name, oc)
		}
		if again, err := d.Operation(t.Context(), op.ID); err != nil || again.Captures[0].Reason != c.reason {
			t.Errorf("%s, looked up: %+v, %v", name, again, err)
		}
	}
}

func TestCallerWhoHangsUp(t *testing.T) {
	ctx, hangUp := context.WithCancel(t.Context())
	a := &agents{capture: func(gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
		hangUp()
		return gopprof.CaptureReply{Accepted: true}, nil
	}}
	d, _ := manualScene(a)
	op, err := d.Capture(ctx, manual("web-1"))
	if err != nil || op.Captures[0].State != gopprof.CaptureProfiling {
		t.Errorf("what the agent does is not written down: %+v, %v", op, err)
	}
}

func TestManualBound(t *testing.T) {
	d, c := manualScene(&agents{})
	d.cfg.Manual.AtOnce = 2
	first, err := d.Capture(t.Context(), manual("web-1"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []gopprof.Reason{"", gopprof.ReasonBudget} {
		if _, err := d.Capture(t.Context(), manual("db-0")); gopprof.ReasonOf(err) != want {
			t.Errorf("capture %d: %v", i+2, err)
		}
	}
	if a := d.Decide(t.Context(), firing("web", "cpu", c.now())); !a.Go {
		t.Errorf("manual captures used up the budget of rules: %+v", a)
	}
	if err := d.Stored(t.Context(), stored(first)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Capture(t.Context(), manual("db-0")); err != nil {
		t.Errorf("after one was stored: %v", err)
	}
	refuses := answering(gopprof.CaptureReply{Reason: gopprof.ReasonUnknown}, nil)
	d, _ = manualScene(refuses)
	d.cfg.Manual.AtOnce = 1
	for range 3 {
		if _, err := d.Capture(t.Context(), manual("db-0")); err != nil {
			t.Errorf("captures that an agent refused are not running: %v", err)
		}
	}
}

// stored is the report of an operation's capture.
func stored(op gopprof.Operation) gopprof.Report {
	oc := op.Captures[0]
	return gopprof.Report{ID: oc.Capture, Capture: gopprof.Capture{ID: oc.Capture, Target: oc.Target,
		Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual, Request: &gopprof.Request{Who: op.Who, Operation: op.ID}}}}
}

func TestStoredClosesOperation(t *testing.T) {
	d, c := manualScene(&agents{})
	op, err := d.Capture(t.Context(), manual("web-1"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Stored(t.Context(), stored(op)); err != nil {
			t.Fatal(err)
		}
	}
	c.add(time.Hour)
	op, err = d.Operation(t.Context(), op.ID)
	if oc := op.Captures[0]; err != nil || oc.State != gopprof.CaptureStored || oc.Report != oc.Capture || oc.Reason != "" {
		t.Errorf("%+v, %v", op, err)
	}
}

func TestForeignReportsCloseNothing(t *testing.T) {
	d, _ := manualScene(&agents{})
	op, err := d.Capture(t.Context(), manual("web-1"))
	if err != nil {
		t.Fatal(err)
	}
	otherNode, otherCapture, noOperation, notAnID := stored(op), stored(op), stored(op), stored(op)
	otherNode.Capture.Target.Node = "b"
	otherCapture.Capture.ID = idAt(noon)
	noOperation.Capture.Trigger.Request = &gopprof.Request{Operation: idAt(noon)}
	notAnID.Capture.Trigger.Request = &gopprof.Request{Operation: "*"}
	for _, r := range []gopprof.Report{otherNode, otherCapture, noOperation, notAnID} {
		if err := d.Stored(t.Context(), r); err != nil {
			t.Error(err)
		}
	}
	if again, err := d.Operation(t.Context(), op.ID); err != nil || again.Captures[0].State != gopprof.CaptureProfiling {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestCaptureThatNeverArrives(t *testing.T) {
	d, c := manualScene(&agents{})
	op, err := d.Capture(t.Context(), manual("web-1"))
	if err != nil {
		t.Fatal(err)
	}
	c.add(35*time.Second + d.cfg.Manual.ArriveWithin)
	if at, _ := d.Operation(t.Context(), op.ID); at.Captures[0].State != gopprof.CaptureProfiling {
		t.Errorf("at its deadline: %+v", at.Captures[0])
	}
	c.add(time.Second)
	late, err := d.Operation(t.Context(), op.ID)
	if oc := late.Captures[0]; err != nil || oc.State != gopprof.CaptureFailed || oc.Reason != gopprof.ReasonNoAnswer || oc.Detail == "" {
		t.Errorf("after its deadline: %+v, %v", oc, err)
	}
	if err := d.Stored(t.Context(), stored(op)); err != nil {
		t.Fatal(err)
	}
	if after, _ := d.Operation(t.Context(), op.ID); after.Captures[0].State != gopprof.CaptureStored {
		t.Errorf("it arrived after all: %+v", after.Captures[0])
	}
}

// An aggregator that dies between storing the operation and hearing the agent leaves it
// waiting; that ends as well.
func TestOperationWhoseAggregatorDied(t *testing.T) {
	op := gopprof.Operation{At: noon, Captures: []gopprof.OperationCapture{{State: gopprof.CaptureWaiting}}}
	c := DefaultConfig().Manual
	if e := expire(op, noon.Add(c.StartWithin+c.ArriveWithin), c); e.Captures[0].State != gopprof.CaptureWaiting {
		t.Errorf("too early: %+v", e)
	}
	if e := expire(op, noon.Add(c.StartWithin+c.ArriveWithin+1), c); e.Captures[0].State != gopprof.CaptureFailed {
		t.Errorf("too late: %+v", e)
	}
	if op.Captures[0].State != gopprof.CaptureWaiting {
		t.Error("expire changed what it was given")
	}
}

// A capture without timed kinds may be stored before the agent's answer is written down.
func TestStoredBeforeTheAnswer(t *testing.T) {
	var d *Dispatcher
	a := &agents{}
	a.capture = func(r gopprof.CaptureRequest) (gopprof.CaptureReply, error) {
		report := gopprof.Report{ID: r.Capture, Capture: gopprof.Capture{ID: r.Capture, Target: target("a", "web-1", "main"),
			Trigger: gopprof.Trigger{Kind: r.Kind, Request: &r.Request}}}
		return gopprof.CaptureReply{Accepted: true}, d.Stored(t.Context(), report)
	}
	d, _ = manualScene(a)
	op, err := d.Capture(t.Context(), manual("web-1"))
	if err != nil || op.Captures[0].State != gopprof.CaptureStored {
		t.Errorf("%+v, %v", op, err)
	}
}

func TestCancel(t *testing.T) {
	for name, c := range map[string]struct {
		reply gopprof.CaptureReply
		err   error
		state gopprof.CaptureState
	}{
		"the agent stops it":        {gopprof.CaptureReply{Accepted: true}, nil, gopprof.CaptureFailed},
		"the agent knows it not":    {gopprof.CaptureReply{Reason: gopprof.ReasonUnknown}, nil, gopprof.CaptureProfiling},
		"the agent does not answer": {gopprof.CaptureReply{}, errors.New("away"), gopprof.CaptureProfiling},
	} {
		a := &agents{cancel: c.reply, cancelOf: c.err}
		d, _ := manualScene(a)
		op, err := d.Capture(t.Context(), manual("web-1"))
		if err != nil {
			t.Fatal(err)
		}
		op, err = d.Cancel(t.Context(), op.ID)
		if err != nil || op.Captures[0].State != c.state || !slices.Equal(a.stopped, []string{op.Captures[0].Capture}) {
			t.Errorf("%s: %+v, stopped %v, %v", name, op, a.stopped, err)
		}
		if c.state == gopprof.CaptureFailed && op.Captures[0].Reason != gopprof.ReasonCancelled {
			t.Errorf("%s: reason %q", name, op.Captures[0].Reason)
		}
	}
}

func TestUnknownOperation(t *testing.T) {
	d, _ := manualScene(&agents{})
	for _, id := range []string{idAt(noon), "", "ledger", "a.b"} {
		if _, err := d.Operation(t.Context(), id); gopprof.ReasonOf(err) != gopprof.ReasonUnknown {
			t.Errorf("operation %q: %v", id, err)
		}
		if _, err := d.Cancel(t.Context(), id); gopprof.ReasonOf(err) != gopprof.ReasonUnknown {
			t.Errorf("cancelling %q: %v", id, err)
		}
	}
}

// The agent accepted and could not take it: the operation says why, and the place is free.
func TestCaptureThatCameToNothing(t *testing.T) {
	for name, c := range map[string]struct {
		failures []gopprof.Failure
		want     gopprof.Reason
	}{
		"contended":        {[]gopprof.Failure{{Kind: gopprof.KindCPU, Reason: gopprof.ReasonContended, Detail: "held by another"}}, gopprof.ReasonContended},
		"without a reason": {nil, gopprof.ReasonInternal},
		"a foreign word":   {[]gopprof.Failure{{Kind: gopprof.KindCPU, Reason: "<script>"}}, gopprof.ReasonNoAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := manualScene(&agents{})
			op, err := d.Capture(t.Context(), manual("web-1"))
			if err != nil {
				t.Fatal(err)
			}
			attempt := stored(op).Capture
			attempt.Failures = c.failures
			for range 2 {
				if err := d.Failed(t.Context(), attempt); err != nil {
					t.Fatal(err)
				}
			}
			op, err = d.Operation(t.Context(), op.ID)
			if oc := op.Captures[0]; err != nil || oc.State != gopprof.CaptureFailed || oc.Reason != c.want {
				t.Errorf("%+v, %v: want failed, %s", op, err, c.want)
			}
		})
	}
}
