package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/aggregator/explain"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// hotScene is a workload of three pods on three nodes: "a" fires, and the agents of the others
// do what the test says.
type hotScene struct {
	*scene
	agents map[string]*bus.Agent // by node
	around chan explain.Around   // of the hot capture's report
	all    ends                  // of the aggregator that answers the agents
	name   string                // of the workload

	mu    sync.Mutex
	asked map[string]gopprof.CaptureRequest // by node
}

// refusing is an agent that accepts captures, or refuses them with a reason.
type refusing struct {
	s      *hotScene
	node   string
	reason gopprof.Reason
}

func (r refusing) Capture(_ context.Context, q gopprof.CaptureRequest) gopprof.CaptureReply {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.asked[r.node] = q
	return gopprof.CaptureReply{Accepted: r.reason == "", Reason: r.reason}
}

func (refusing) Cancel(context.Context, gopprof.CancelRequest) (r gopprof.CaptureReply) { return }
func (refusing) Status(context.Context, gopprof.StatusRequest) (r gopprof.CaptureReply) { return }
func (refusing) Pause(context.Context, gopprof.PauseRequest) (r gopprof.CaptureReply)   { return }

// newHotScene starts the agents, and an aggregator that answers them: so many siblings are
// wanted.
func newHotScene(t *testing.T, wanted int, wait time.Duration, refuses map[string]gopprof.Reason) *hotScene {
	t.Helper()
	s := &hotScene{scene: newScene(t), agents: map[string]*bus.Agent{}, asked: map[string]gopprof.CaptureRequest{}, around: make(chan explain.Around, 8), name: shopTarget.Workload.Name}
	s.siblings = dispatch.Siblings{PerCapture: wanted, Wait: wait}
	s.explained = func(c gopprof.Capture, around explain.Around) {
		if c.Trigger.Kind == gopprof.TriggerRule {
			s.around <- around
		}
	}
	s.all = s.ends(s.bus, nil, nil)
	s.nodes = s.all.dispatch
	s.background(func(ctx context.Context) error {
		return s.bus.Answer(ctx, decisions{s.all.dispatch, s.all.siblings}.Decide)
	})
	s.seen()
	for _, node := range []string{"b", "c"} {
		agent := s.b.Agent(node)
		s.agents[node] = agent
		s.background(func(ctx context.Context) error { return agent.Serve(ctx, refusing{s, node, refuses[node]}) })
	}
	return s
}

// seen tells the aggregator of quiet pods of the workload.
func (s *hotScene) seen() {
	for _, node := range []string{"b", "c"} {
		s.all.dispatch.Observe(gopprof.NodeState{Cluster: bustest.Cluster, Node: node, Targets: []gopprof.TargetState{s.quietPod(node)}})
	}
}

// anew goes on with another workload, of which nobody has been asked.
func (s *hotScene) anew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name += "x"
	clear(s.asked)
	s.seen()
}

func (s *hotScene) background(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
}

func podOf(node string) gopprof.Target {
	t := shopTarget
	t.Node, t.Pod, t.PodUID, t.Build = node, "api-"+node, "uid-"+node, "7c9f"
	return t
}

// pod is podOf the workload of now.
func (s *hotScene) pod(node string) gopprof.Target {
	t := podOf(node)
	t.Workload.Name = s.name
	return t
}

func (s *hotScene) quietPod(node string) gopprof.TargetState {
	w := gopprof.Window{Witness: gopprof.WitnessCadvisor, HasCPU: true, CoveredRatio: 1, End: time.Now(), CPU: gopprof.Use{Mean: 0.2, Limit: 1, Ratio: 0.2}}
	return gopprof.TargetState{Target: s.pod(node), Local: []gopprof.Window{w}}
}

