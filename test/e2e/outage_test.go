package e2e

import (
	"context"
	"errors"
	"testing"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/rig"
)

// startProcesses runs agent and aggregator as processes, which can be killed.
func startProcesses(ctx context.Context, t *testing.T, r *rig.Rig) {
	t.Helper()
	must(t, r.StartAggregator(ctx))
	must(t, r.StartAgent(ctx))
	must(t, r.AwaitTarget(ctx))
}

// checkOnce waits for the message about a capture and checks that there is one report of
// it, under the one ID.
func checkOnce(ctx context.Context, t *testing.T, r *rig.Rig, capture string) {
	t.Helper()
	_, err := r.Inbox.Await(ctx, capture)
	must(t, err)
	var list api.ReportList
	must(t, rig.Poll(ctx, func() error {
		if err := r.GetJSON(ctx, api.PathReports, &list); err != nil {
			return err
		}
		if len(list.Reports) == 0 {
			return errors.New("not listed yet")
		}
		return nil
	}))
	n := 0
	for _, s := range list.Reports {
		if s.ID == capture {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d reports of capture %s, want one: %+v", n, capture, list.Reports)
	}
}

// NATS is the aggregator's own: it is away when that is.
func TestNATSAwayAndBack(t *testing.T) {
	ctx, r := newRig(t)
	startProcesses(ctx, t, r)
	r.Aggregator.Kill()
	must(t, r.Burner.Heat(ctx, 1))
	spooled, err := r.Agent.Await(ctx, "capture spooled")
	must(t, err)
	must(t, r.StartAggregator(ctx))
	checkOnce(ctx, t, r, spooled.Text("capture"))
}

// The aggregator is killed the moment it has the capture, and once more as soon as it
// works again.
func TestAggregatorKilledWithACaptureInHand(t *testing.T) {
	ctx, r := newRig(t)
	startProcesses(ctx, t, r)
	must(t, r.Burner.Heat(ctx, 1))
	published, err := r.Agent.Await(ctx, "capture published")
	must(t, err)
	for range 2 {
		r.Aggregator.Kill()
		must(t, r.StartAggregator(ctx))
	}
	checkOnce(ctx, t, r, published.Text("capture"))
}

// Without InfluxDB there is no second opinion: the report says so, and its owner is told
// all the same.
func TestInfluxDBAway(t *testing.T) {
	ctx, r := newRig(t)
	startBoth(ctx, t, r)
	must(t, r.AwaitTarget(ctx))
	must(t, r.InfluxDB.Stop())
	must(t, r.Burner.Heat(ctx, 1))
	report := awaitReport(ctx, t, r, "?kind=cpu")
	if a := report.Capture.Agreement; a.Result != gopprof.AgreementUnavailable || a.Reason != gopprof.ReasonSeriesUnreachable || a.Detail == "" {
		t.Errorf("agreement %+v, want unavailable, series_unreachable, and how", a)
	}
	_, err := r.Inbox.Await(ctx, report.ID)
	must(t, err)
}
