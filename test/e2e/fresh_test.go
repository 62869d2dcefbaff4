package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/rig"
)

// askOperation asks for captures and returns the operation.
func askOperation(ctx context.Context, t *testing.T, r *rig.Rig, request api.CaptureRequest) gopprof.Operation {
	t.Helper()
	status, body := postCapture(ctx, t, r, request)
	if status != http.StatusAccepted {
		t.Fatalf("status %d: %s", status, body)
	}
	var op gopprof.Operation
	must(t, json.Unmarshal(body, &op))
	return op
}

// awaitState waits until the first capture of an operation is in a state.
func awaitState(ctx context.Context, t *testing.T, r *rig.Rig, id string, state gopprof.CaptureState) (op gopprof.Operation) {
	t.Helper()
	must(t, rig.Poll(ctx, func() error {
		if err := r.GetJSON(ctx, api.PathOperation(id), &op); err != nil {
			return err
		}
		if op.Captures[0].State != state {
			return fmt.Errorf("operation %+v, not yet %s", op, state)
		}
		return nil
	}))
	return op
}

// profilerIsFree asks the target itself whether its CPU profiler can be had.
func profilerIsFree(ctx context.Context, r *rig.Rig) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Burner.Addr+"/debug/pprof/profile?seconds=1", nil)
	if err != nil {
		return false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusOK, err
}

// The tool that Go developers have takes a fresh profile of a pod, and of a workload, and
// what it took is stored.
func TestGoToolPprofStraightAtTheAggregator(t *testing.T) {
	ctx, r := newRig(t)
	startBoth(ctx, t, r)
	must(t, r.AwaitTarget(ctx))
	for name, path := range map[string]string{
		"pod":      api.PathPodProfile(rig.Namespace, rig.Pod, "profile") + "?seconds=1",
		"workload": api.PathWorkloadProfile(rig.Namespace, "hosts", rig.Workload, "heap"),
	} {
		c := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", r.API+path)
		c.Env = append(c.Environ(), "PPROF_TMPDIR="+t.TempDir())
		out, err := c.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "flat%") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	var list api.ReportList
	must(t, r.GetJSON(ctx, api.PathReports, &list))
	if len(list.Reports) != 2 || list.Reports[0].Trigger != gopprof.TriggerManual {
		t.Errorf("reports: %+v", list.Reports)
	}
}

// Whoever cancels, or leaves, gives the target its profiler back within a second.
func TestCancelFreesTheProfiler(t *testing.T) {
	for name, cancel := range map[string]func(ctx context.Context, t *testing.T, r *rig.Rig){
		"by DELETE": func(ctx context.Context, t *testing.T, r *rig.Rig) {
			op := askOperation(ctx, t, r, api.CaptureRequest{Namespace: rig.Namespace, Pod: rig.Pod, Kinds: []gopprof.Kind{gopprof.KindCPU}, Seconds: 50})
			awaitBusy(ctx, t, r)
			req, err := http.NewRequestWithContext(ctx, http.MethodDelete, r.API+api.PathOperation(op.ID), nil)
			must(t, err)
			resp, err := http.DefaultClient.Do(req)
			must(t, err)
			defer resp.Body.Close()
			must(t, json.NewDecoder(resp.Body).Decode(&op))
			if oc := op.Captures[0]; resp.StatusCode != http.StatusOK || oc.Reason != gopprof.ReasonCancelled {
				t.Errorf("status %d, %+v", resp.StatusCode, oc)
			}
		},
		"by leaving": func(ctx context.Context, t *testing.T, r *rig.Rig) {
			waiting, leave := context.WithCancel(ctx)
			defer leave()
			req, err := http.NewRequestWithContext(waiting, http.MethodGet, r.API+api.PathPodProfile(rig.Namespace, rig.Pod, "profile")+"?seconds=50", nil)
			must(t, err)
			left := make(chan struct{})
			go func() {
				defer close(left)
				if resp, err := http.DefaultClient.Do(req); err == nil {
					resp.Body.Close()
				}
			}()
			awaitBusy(ctx, t, r)
			leave()
			<-left
		},
		"by a pause": func(ctx context.Context, t *testing.T, r *rig.Rig) {
			askOperation(ctx, t, r, api.CaptureRequest{Namespace: rig.Namespace, Pod: rig.Pod, Kinds: []gopprof.Kind{gopprof.KindCPU}, Seconds: 50})
			awaitBusy(ctx, t, r)
			if s := setPause(ctx, t, r, true); s.Obeying != 1 {
				t.Errorf("%+v", s)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, r := newRig(t)
			startBoth(ctx, t, r)
			must(t, r.AwaitTarget(ctx))
			cancel(ctx, t, r)
			began := time.Now()
			var asked time.Time
			must(t, rig.Poll(ctx, func() error {
				asked = time.Now()
				free, err := profilerIsFree(ctx, r)
				if err == nil && !free {
					err = fmt.Errorf("the profiler is held still")
				}
				return err
			}))
			if held := asked.Sub(began); held > time.Second { // it would be for 50
				t.Errorf("free only %s after", held)
			}
		})
	}
}