// fire lets the rule fire on node a, and returns the capture as its agent took it.
func (s *hotScene) fire(seconds float64) gopprof.Capture {
	s.t.Helper()
	f := gopprof.Firing{
		Capture: uuid.Must(uuid.NewV7()).String(), Target: s.pod("a"), Rule: "cpu", Resource: gopprof.ResourceCPU, Ratio: 0.95, At: time.Now(),
		Threshold: 0.8, Kinds: []gopprof.Kind{gopprof.KindCPU}, CPUSeconds: seconds,
	}
	var d gopprof.Decision
	poll.Until(s.t, "a go", func() (ok bool) {
		var err error
		d, err = s.agent.Ask(s.t.Context(), f)
		return err == nil && d.Go
	})
	return taken(f.Capture, d.Incident, s.pod("a"), gopprof.Trigger{
		Kind: gopprof.TriggerRule, At: time.Now(), Evidence: &gopprof.Evidence{Rule: "cpu", Resource: gopprof.ResourceCPU, Policy: gopprof.PolicyLocal, Threshold: 0.8},
	})
}

// taken is a capture of a target, of whose use nobody knew but in the minute before.
func taken(id, incident string, target gopprof.Target, trigger gopprof.Trigger) gopprof.Capture {
	data := []byte("profile of " + target.Node)
	sum := sha256.Sum256(data)
	now := time.Now().UTC().Truncate(time.Millisecond)
	return gopprof.Capture{
		ID: id, Incident: incident, Trigger: trigger, Target: target, Start: now, End: now.Add(time.Second),
		History:  gopprof.History{Local: []gopprof.Point{{Start: now.Add(-time.Minute), End: now, HasCPU: true, CPUCores: 0.2, CPULimitCores: 1}}},
		Profiles: []gopprof.Profile{{Kind: gopprof.KindCPU, Seconds: 1, SizeBytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Bytes: data}},
	}
}

// sibling waits until the agent of a node was asked, and sends what it takes.
func (s *hotScene) sibling(node string) gopprof.Capture {
	s.t.Helper()
	c := s.takes(node)
	if err := s.agents[node].PublishCapture(s.t.Context(), c); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// takes waits until the agent of a node was asked, and returns what it takes.
func (s *hotScene) takes(node string) gopprof.Capture {
	s.t.Helper()
	c := taken("", "", s.pod(node), gopprof.Trigger{Kind: gopprof.TriggerSibling, At: time.Now(), Request: &gopprof.Request{}})
	poll.Until(s.t, node+" is asked", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.ID, c.Incident = s.asked[node].Capture, s.asked[node].Incident
		return c.ID != ""
	})
	return c
}

// report waits for the report of a capture.
func (s *hotScene) report(c gopprof.Capture) (r gopprof.Report) {
	s.t.Helper()
	stored := s.store()
	poll.Until(s.t, "a report", func() (found bool) {
		var err error
		r, found, err = stored.Committed(s.t.Context(), c)
		return err == nil && found
	})
	return r
}

// told is what a report says of its siblings.
func told(r gopprof.Report) string {
	var out []string
	for _, x := range r.Siblings {
		out = append(out, strings.TrimSpace(fmt.Sprint(x.Target.Pod, " ", x.State, " ", x.Reason)))
	}
	return strings.Join(out, ", ")
}

// A rule fires, two quiet pods are asked; the hot capture comes first and waits, also for an
// aggregator that is killed meanwhile and the next one; then its report is made once, with
// both of them to compare with.
func TestHotCaptureWaitsForItsSiblings(t *testing.T) {
	s := newHotScene(t, 2, time.Minute, nil)
	hot := s.fire(1)
	s.publish(hot)
	for range 2 {
		p, _, wait := s.start("")
		poll.Until(t, "it waits", func() bool { return slices.Contains(p.taken(), "give back") })
		p.die()
		wait()
	}
	_, stop, wait := s.start("")
	b, c := s.sibling("b"), s.sibling("c")
	r := s.report(hot)
	s.settled()
	stop()
	wait()
	if got := told(r); got != "api-b stored, api-c stored" {
		t.Errorf("it says of its siblings %q", got)
	}
	if r.Fleet == nil || *r.Fleet != (gopprof.Fleet{Pods: 3, Build: 3, Hot: 1, Quiet: 2}) {
		t.Errorf("fleet %+v", r.Fleet)
	}
	s.comparedWith(t, b, c)
	for _, x := range []gopprof.Capture{hot, b, c} {
		poll.Until(t, "it is told of", func() bool { return s.heard(x.ID) == 1 })
	}
	if n := s.b.Messages(bus.StreamReports); n != 3 {
		t.Errorf("%d reports in the stream, want 3: each once", n)
	}
	s.nothingLeft(t, hot)
}

