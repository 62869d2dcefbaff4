package app

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// unlisted is a discoverer that has not heard of its pods yet.
type unlisted struct {
	*fakes
	unlisted bool
}

func (u *unlisted) Snapshot() discover.Snapshot {
	if u.unlisted {
		return discover.Snapshot{Unlisted: true}
	}
	return u.fakes.Snapshot()
}

func (u *unlisted) Observe(ctx context.Context, targets []gopprof.Target, now time.Time) []observe.Observed {
	if len(targets) == 0 {
		return nil
	}
	return u.fakes.Observe(ctx, targets, now)
}

// A pod that was captured and has been hot ever since is not captured again because its agent
// was restarted: the first turns come before the pods are listed.
func TestRestartBeforeThePodsAreListed(t *testing.T) {
	u := &unlisted{&fakes{hot: true, decision: gopprof.Decision{Go: true}}, true}
	p := newTestPipeline(u.fakes)
	p.discover, p.observe = u, u
	p.judge = judge.New(judge.DefaultConfig(), judge.Saved{target.Key(): {"cpu": judge.State{
		FiredAt: noon.Add(-time.Hour), Disarmed: true, Cooldown: 10 * time.Minute, NotBefore: noon.Add(-50 * time.Minute),
	}}}, prometheus.NewRegistry())
	p.turn(t.Context(), t.Context(), noon)
	u.unlisted = false
	if state := p.turnOnce(t); state.Reason != gopprof.ReasonNotRearmed || len(u.published) != 0 {
		t.Errorf("%d captures, %+v", len(u.published), state)
	}
	p.discover = nobodyThere{}
	p.turn(t.Context(), t.Context(), noon)
	if states := p.judge.States(target.Key()); len(states) != 0 && states[0].Reason == gopprof.ReasonNotRearmed {
		t.Errorf("one that went away is remembered: %+v", states)
	}
}

// nobodyThere is a node whose pods are listed, and there is none.
type nobodyThere struct{}

func (nobodyThere) Snapshot() discover.Snapshot { return discover.Snapshot{} }