// awaitBusy waits until the target's CPU profiler is held. To ask is to hold it, if it is
// free: so each question is given up after a moment, and whoever is waited for finds it free
// between two of them.
func awaitBusy(ctx context.Context, t *testing.T, r *rig.Rig) {
	t.Helper()
	must(t, rig.Poll(ctx, func() error {
		moment, enough := context.WithTimeout(ctx, 50*time.Millisecond)
		defer enough()
		free, err := profilerIsFree(moment, r)
		switch {
		case err == nil && !free:
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			return errors.New("the profiler is free, or did not answer")
		}
		return fmt.Errorf("the profiler is free: %w", err)
	}))
}

func setPause(ctx context.Context, t *testing.T, r *rig.Rig, paused bool) (s api.PauseState) {
	t.Helper()
	body, err := json.Marshal(api.PauseRequest{Paused: paused, Why: "a release"})
	must(t, err)
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, r.API+api.PathPause, bytes.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	must(t, json.NewDecoder(resp.Body).Decode(&s))
	return s
}

// While everything is paused nothing is profiled; afterwards everything is again.
func TestPauseAndResume(t *testing.T) {
	ctx, r := newRig(t)
	startBoth(ctx, t, r)
	must(t, r.AwaitTarget(ctx))
	if s := setPause(ctx, t, r, true); s.Obeying != 1 || s.Agents != 1 || !s.Paused {
		t.Errorf("%+v", s)
	}
	status, body := postCapture(ctx, t, r, api.CaptureRequest{Namespace: rig.Namespace, Pod: rig.Pod})
	if status != http.StatusServiceUnavailable || !strings.Contains(string(body), "a release") {
		t.Errorf("status %d: %s", status, body)
	}
	if s := setPause(ctx, t, r, false); s.Obeying != 1 || s.Paused {
		t.Errorf("%+v", s)
	}
	op := askOperation(ctx, t, r, api.CaptureRequest{Namespace: rig.Namespace, Pod: rig.Pod, Kinds: []gopprof.Kind{gopprof.KindHeap}})
	awaitState(ctx, t, r, op.ID, gopprof.CaptureStored)
}

// Progress is told while it happens, and a group of hosts is merged.
func TestGroupOfHostsWithProgress(t *testing.T) {
	ctx, r := newRig(t)
	startBoth(ctx, t, r)
	must(t, r.AwaitTarget(ctx))
	op := askOperation(ctx, t, r, api.CaptureRequest{Namespace: rig.Namespace, Workload: "Host/" + rig.Workload, Kinds: []gopprof.Kind{gopprof.KindCPU, gopprof.KindGoroutine}, Seconds: 2, Merge: true})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.API+api.PathEvents(op.ID), nil)
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	seen := map[gopprof.CaptureState]bool{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			must(t, json.Unmarshal([]byte(data), &op))
			seen[op.Captures[0].State] = true
		}
	}
	if !seen[gopprof.CaptureProfiling] || !seen[gopprof.CaptureStored] {
		t.Errorf("states %v", seen)
	}
	var m api.Merged
	must(t, r.GetJSON(ctx, api.PathMerged(op.ID), &m))
	if len(m.Kinds) != 2 || len(m.Kinds[0].Pods) != 1 || m.Kinds[0].Profile == "" {
		t.Fatalf("%+v", m)
	}
	if _, err := r.Get(ctx, m.Kinds[1].Profile); err != nil {
		t.Error(err)
	}
}

// An aggregator that is killed while it profiles finds the operation again.
func TestOperationOutlivesTheAggregator(t *testing.T) {
	ctx, r := newRig(t)
	must(t, r.StartAggregator(ctx))
	must(t, r.StartAgent(ctx))
	must(t, r.AwaitTarget(ctx))
	op := askOperation(ctx, t, r, api.CaptureRequest{Namespace: rig.Namespace, Pod: rig.Pod, Kinds: []gopprof.Kind{gopprof.KindCPU}, Seconds: 3})
	awaitState(ctx, t, r, op.ID, gopprof.CaptureProfiling)
	r.Aggregator.Kill()
	must(t, r.StartAggregator(ctx))
	awaitState(ctx, t, r, op.ID, gopprof.CaptureStored)
}
