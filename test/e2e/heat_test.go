package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

// startBoth runs agent and aggregator in this process.
func startBoth(ctx context.Context, t *testing.T, r *rig.Rig) {
	t.Helper()
	log := zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel))
	path, err := r.AggregatorConfig()
	must(t, err)
	aggregator := run(ctx, t, "aggregator", path, log)
	at := aggregator.(interface {
		NATSURL() string
		APIAddr() string
		StatusAddr() string
	})
	r.AggregatorRuns(at.NATSURL(), at.APIAddr())
	r.AggregatorStatus = at.StatusAddr()
	path, err = r.AgentConfig()
	must(t, err)
	agent := run(ctx, t, "agent", path, log)
	r.Status = "http://" + agent.(interface{ StatusAddr() string }).StatusAddr() + "/status"
}

func run(ctx context.Context, t *testing.T, name, path string, log *zap.Logger) runner {
	t.Helper()
	p, err := newProgram(ctx, name, path, log.Named(name))
	must(t, err)
	ctx, cancel := context.WithCancel(ctx)
	var failed error
	var done sync.WaitGroup
	done.Go(func() { failed = p.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		done.Wait()
		if failed != nil {
			t.Errorf("%s did not stop cleanly: %v", name, failed)
		}
	})
	return p
}

// awaitReport waits for the first report that a query of the API finds.
func awaitReport(ctx context.Context, t *testing.T, r *rig.Rig, query string) gopprof.Report {
	t.Helper()
	var report gopprof.Report
	must(t, rig.Poll(ctx, func() error {
		var list api.ReportList
		if err := r.GetJSON(ctx, api.PathReports+query, &list); err != nil {
			return err
		}
		if len(list.Reports) == 0 {
			return errors.New("no report yet")
		}
		return r.GetJSON(ctx, api.PathReport(list.Reports[0].ID), &report)
	}))
	return report
}

func TestHeatBecomesAReportAndAMessage(t *testing.T) {
	ctx, r := newRig(t)
	startBoth(ctx, t, r)
	must(t, r.AwaitTarget(ctx))
	must(t, r.AwaitSeries(ctx))
	must(t, r.Burner.Heat(ctx, 1))
	report := awaitReport(ctx, t, r, "?kind=cpu")

	checkEvidence(t, report)
	checkHistory(t, report.Capture)
	checkHottest(t, report, gopprof.KindCPU, parts.BurnerHotFunction)
	for _, p := range report.Capture.Profiles {
		checkStored(ctx, t, r, report, p)
	}
	checkMessage(ctx, t, r, report)
	must(t, rig.Poll(ctx, func() error { return reasonIs(ctx, r, "cpu", gopprof.ReasonNotRearmed) }))
}

func TestMemoryBecomesAHeapProfile(t *testing.T) {
	ctx, r := newRig(t)
	startBoth(ctx, t, r)
	must(t, r.AwaitTarget(ctx))
	must(t, r.Burner.Grow(ctx, 215)) // of 256, above 0.8 with what it has anyway
	report := awaitReport(ctx, t, r, "?kind=heap")
	if e := report.Capture.Trigger.Evidence; e == nil || e.Resource != gopprof.ResourceMemory {
		t.Errorf("evidence %+v, want the memory rule's", e)
	}
	checkHottest(t, report, gopprof.KindHeap, parts.BurnerGrowingFunction)
}

func checkEvidence(t *testing.T, report gopprof.Report) {
	t.Helper()
	evidence := report.Capture.Trigger.Evidence
	if evidence == nil || evidence.Resource != gopprof.ResourceCPU || len(evidence.Windows) != 2 {
		t.Fatalf("evidence %+v, want two windows of the CPU rule", evidence)
	}
	for _, w := range evidence.Windows {
		if w.CPU.Limit != rig.LimitCores || w.CPU.Ratio <= 0.8 || w.CPU.Ratio > 1.3 {
			t.Errorf("window %+v, want above 0.8 of %v cores", w, rig.LimitCores)
		}
	}
	if a := report.Capture.Agreement; a.Result != gopprof.AgreementConfirmed {
		t.Errorf("agreement %+v, want confirmed", a)
	}
	if target := report.Capture.Target; target.Owner != rig.Owner || target.Pod != rig.Pod || target.Node != rig.Node {
		t.Errorf("target %+v", target)
	}
	if ratio := report.Explanation.ExplainedRatio; ratio == nil || *ratio < 0.7 {
		t.Errorf("the profile explains %v of the CPU time, want most", ratio)
	}
}

