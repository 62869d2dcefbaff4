package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/rig"
)

// manual measures what asking the aggregator costs over asking the target itself, and a
// group of fifty pods.
func manual(ctx context.Context, b *bench) error {
	if err := passThrough(ctx, b); err != nil {
		return err
	}
	return groupOfFifty(ctx, b)
}

// passThrough fetches profiles of one target in turn from itself and by way of the
// aggregator, its agent, NATS and the store.
func passThrough(ctx context.Context, b *bench) error {
	r, err := b.rig("pass-through")
	if err != nil {
		return err
	}
	defer r.Stop()
	for _, start := range []func(context.Context) error{
		r.StartInfluxDB,
		func(context.Context) error { return r.StartBurner(filepath.Join(b.root, ".cache", "bin", "burner")) },
		func(context.Context) error { return r.StartInbox() },
		r.StartAggregator, r.StartAgent, r.AwaitTarget,
	} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	if err := r.Burner.Heat(ctx, 0.3); err != nil {
		return err
	}
	b.printf("| profile | from the target, median | by the aggregator, median | added |\n|---|---|---|---|\n")
	for _, p := range []struct {
		page  string
		times int
	}{{"heap", 15}, {"goroutine", 15}, {"profile?seconds=1", 10}} {
		direct, through, err := inTurn(ctx, p.times,
			"http://"+r.Burner.Addr+"/debug/pprof/"+p.page, r.API+api.PathPodProfile(rig.Namespace, rig.Pod, p.page))
		if err != nil {
			return err
		}
		b.printf("| %s | %s | %s | %s |\n", p.page, ms(direct), ms(through), ms(through-direct))
	}
	b.printf("\n")
	return nil
}

// inTurn fetches two URLs in turn and returns the median of each.
func inTurn(ctx context.Context, times int, one, other string) (a, b time.Duration, err error) {
	var first, second []time.Duration
	for range times {
		for _, u := range []struct {
			url string
			to  *[]time.Duration
		}{{one, &first}, {other, &second}} {
			began := time.Now()
			if _, err := fetch(ctx, http.MethodGet, u.url, nil, http.StatusOK); err != nil {
				return 0, 0, err
			}
			*u.to = append(*u.to, time.Since(began))
		}
	}
	slices.Sort(first)
	slices.Sort(second)
	return first[times/2], second[times/2], nil
}

func fetch(ctx context.Context, method, url string, body any, want int) ([]byte, error) {
	var sent io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, sent)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s: status %d: %.300s", url, resp.StatusCode, data)
	}
	return data, err
}

const fifty = 50

// groupOfFifty profiles fifty pods of one workload on as many nodes, whose simulated agents
// answer with a genuine CPU profile after its seconds.
func groupOfFifty(ctx context.Context, b *bench) error {
	return withMany(ctx, b, "group", fifty, func(r *rig.Rig, crowd []*bus.Agent) error { return groupOf(ctx, b, r, crowd) })
}

func groupOf(ctx context.Context, b *bench, r *rig.Rig, crowd []*bus.Agent) error {
	const seconds = 2
	cpu, err := cpuProfile(ctx, 5*time.Second)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	group, serving := errgroup.WithContext(serving)
	for i, a := range crowd {
		s := &simulated{ctx: serving, agent: a, node: fmt.Sprintf("node-%d", i), pod: fmt.Sprintf("web-%d", i), cpu: cpu}
		group.Go(func() error { return a.Serve(serving, s) })
		group.Go(func() error { return s.tell() })
	}
	err = askFifty(ctx, b, r, seconds)
	stop()
	if ended := group.Wait(); err == nil {
		err = ended
	}
	return err
}

