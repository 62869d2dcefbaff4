package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/rig"
)

// postCapture asks the API for a capture and returns the status and the answer.
func postCapture(ctx context.Context, t *testing.T, r *rig.Rig, request api.CaptureRequest) (int, []byte) {
	t.Helper()
	body, err := json.Marshal(request)
	must(t, err)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.API+api.PathCaptures, bytes.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, answer
}

func TestCaptureByHand(t *testing.T) {
	ctx, r := newRig(t)
	startBoth(ctx, t, r)
	must(t, r.AwaitTarget(ctx))
	kinds := []gopprof.Kind{gopprof.KindCPU, gopprof.KindHeap, gopprof.KindTrace}
	status, body := postCapture(ctx, t, r, api.CaptureRequest{Namespace: rig.Namespace, Pod: rig.Pod, Kinds: kinds, Seconds: 1})
	if status != http.StatusAccepted {
		t.Fatalf("status %d: %s", status, body)
	}
	var op gopprof.Operation
	must(t, json.Unmarshal(body, &op))
	must(t, rig.Poll(ctx, func() error {
		if err := r.GetJSON(ctx, api.PathOperation(op.ID), &op); err != nil {
			return err
		}
		if state := op.Captures[0].State; state != gopprof.CaptureStored {
			return fmt.Errorf("operation %+v", op)
		}
		return nil
	}))
	var report gopprof.Report
	must(t, r.GetJSON(ctx, api.PathReport(op.Captures[0].Report), &report))
	for _, k := range kinds {
		if _, err := r.Get(ctx, api.PathProfile(report.ID, k)); err != nil {
			t.Error(err)
		}
	}
	if report.Capture.Trigger.Kind != gopprof.TriggerManual {
		t.Errorf("trigger %+v", report.Capture.Trigger)
	}
}

func TestCaptureByHandOfNobody(t *testing.T) {
	ctx, r := newRig(t)
	startBoth(ctx, t, r)
	must(t, r.AwaitTarget(ctx))
	status, body := postCapture(ctx, t, r, api.CaptureRequest{Namespace: rig.Namespace, Pod: "nobody"})
	var problem api.Problem
	must(t, json.Unmarshal(body, &problem))
	if status != http.StatusNotFound || problem.Reason != gopprof.ReasonUnknown {
		t.Errorf("status %d: %s", status, body)
	}
}

// A capture that the agent accepted and could not take ends in the operation with the
// agent's reason, and not as silence.
func TestCaptureByHandOfATargetWithoutPprof(t *testing.T) {
	ctx, r := newRig(t)
	startBoth(ctx, t, r)
	must(t, r.AwaitTarget(ctx))
	must(t, r.Burner.Stop())
	status, body := postCapture(ctx, t, r, api.CaptureRequest{Namespace: rig.Namespace, Pod: rig.Pod, Kinds: []gopprof.Kind{gopprof.KindHeap}})
	var op gopprof.Operation
	must(t, json.Unmarshal(body, &op))
	if status != http.StatusAccepted {
		t.Fatalf("status %d: %s", status, body)
	}
	must(t, rig.Poll(ctx, func() error {
		if err := r.GetJSON(ctx, api.PathOperation(op.ID), &op); err != nil {
			return err
		}
		if c := op.Captures[0]; c.State != gopprof.CaptureFailed || c.Reason != gopprof.ReasonUnreachable {
			return fmt.Errorf("operation %+v", op)
		}
		return nil
	}))
}
