package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

// newAlertingRig is a rig with Debian's Alertmanager, which gopprof tells of reports and
// which tells gopprof of its alerts.
func newAlertingRig(t *testing.T) (context.Context, *rig.Rig) {
	t.Helper()
	parts.Need(t, "prometheus-alertmanager")
	ctx, r := newRig(t)
	must(t, r.StartAlertmanager(ctx))
	startBoth(ctx, t, r)
	must(t, r.AwaitTarget(ctx))
	must(t, r.TellAggregator(ctx))
	return ctx, r
}

// alertsAnswered is how many alerts of Alertmanager came to this end.
func alertsAnswered(ctx context.Context, r *rig.Rig, state api.AlertState, reason gopprof.Reason) (int, error) {
	text, err := rig.Fetch(ctx, http.MethodGet, "http://"+r.AggregatorStatus+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	line := regexp.MustCompile(fmt.Sprintf(`(?m)^gopprof_aggregator_serve_alerts_total\{reason="%s",state="%s"\} (\d+)$`, reason, state))
	found := line.FindSubmatch(text)
	if found == nil {
		return 0, nil
	}
	return strconv.Atoi(string(found[1]))
}

func awaitAnswered(ctx context.Context, t *testing.T, r *rig.Rig, state api.AlertState, reason gopprof.Reason, least int) {
	t.Helper()
	must(t, rig.Poll(ctx, func() error {
		n, err := alertsAnswered(ctx, r, state, reason)
		if err == nil && n < least {
			err = fmt.Errorf("%d alerts were answered as %s %s, not %d yet", n, state, reason, least)
		}
		return err
	}))
}

// Alertmanager gets an alert, as from Prometheus, and tells the aggregator, which has the pod
// profiled once, however often it is told; the report says which alert it was, and its owner
// is told.
func TestAlertmanagerAsksForAProfile(t *testing.T) {
	ctx, r := newAlertingRig(t)
	alert := rig.AlertmanagerAlert{
		Labels: map[string]string{"alertname": "CheckoutIsSlow", "namespace": rig.Namespace, "pod": rig.Pod, "container": rig.Container,
			"severity": "page", "gopprof_kinds": "cpu,heap"},
		Annotations: map[string]string{"summary": "checkout takes 1.7 s", "runbook_url": "https://runbooks.example/checkout"}, GeneratorURL: "http://prometheus.example/graph?g0.expr=up",
	}
	elsewhere := rig.AlertmanagerAlert{Labels: map[string]string{"alertname": "VaultIsSlow", "namespace": "vault", "pod": "vault-0"}}
	must(t, r.Alertmanager.Post(ctx, alert, elsewhere))
	report := awaitReport(ctx, t, r, "?pod="+rig.Pod)
	awaitAnswered(ctx, t, r, api.AlertDuplicate, "", 2)
	awaitAnswered(ctx, t, r, api.AlertRefused, gopprof.ReasonForbidden, 2)

	checkAlert(ctx, t, r, report, alert)
	if _, err := r.Inbox.Await(ctx, report.ID); err != nil {
		t.Error(err)
	}
	var operations api.OperationList
	must(t, r.GetJSON(ctx, api.PathOperations, &operations))
	if len(operations.Operations) != 1 || len(operations.Operations[0].Captures) != 1 {
		t.Errorf("operations %+v", operations.Operations)
	}
	var reports api.ReportList
	must(t, r.GetJSON(ctx, api.PathReports, &reports))
	if len(reports.Reports) != 1 {
		t.Errorf("%d reports", len(reports.Reports))
	}
}

func checkAlert(ctx context.Context, t *testing.T, r *rig.Rig, report gopprof.Report, posted rig.AlertmanagerAlert) {
	t.Helper()
	firing, err := r.Alertmanager.Alerts(ctx)
	must(t, err)
	i := slices.IndexFunc(firing, func(a rig.AlertmanagerAlert) bool { return a.Labels["alertname"] == posted.Labels["alertname"] })
	if i < 0 {
		t.Fatalf("Alertmanager shows %+v", firing)
	}
	got := report.Capture.Trigger.Alert
	if report.Capture.Trigger.Kind != gopprof.TriggerAlert || got == nil {
		t.Fatalf("trigger %+v", report.Capture.Trigger)
	}
	if got.Name != "CheckoutIsSlow" || got.Fingerprint != firing[i].Fingerprint || !got.StartsAt.Truncate(time.Millisecond).Equal(firing[i].StartsAt) || got.Receiver != "gopprof" ||
		got.GeneratorURL != posted.GeneratorURL || got.Labels["severity"] != "page" || got.Annotations["summary"] != posted.Annotations["summary"] {
		t.Errorf("the report's alert is %+v, Alertmanager's %+v", got, firing[i])
	}
	if !strings.HasPrefix(report.Explanation.Summary, "taken for alert CheckoutIsSlow; ") {
		t.Errorf("summary %q", report.Explanation.Summary)
	}
	for _, k := range []gopprof.Kind{gopprof.KindCPU, gopprof.KindHeap} {
		if _, err := r.Get(ctx, api.PathProfile(report.ID, k)); err != nil {
			t.Error(err)
		}
	}
	page, err := r.Get(ctx, api.PathPage(report.ID))
	if err != nil || !strings.Contains(string(page), "alert <bdi>CheckoutIsSlow</bdi>") {
		t.Errorf("the page does not name the alert: %v", err)
	}
}

// A report of a hot pod becomes an alert of Alertmanager, with its labels and links, and ends
// there when its incident is over. Alertmanager tells gopprof of it, as of every alert, and
// that profiles nothing.
func TestReportBecomesAnAlert(t *testing.T) {
	ctx, r := newAlertingRig(t)
	must(t, r.AwaitSeries(ctx))
	must(t, r.Burner.Heat(ctx, 1))
	report := awaitReport(ctx, t, r, "?kind=cpu")
	var hot rig.AlertmanagerAlert
	must(t, rig.Poll(ctx, func() error {
		firing, err := r.Alertmanager.Alerts(ctx)
		if err != nil || len(firing) == 0 {
			return errors.Join(err, errors.New("Alertmanager knows no alert"))
		}
		hot = firing[0]
		return nil
	}))
	for name, want := range map[string]string{
		"alertname": gopprof.AlertHot, "cluster": rig.Cluster, "namespace": rig.Namespace, "workload": rig.Workload, "pod": rig.Pod, "container": rig.Container,
		"owner": rig.Owner, "trigger": "rule", "rule": "cpu", "incident": report.Capture.Incident,
	} {
		if hot.Labels[name] != want {
			t.Errorf("label %s is %q, want %q", name, hot.Labels[name], want)
		}
	}
	for _, name := range []string{"report_url", "call_graph_cpu_url", "evidence_url"} {
		link, err := url.Parse(hot.Annotations[name])
		must(t, err)
		if _, err := r.Get(ctx, link.Path); err != nil || !strings.HasPrefix(hot.Annotations[name], r.API) {
			t.Errorf("%s leads to %q: %v", name, link, err)
		}
	}
	if hot.Annotations["description"] != report.Explanation.Summary || hot.GeneratorURL != hot.Annotations["report_url"] {
		t.Errorf("%+v", hot)
	}
	awaitAnswered(ctx, t, r, api.AlertRefused, gopprof.ReasonOwnAlert, 1)
	must(t, r.Burner.Heat(ctx, 0))
	must(t, rig.Poll(ctx, func() error { // it resolves
		firing, err := r.Alertmanager.Alerts(ctx)
		if err == nil && len(firing) > 0 {
			err = fmt.Errorf("still firing: %+v", firing)
		}
		return err
	}))
	awaitAnswered(ctx, t, r, api.AlertOver, "", 1)
	var operations api.OperationList
	must(t, r.GetJSON(ctx, api.PathOperations, &operations))
	if len(operations.Operations) != 0 {
		t.Errorf("gopprof asked itself: %+v", operations.Operations)
	}
}

// watched is a rule of Prometheus as its API shows it.
type watched struct {
	Name, Health, LastError, State string
	LastEvaluation                 time.Time
}

// Prometheus itself scrapes both programs, evaluates the rules about gopprof, none of which
// fires while all is well, and has an alert of its own that ends as a report.
func TestPrometheusWatchesGopprof(t *testing.T) {
	parts.Need(t, "prometheus")
	ctx, r := newAlertingRig(t)
	root, err := parts.Root()
	must(t, err)
	own := filepath.Join(t.TempDir(), "own.yaml")
	must(t, os.WriteFile(own, fmt.Appendf(nil, `groups: [{name: own, rules: [{alert: CheckoutIsUp, expr: 'up{job="gopprof-agent"} == 1', labels: {namespace: %s, pod: %s, gopprof_kinds: heap}}]}]`, rig.Namespace, rig.Pod), 0o600))
	agent, err := url.Parse(r.Status)
	must(t, err)
	at, err := r.StartPrometheus(ctx, rig.PrometheusParts{Agent: agent.Host, Aggregator: r.AggregatorStatus,
		Rules: own + ", " + filepath.Join(root, "manifests/components/alerting/rules.yaml")})
	must(t, err)
	must(t, rig.Poll(ctx, func() error { return quiet(ctx, at) }))
	report := awaitReport(ctx, t, r, "?kind=heap")
	if a := report.Capture.Trigger.Alert; a == nil || a.Name != "CheckoutIsUp" || a.Labels["job"] != "gopprof-agent" || !strings.Contains(a.GeneratorURL, "/graph?g0.expr=up") {
		t.Errorf("trigger %+v, alert %+v", report.Capture.Trigger, a)
	}
}

// quiet tells whether every rule was evaluated and none but the test's own has fired.
func quiet(ctx context.Context, prometheus string) error {
	var answer struct {
		Data struct {
			Groups []struct{ Rules []watched }
		}
	}
	text, err := rig.Fetch(ctx, http.MethodGet, prometheus+"/api/v1/rules", nil)
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil {
		return err
	}
	n := 0
	for _, g := range answer.Data.Groups {
		for _, rule := range g.Rules {
			n++
			if rule.Health != "ok" || rule.LastEvaluation.IsZero() || (rule.State != "inactive") != (rule.Name == "CheckoutIsUp") {
				return fmt.Errorf("rule %+v", rule)
			}
		}
	}
	if n < 20 {
		return fmt.Errorf("%d rules", n)
	}
	return nil
}
