package bus_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
	"github.com/gopprof/gopprof/test/poll"
)

func firing(t testing.TB, node string) gopprof.Firing {
	t.Helper()
	return gopprof.Firing{Capture: newID(t), Target: target(node), Rule: "cpu", Resource: gopprof.ResourceCPU, Ratio: 0.93,
		At: time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC)}
}

func TestAskIsAnswered(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	want := gopprof.Decision{Go: true, Incident: newID(t)}
	heard := make(chan gopprof.Firing, 1000)
	background(t, "answer", func(ctx context.Context) error {
		return agg.Answer(ctx, func(_ context.Context, f gopprof.Firing) gopprof.Decision {
			heard <- f
			return want
		})
	})
	question := firing(t, "a")
	var got gopprof.Decision
	poll.Until(t, "an answer", func() (ok bool) {
		var err error
		got, err = agent.Ask(within(t), question)
		return err == nil
	})
	if got != want {
		t.Errorf("decision %+v, want %+v", got, want)
	}
	if f := <-heard; !reflect.DeepEqual(f, question) {
		t.Errorf("heard %+v, want %+v", f, question)
	}
}

func TestAskWithoutAnswer(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agent := b.Agent("a")
	begin := time.Now()
	if _, err := agent.Ask(within(t), firing(t, "a")); !errors.Is(err, bus.ErrAway) {
		t.Errorf("%v, want %v", err, bus.ErrAway)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("waited %s, a second was agreed", took)
	}
}

func TestFiringOfAnotherNodeIsNotAnswered(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a", "b"}})
	agg := b.Aggregator()
	decided := make(chan gopprof.Firing, 1000)
	background(t, "answer", func(ctx context.Context) error {
		return agg.Answer(ctx, func(_ context.Context, f gopprof.Firing) gopprof.Decision {
			decided <- f
			return gopprof.Decision{Reason: gopprof.ReasonBudget}
		})
	})
	nc, _ := signIn(t, b, "a")
	send := func(f gopprof.Firing) error {
		data, err := wire.EncodeFiring(f)
		if err != nil {
			t.Fatal(err)
		}
		_, err = nc.Request("gopprof.v1.firing.test.a", data, 300*time.Millisecond)
		return err
	}
	poll.Until(t, "its own is answered", func() bool { return send(firing(t, "a")) == nil })
	if err := send(firing(t, "b")); !errors.Is(err, nats.ErrTimeout) {
		t.Errorf("another node's firing: %v, want no answer", err)
	}
	for range len(decided) {
		if f := <-decided; f.Target.Node != "a" {
			t.Errorf("a firing of node %q was decided", f.Target.Node)
		}
	}
}