// checkHistory requires what both witnesses saw, until the end of the capture.
func checkHistory(t *testing.T, c gopprof.Capture) {
	t.Helper()
	h := c.History
	if len(h.Local) == 0 || len(h.Series) == 0 || h.SeriesBy == "" {
		t.Fatalf("history %+v", h)
	}
	for _, points := range [][]gopprof.Point{h.Local, h.Series} {
		last := points[len(points)-1]
		ratio, ok := last.Ratio(gopprof.ResourceCPU)
		if !ok || ratio < 0.5 || last.CPULimitCores != rig.LimitCores || c.End.Sub(last.End) > 15*time.Second {
			t.Errorf("the newest of %d points: %+v; the capture ended at %s", len(points), last, c.End)
		}
	}
}

func checkHottest(t *testing.T, report gopprof.Report, kind gopprof.Kind, want string) {
	t.Helper()
	for _, p := range report.Explanation.Profiles {
		if p.Kind != kind {
			continue
		}
		if len(p.Functions) == 0 || p.Functions[0].Name != want {
			t.Errorf("first functions of %s: %+v, want %s", kind, p.Functions[:min(3, len(p.Functions))], want)
		}
		return
	}
	t.Errorf("no explanation of the %s profile", kind)
}

// checkStored looks at the original bytes and at the drawing, as the API serves them.
func checkStored(ctx context.Context, t *testing.T, r *rig.Rig, report gopprof.Report, p gopprof.Profile) {
	t.Helper()
	data, err := r.Get(ctx, api.PathProfile(report.ID, p.Kind))
	must(t, err)
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != p.SHA256 || int64(len(data)) != p.SizeBytes {
		t.Errorf("%s: stored bytes differ from those that were taken", p.Kind)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.API+api.PathDrawing(report.ID, p.Kind), nil)
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	if csp := resp.Header.Get("Content-Security-Policy"); resp.StatusCode != http.StatusOK || !strings.Contains(csp, "sandbox") {
		t.Errorf("%s: drawing: %s, policy %q", p.Kind, resp.Status, csp)
	}
}

func checkMessage(ctx context.Context, t *testing.T, r *rig.Rig, report gopprof.Report) {
	t.Helper()
	message, err := r.Inbox.Await(ctx, report.ID)
	must(t, err)
	var event struct {
		SpecVersion, Type, ID string
		Data                  gopprof.Report
	}
	must(t, json.Unmarshal(message, &event))
	if event.SpecVersion != "1.0" || event.ID == "" || event.Data.ID != report.ID || event.Data.Explanation.Summary != report.Explanation.Summary {
		t.Errorf("message is not the report's event: %.300s", message)
	}
	if n := len(r.Inbox.About(report.ID)); n != 1 {
		t.Errorf("told %d times, want once", n)
	}
	page, err := r.Get(ctx, api.PathPage(report.ID))
	must(t, err)
	if !bytes.Contains(page, []byte(parts.BurnerHotFunction)) {
		t.Error("the page does not name the function that burns")
	}
}

// reasonIs asks the agent's status port.
func reasonIs(ctx context.Context, r *rig.Rig, rule string, want gopprof.Reason) error {
	var state gopprof.NodeState
	if err := getJSON(ctx, r.Status, &state); err != nil {
		return err
	}
	for _, target := range state.Targets {
		for _, s := range target.Rules {
			if s.Rule == rule && s.Reason == want && s.LastCapture != "" && len(target.Series) > 0 {
				return nil
			}
		}
	}
	return fmt.Errorf("state of rule %s is not %s: %+v", rule, want, state.Targets)
}

func getJSON(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}