// comparedWith checks that the hot capture was explained once, beside these.
func (s *hotScene) comparedWith(t *testing.T, want ...gopprof.Capture) {
	t.Helper()
	around := <-s.around
	if len(around.Others) != len(want) || len(s.around) != 0 {
		t.Fatalf("explained beside %d, want %d; %d times more", len(around.Others), len(want), len(s.around))
	}
	for i, o := range around.Others {
		data, err := o.Read(gopprof.KindCPU)
		if err != nil || string(data) != string(want[i].Profiles[0].Bytes) || o.Report.ID != want[i].ID || o.Earlier {
			t.Errorf("compared with %s (%v): %q, %v", o.Report.ID, o.Earlier, data, err)
		}
	}
}

// One refuses, one accepts and never sends anything: the report is made when the time is over,
// and says so. What comes after that is stored beside it.
func TestSiblingsThatNeverCome(t *testing.T) {
	s := newHotScene(t, 2, 3*time.Second, map[string]gopprof.Reason{"b": gopprof.ReasonNodeBusy})
	_, stop, wait := s.start("")
	hot := s.fire(0)
	poll.Until(t, "the refusal is known", func() bool {
		_, all := s.ends(s.bus, nil, nil).siblings.Of(t.Context(), hot)
		return told(gopprof.Report{Siblings: all}) == "api-b failed node_busy, api-c asked"
	})
	s.publish(hot)
	r := s.report(hot)
	if got := told(r); got != "api-b failed node_busy, api-c asked" {
		t.Errorf("it says of its siblings %q", got)
	}
	s.comparedWith(t)
	late := s.sibling("c")
	if l := s.report(late); l.Capture.Incident != hot.Incident || l.Siblings != nil || l.Fleet != nil {
		t.Errorf("the late one: incident %s, want %s; %+v, %+v", l.Capture.Incident, hot.Incident, l.Siblings, l.Fleet)
	}
	s.settled()
	stop()
	wait()
	if again := s.report(hot); told(again) != told(r) || !again.MadeAt.Equal(r.MadeAt) {
		t.Errorf("the report was made again: %q", told(again))
	}
}

// A sibling's report was stored, and then its record could not be written: it did come, and is
// compared with.
func TestSiblingWhoseRecordWasNotWritten(t *testing.T) {
	s := newHotScene(t, 2, 3*time.Second, nil)
	_, stop, wait := s.start("")
	hot := s.fire(0)
	b := s.takes("b")
	stored := s.store()
	key, err := stored.PutProfile(t.Context(), b, b.Profiles[0])
	if err != nil {
		t.Fatal(err)
	}
	r := gopprof.Report{Version: gopprof.ReportVersion, ID: b.ID, Capture: b, MadeAt: time.Now().UTC(), Files: []gopprof.File{{Kind: gopprof.KindCPU, Profile: key}}}
	if err := stored.Commit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	s.publish(hot)
	if got := told(s.report(hot)); got != "api-b stored, api-c asked" {
		t.Errorf("it says of its siblings %q", got)
	}
	s.comparedWith(t, b)
	stop()
	wait()
}

// The first pod that is asked refuses: the report names it, and the one that came instead.
func TestSiblingInsteadOfAnother(t *testing.T) {
	s := newHotScene(t, 1, time.Minute, map[string]gopprof.Reason{"b": gopprof.ReasonNotStarted})
	_, stop, wait := s.start("")
	hot := s.fire(1)
	s.publish(hot)
	c := s.sibling("c")
	if got := told(s.report(hot)); got != "api-b failed not_started, api-c stored" {
		t.Errorf("it says of its siblings %q", got)
	}
	s.comparedWith(t, c)
	s.settled()
	stop()
	wait()
}
