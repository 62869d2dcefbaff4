package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/rig"
)

// killInHand kills the agent as soon as it has a capture in hand, and starts another one.
func killInHand(ctx context.Context, t *testing.T, r *rig.Rig) (capture string) {
	t.Helper()
	line, err := r.Agent.Await(ctx, "capture in hand")
	must(t, err)
	r.Agent.Kill()
	path := filepath.Join(r.Dir, "agent", "in-hand", line.Text("capture")+".json")
	if left := inHand(t, r); !slices.Contains(left, path) { // other rules may have fired, too
		t.Errorf("killed with %v written down, want %s", left, path)
	}
	must(t, r.StartAgent(ctx))
	return line.Text("capture")
}

// inHand returns what is written down of captures in hand.
func inHand(t *testing.T, r *rig.Rig) (names []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(r.Dir, "agent", "in-hand", "*"))
	must(t, err)
	return names
}

// An agent that is killed while it takes what somebody asked for says so when it comes back:
// the operation ends then, with that for a reason, and not when its time is over.
func TestAgentKilledWithARequestInHand(t *testing.T) {
	ctx, r := newRig(t)
	startProcesses(ctx, t, r)
	status, body := postCapture(ctx, t, r, api.CaptureRequest{Namespace: rig.Namespace, Pod: rig.Pod, Kinds: []gopprof.Kind{gopprof.KindCPU}, Seconds: 20})
	if status != http.StatusAccepted {
		t.Fatalf("status %d: %s", status, body)
	}
	var op gopprof.Operation
	must(t, json.Unmarshal(body, &op))
	killInHand(ctx, t, r)
	must(t, rig.Poll(ctx, func() error {
		if err := r.GetJSON(ctx, api.PathOperation(op.ID), &op); err != nil {
			return err
		}
		if op.Captures[0].State != gopprof.CaptureFailed {
			return fmt.Errorf("operation %+v", op)
		}
		return nil
	}))
	if c := op.Captures[0]; c.Reason != gopprof.ReasonAgentDied || c.Detail == "" {
		t.Errorf("ended as %+v, want %s", c, gopprof.ReasonAgentDied)
	}
	must(t, nothingInHand(ctx, t, r))
}

// A firing whose agent was killed while it took the profile has its end in the log of the
// next one.
func TestAgentKilledWithAFiringInHand(t *testing.T) {
	ctx, r := newRigOf(t, 20*time.Second)
	startProcesses(ctx, t, r)
	must(t, r.Burner.Heat(ctx, 1))
	capture := killInHand(ctx, t, r)
	line, err := r.Agent.AwaitWhere(ctx, "firing came to nothing", func(l rig.Line) bool { return l.Text("capture") == capture })
	must(t, err)
	if line.Text("reason") != string(gopprof.ReasonAgentDied) || line.Text("rule") == "" || line.Text("pod") != rig.Pod {
		t.Errorf("said %v, want capture %s and %s", line, capture, gopprof.ReasonAgentDied)
	}
	_, err = r.Agent.AwaitWhere(ctx, "capture published", func(l rig.Line) bool { return l.Text("capture") == capture })
	must(t, err)
	if _, err := os.Stat(filepath.Join(r.Dir, "agent", "in-hand", capture+".json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still written down: %v", err)
	}
}

func nothingInHand(ctx context.Context, t *testing.T, r *rig.Rig) error {
	t.Helper()
	return rig.Poll(ctx, func() error {
		if left := inHand(t, r); len(left) > 0 {
			return errors.New("still written down: " + left[0])
		}
		return nil
	})
}