func askFifty(ctx context.Context, b *bench, r *rig.Rig, seconds float64) error {
	if err := rig.Poll(ctx, func() error {
		var list api.TargetList
		if err := r.GetJSON(ctx, api.PathTargets, &list); err != nil {
			return err
		}
		if len(list.Nodes) < fifty {
			return fmt.Errorf("%d nodes are known", len(list.Nodes))
		}
		return nil
	}); err != nil {
		return err
	}
	watching := watchPeak(ctx, r.Aggregator.PID())
	began := time.Now()
	data, err := fetch(ctx, http.MethodPost, r.API+api.PathCaptures, api.CaptureRequest{
		Namespace: rig.Namespace, Workload: "Deployment/web", Kinds: []gopprof.Kind{gopprof.KindCPU}, Seconds: seconds,
		Expect: fifty, AtOnce: 20, AllAtOnce: true, Merge: true,
	}, http.StatusAccepted)
	if err != nil {
		return err
	}
	var op gopprof.Operation
	if err := json.Unmarshal(data, &op); err != nil {
		return err
	}
	asked := time.Since(began)
	if _, err := fetch(ctx, http.MethodGet, r.API+api.PathEvents(op.ID), nil, http.StatusOK); err != nil {
		return err
	}
	ended := time.Since(began)
	if data, err = fetch(ctx, http.MethodGet, r.API+api.PathMergedProfile(op.ID, gopprof.KindCPU), nil, http.StatusOK); err != nil {
		return err
	}
	merged := time.Since(began) - ended
	if err := r.GetJSON(ctx, api.PathOperation(op.ID), &op); err != nil {
		return err
	}
	stored := 0
	for _, oc := range op.Captures {
		if oc.State == gopprof.CaptureStored {
			stored++
		}
	}
	b.printf("| pods | at once | seconds each | answered after | all stored after (at least) | stored | merged in | merged profile | peak memory, all processes |\n|---|---|---|---|---|---|---|---|---|\n")
	b.printf("| %d | 20 | %.0f | %s | %.1f s (%.0f s) | %d | %s | %d KB | %s |\n", fifty, seconds, ms(asked), ended.Seconds(), 3*seconds, stored, ms(merged), len(data)/1000, mib(watching().rss))
	return nil
}

// simulated is an agent of one pod.
type simulated struct {
	ctx       context.Context
	agent     *bus.Agent
	node, pod string
	cpu       gopprof.Profile
}

// tell says what is on the node, as agents do.
func (s *simulated) tell() error {
	for {
		t := newCapture(s.node, "web").Target
		t.Namespace, t.Pod = rig.Namespace, s.pod
		if err := s.agent.PublishState(s.ctx, gopprof.NodeState{Cluster: rig.Cluster, Node: s.node, At: time.Now(), Targets: []gopprof.TargetState{{Target: t}}}); err != nil {
			return err
		}
		if wait(s.ctx, 5*time.Second) != nil {
			return nil
		}
	}
}

// Capture implements bus.Requests.
func (s *simulated) Capture(_ context.Context, r gopprof.CaptureRequest) gopprof.CaptureReply {
	go func() {
		if wait(s.ctx, time.Duration(r.CPUSeconds*float64(time.Second))) != nil {
			return
		}
		c := newCapture(s.node, "web", s.cpu)
		c.ID, c.Incident, c.Target.Namespace, c.Target.Pod = r.Capture, r.Incident, rig.Namespace, s.pod
		c.Trigger = gopprof.Trigger{Kind: gopprof.TriggerManual, At: time.Now().UTC(), Request: &r.Request}
		_ = s.agent.PublishCapture(s.ctx, c) // one that is lost shows in the operation
	}()
	return gopprof.CaptureReply{Accepted: true}
}

// Cancel implements bus.Requests.
func (s *simulated) Cancel(context.Context, gopprof.CancelRequest) gopprof.CaptureReply {
	return gopprof.CaptureReply{Reason: gopprof.ReasonUnknown}
}

// Status implements bus.Requests.
func (s *simulated) Status(context.Context, gopprof.StatusRequest) gopprof.CaptureReply {
	return gopprof.CaptureReply{Accepted: true}
}

// Pause implements bus.Requests.
func (s *simulated) Pause(context.Context, gopprof.PauseRequest) gopprof.CaptureReply {
	return gopprof.CaptureReply{Accepted: true}
}