func TestStates(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a", "b"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	heard := make(chan gopprof.NodeState, 100)
	background(t, "states", func(ctx context.Context) error {
		return agg.States(ctx, func(s gopprof.NodeState) { heard <- s })
	})
	want := gopprof.NodeState{Cluster: bustest.Cluster, Node: "a", At: time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC), Version: "v1",
		Targets: []gopprof.TargetState{{Target: target("a"), Rules: []gopprof.RuleState{{Rule: "cpu", Reason: gopprof.ReasonBelowThreshold}}}}}
	imposter, _ := signIn(t, b, "b")
	data, err := wire.EncodeState(want)
	if err != nil {
		t.Fatal(err)
	}
	var got gopprof.NodeState
	poll.Until(t, "the state", func() bool {
		if err := imposter.Publish("gopprof.v1.state.test.b", []byte(strings.ReplaceAll(string(data), "v1\"", "imposter\""))); err != nil {
			t.Fatal(err)
		}
		if err := agent.PublishState(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		select {
		case got = <-heard:
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
	for more := true; more; {
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		select {
		case got = <-heard:
		default:
			more = false
		}
	}
}

// A panic, which a defect of ours or of a library may bring about on what one node says, costs that
// message: it would come again, and end the program each time.
func TestPanicCostsTheMessage(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a", "b"}})
	agg := b.Aggregator()
	heard := make(chan string, 1000)
	background(t, "states", func(ctx context.Context) error {
		return agg.States(ctx, func(s gopprof.NodeState) {
			if s.Node == "a" {
				panic("a defect")
			}
			heard <- s.Node
		})
	})
	background(t, "answer", func(ctx context.Context) error {
		return agg.Answer(ctx, func(_ context.Context, f gopprof.Firing) gopprof.Decision {
			if f.Target.Node == "a" {
				panic("a defect")
			}
			return gopprof.Decision{Reason: gopprof.ReasonBudget}
		})
	})
	agents := map[string]*bus.Agent{"a": b.Agent("a"), "b": b.Agent("b")}
	poll.Until(t, "what the other node says is heard", func() bool {
		for node, agent := range agents {
			if err := agent.PublishState(t.Context(), gopprof.NodeState{Cluster: bustest.Cluster, Node: node, At: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		return len(heard) > 0
	})
	poll.Until(t, "the other node is answered", func() bool {
		if _, err := agents["a"].Ask(within(t), firing(t, "a")); err == nil {
			t.Fatal("an answer of a panic")
		}
		d, err := agents["b"].Ask(within(t), firing(t, "b"))
		return err == nil && d.Reason == gopprof.ReasonBudget
	})
}

// The same at the other end: an agent that panics says so, and goes on.
func TestPanicIsAnswered(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	serve(t, agent, panicking{})
	id := newID(t)
	poll.Until(t, "an answer", func() bool {
		reply, err := agg.RequestStatus(within(t), bustest.Cluster, "a", gopprof.StatusRequest{Capture: id})
		if err == nil && reply.Reason != gopprof.ReasonInternal {
			t.Fatalf("%+v", reply)
		}
		return err == nil
	})
}

type panicking struct{ *asked }

func (panicking) Status(context.Context, gopprof.StatusRequest) gopprof.CaptureReply {
	panic("a defect")
}

// A target that is not believed, as a newer agent may send it, does not hide the others of its
// node; that there was one is counted.
func TestStateIsBelievedInPart(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg := b.Aggregator()
	heard := make(chan gopprof.NodeState, 100)
	background(t, "states", func(ctx context.Context) error {
		return agg.States(ctx, func(s gopprof.NodeState) { heard <- s })
	})
	good, bad := target("a"), target("a")
	bad.Workload.Kind = "Newer"
	s := gopprof.NodeState{Cluster: bustest.Cluster, Node: "a", At: time.Now(), Targets: []gopprof.TargetState{{Target: good}, {Target: bad}}, Refused: []gopprof.Refusal{{Target: bad}, {Target: good}}}
	data, err := wire.EncodeState(s)
	if err != nil {
		t.Fatal(err)
	}
	nc, _ := signIn(t, b, "a")
	poll.Until(t, "the state", func() bool {
		if err := nc.Publish("gopprof.v1.state.test.a", []byte(strings.ReplaceAll(string(data), "Newer", strings.Repeat("A", 300)))); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-heard:
			if len(got.Targets) != 1 || got.Targets[0].Target != good || len(got.Refused) != 1 || got.Refused[0].Target != good {
				t.Errorf("%+v", got)
			}
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
	if agg.Refused(gopprof.ReasonUndecodable) < 1 {
		t.Error("not counted")
	}
}

// What cannot be sent is left out, and the rest is told.
func TestStateIsToldInPart(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	heard := make(chan gopprof.NodeState, 100)
	background(t, "states", func(ctx context.Context) error {
		return agg.States(ctx, func(s gopprof.NodeState) { heard <- s })
	})
	good, bad := target("a"), target("a")
	bad.Workload.Kind = strings.Repeat("A", 300)
	large := gopprof.Refusal{Target: good, Detail: strings.Repeat("<", 1024)}
	for name, refused := range map[string][]gopprof.Refusal{"invalid": {{Target: bad}}, "too large": slices.Repeat([]gopprof.Refusal{large}, 300)} {
		s := gopprof.NodeState{Cluster: bustest.Cluster, Node: "a", At: time.Now(), Targets: []gopprof.TargetState{{Target: good}, {Target: bad}}, Refused: refused}
		poll.Until(t, "the state", func() bool {
			if err := agent.PublishState(t.Context(), s); !errors.Is(err, bus.ErrPartly) || !strings.Contains(err.Error(), strconv.Itoa(1+len(refused))+" left out") {
				t.Fatalf("%s: %v, want %v", name, err, bus.ErrPartly)
			}
			select {
			case got := <-heard:
				if len(got.Targets) != 1 || got.Targets[0].Target != good || len(got.Refused) != 0 {
					t.Errorf("%s: %+v", name, got)
				}
				return true
			case <-time.After(100 * time.Millisecond):
				return false
			}
		})
	}
	if err := agent.PublishState(t.Context(), gopprof.NodeState{Cluster: "a\nb", Node: "a"}); !errors.Is(err, bus.ErrInvalid) {
		t.Errorf("a state that cannot be told: %v, want %v", err, bus.ErrInvalid)
	}
	if _, err := agent.Ask(t.Context(), gopprof.Firing{Capture: newID(t), Target: bad}); !errors.Is(err, bus.ErrInvalid) {
		t.Errorf("a firing that cannot be sent: %v, want %v", err, bus.ErrInvalid)
	}
}

func TestStateOfManyTargetsLosesWindowsFirst(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	heard := make(chan gopprof.NodeState, 100)
	background(t, "states", func(ctx context.Context) error {
		return agg.States(ctx, func(s gopprof.NodeState) { heard <- s })
	})
	s := gopprof.NodeState{Cluster: bustest.Cluster, Node: "a", At: time.Now()}
	for range 900 {
		s.Targets = append(s.Targets, gopprof.TargetState{Target: target("a"), Local: make([]gopprof.Window, 5), Rules: []gopprof.RuleState{}})
	}
	poll.Until(t, "the state", func() bool {
		if err := agent.PublishState(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-heard:
			if len(got.Targets) != 900 || len(got.Targets[0].Local) != 1 {
				t.Errorf("%d targets with %d windows, want 900 with 1", len(got.Targets), len(got.Targets[0].Local))
			}
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
	if len(s.Targets[0].Local) != 5 {
		t.Error("the caller's state was changed")
	}
}

// What a node's rules compared after their captures, at a fine resolution of the series, is
// more than fits into a message: the targets are told without it.
func TestStateOfManyComparisons(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	at := time.Date(2026, 11, 22, 3, 4, 5, 678e6, time.UTC)
	agreement := gopprof.Agreement{Result: gopprof.AgreementContradicted, Detail: "cAdvisor saw more", Compared: slices.Repeat([]gopprof.Comparison{{Start: at, End: at, Local: 0.912345, Series: 0.123456}}, 20)}
	s := gopprof.NodeState{Cluster: bustest.Cluster, Node: "a", At: at}
	for range 250 {
		rule := gopprof.RuleState{Rule: "cpu", Reason: gopprof.ReasonBelowThreshold, LastAgreement: agreement}
		s.Targets = append(s.Targets, gopprof.TargetState{Target: target("a"), Local: make([]gopprof.Window, 1), Rules: slices.Repeat([]gopprof.RuleState{rule}, 3)})
	}
	got := told(t, b, s, nil)
	if len(got.Targets) != 250 || len(got.Targets[0].Local) != 1 || got.Targets[0].Rules[0].LastAgreement.Detail != agreement.Detail {
		t.Errorf("%d targets, the first %+v", len(got.Targets), got.Targets[0])
	}
	if len(s.Targets[0].Rules[0].LastAgreement.Compared) != 20 {
		t.Error("the caller's state was changed")
	}
}

// Pods whose words are as long as can be do not hide the others of their node.
func TestStateOfLargeTargets(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	large := target("a")
	large.Image, large.Owner = strings.Repeat("<", 1024), strings.Repeat("&", 253)
	s := gopprof.NodeState{Cluster: bustest.Cluster, Node: "a", At: time.Now()}
	for i := range 250 {
		of := gopprof.TargetState{Target: large, Local: make([]gopprof.Window, 2), Rules: []gopprof.RuleState{}}
		if i%50 == 7 {
			of.Target = target("a")
			of.Target.Pod = strconv.Itoa(i)
		}
		s.Targets = append(s.Targets, of)
	}
	var small []string
	got := told(t, b, s, bus.ErrPartly)
	for _, of := range got.Targets {
		if of.Target.Image == "" {
			small = append(small, of.Target.Pod)
		}
	}
	if want := []string{"7", "57", "107", "157", "207"}; !slices.Equal(small, want) || len(got.Targets) < 100 {
		t.Errorf("%d targets, of the small ones %v", len(got.Targets), small)
	}
}

// told publishes a state of node a and returns what is heard of it.
func told(t *testing.T, b *bustest.Bus, s gopprof.NodeState, want error) (got gopprof.NodeState) {
	t.Helper()
	agg, agent := b.Aggregator(), b.Agent("a")
	heard := make(chan gopprof.NodeState, 100)
	background(t, "states", func(ctx context.Context) error {
		return agg.States(ctx, func(s gopprof.NodeState) { heard <- s })
	})
	poll.Until(t, "the state", func() bool {
		if err := agent.PublishState(t.Context(), s); !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
		select {
		case got = <-heard:
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
	return got
}

func TestRequests(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"node.one"}})
	agg, agent := b.Aggregator(), b.Agent("node.one")
	want := gopprof.CaptureRequest{Capture: newID(t), Incident: newID(t), Kind: gopprof.TriggerManual, Request: gopprof.Request{Who: "alice"},
		Namespace: "shop", Pod: "cart-0", Kinds: []gopprof.Kind{gopprof.KindCPU}, CPUSeconds: 5, Deadline: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	if _, err := agg.RequestCapture(within(t), bustest.Cluster, "node.one", want); !errors.Is(err, bus.ErrNoAgent) {
		t.Errorf("before anybody serves: %v, want %v", err, bus.ErrNoAgent)
	}
	told := &asked{}
	serve(t, agent, told)
	poll.Until(t, "the agent serves", func() bool {
		r, err := agg.RequestCapture(within(t), bustest.Cluster, "node.one", want)
		return err == nil && r.Accepted
	})
	if got := told.captures[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("agent heard %+v, want %+v", got, want)
	}
	r, err := agg.RequestCancel(within(t), bustest.Cluster, "node.one", gopprof.CancelRequest{Capture: want.Capture})
	if err != nil || r.Accepted || r.Reason != gopprof.ReasonUnknown || r.Detail == "" {
		t.Errorf("cancel: %+v, %v", r, err)
	}
	r, err = agg.RequestStatus(within(t), bustest.Cluster, "node.one", gopprof.StatusRequest{Capture: want.Capture})
	if err != nil || !r.Accepted || r.SecondsLeft != 12.5 {
		t.Errorf("status: %+v, %v", r, err)
	}
	r, err = agg.RequestPause(within(t), bustest.Cluster, "node.one", gopprof.PauseRequest{ID: newID(t), Paused: true})
	if err != nil || !r.Accepted || !told.paused {
		t.Errorf("pause: %+v, %v; paused: %v", r, err, told.paused)
	}
	if _, err := agg.RequestCapture(within(t), bustest.Cluster, "nobody", want); !errors.Is(err, bus.ErrNoAgent) {
		t.Errorf("unknown node: %v, want %v", err, bus.ErrNoAgent)
	}
}

// TestRequestOfTheFuture: an agent that cannot read a request says so.
func TestRequestOfTheFuture(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	agg, agent := b.Aggregator(), b.Agent("a")
	told := &asked{}
	serve(t, agent, told)
	id := newID(t)
	future := []byte(`{"specversion":"1.0","id":"` + id + `","source":"x","type":"io.gopprof.capture-request.v2","data":{}}`)
	var reply []byte
	poll.Until(t, "an answer", func() bool {
		m, err := agg.Conn().RequestWithContext(within(t), "gopprof.v1.agent.test.a.capture", future)
		if err == nil {
			reply = m.Data
		}
		return err == nil
	})
	r, err := wire.DecodeCaptureReply(id, reply)
	if err != nil || r.Accepted || r.Reason != gopprof.ReasonUndecodable || !strings.Contains(r.Detail, "version") {
		t.Errorf("%+v, %v", r, err)
	}
	if len(told.captures) > 0 {
		t.Error("the agent acted on a request that it cannot read")
	}
}
