package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// budget is per_workload_per_hour of overlays/e2e.
const budget = 4

// TestKubernetes installs once and looks at everything that must work, one thing after the
// other: the cluster is one, and so is the machine below it.
func TestKubernetes(t *testing.T) {
	if os.Getenv("GOPPROF_E2E") == "" {
		t.Skip("needs a Kubernetes cluster with our images: run `make e2e` (test/e2e/README.md)")
	}
	c := install(t)
	t.Run("short-lived", c.shortLived)
	t.Run("schema", schema)
	t.Run("refusals", c.refusals)
	t.Run("rights", c.rights)
	t.Run("resized", c.resized)
	t.Run("only the hot pod", c.onlyTheHotPod)
	t.Run("memory", c.memory)
	t.Run("outage", c.outage)
	t.Run("storm", c.storm)
	t.Run("API server", c.apiServer)
	t.Run("by hand", c.byHand)
	t.Run("cost", c.cost)
	t.Run("access", c.access)
	t.Run("drained", c.drained)
	t.Run("API server away", c.apiServerAway)
}

// onlyTheHotPod heats one pod of four that all have visitors, and follows what comes of it.
func (c *cluster) onlyTheHotPod(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	c.awaitTargets(ctx, t, "checkout", 4)
	all := pods(ctx, t, shop, "app=checkout")
	for _, pod := range all {
		visit(ctx, t, pod.Name) // what the hot one is compared with: idle pods show the profiler next to nothing
	}
	hot := all[0]
	heated := time.Now()
	heat(ctx, t, hot.Name)
	report := c.await(ctx, t, "?workload=checkout")
	t.Logf("measured: from heat to report %s (two windows of 20 s, 5 s of profile)", report.MadeAt.Sub(heated).Round(time.Second))
	t.Logf("report: %s; agreement %s", report.Explanation.Summary, report.Capture.Agreement.Result)

	checkTarget(t, report.Capture.Target, hot)
	checkEvidence(t, report.Capture, 0.3)
	c.checkWhy(ctx, t, report)
	for _, f := range report.Files {
		for _, path := range []string{api.PathProfile(report.ID, f.Kind), api.PathDrawing(report.ID, f.Kind)} {
			if data, err := c.api.bytes(ctx, http.MethodGet, path, nil); err != nil || len(data) == 0 {
				t.Errorf("%s: %d bytes, %v", path, len(data), err)
			}
		}
	}
	if _, ok := report.File(gopprof.KindCPU); !ok {
		t.Errorf("files %+v, want a CPU profile", report.Files)
	}
	poll(ctx, t, func() error {
		if n := messages(ctx, t, report.ID); n != 1 {
			return fmt.Errorf("the owner got %d messages, want 1", n)
		}
		return nil
	})
	found, err := c.reports(ctx, "?workload=checkout")
	must(t, err)
	for _, r := range found {
		if r.Pod != hot.Name {
			t.Errorf("pod %s was captured too", r.Pod)
		}
	}
}

// checkWhy looks at what the report says of the cause: by the quiet pods of the same build,
// which were captured at the same time.
func (c *cluster) checkWhy(ctx context.Context, t *testing.T, report gopprof.Report) {
	t.Helper()
	hot := report.Capture
	stored := 0
	for _, s := range report.Siblings {
		t.Logf("sibling %s on %s: %s %s", s.Target.Pod, s.Target.Node, s.State, s.Reason)
		if s.State != gopprof.SiblingStored {
			continue
		}
		stored++
		var sibling gopprof.Report
		must(t, c.api.do(ctx, http.MethodGet, api.PathReport(s.Capture), nil, &sibling))
		if sibling.Capture.Incident != hot.Incident || sibling.Capture.Target.Build != hot.Target.Build || sibling.Capture.Target.Pod == hot.Target.Pod {
			t.Errorf("sibling %+v of incident %s", sibling.Capture, hot.Incident)
		}
	}
	if stored == 0 || report.Fleet == nil || report.Fleet.Pods != 4 || report.Fleet.Hot != 1 {
		t.Errorf("%d siblings stored, fleet %+v", stored, report.Fleet)
	}
	v := report.Explanation.Verdict
	if v == nil || len(v.Causes) == 0 || v.Scope != gopprof.ScopePod || v.Causes[0].Kind != gopprof.CauseCodeHot ||
		v.Causes[0].Confidence != gopprof.ConfidenceSure || !strings.HasSuffix(v.Causes[0].Function, "pricing.discountFor") {
		t.Errorf("verdict %+v", v)
	}
	t.Logf("measured: from the end of the capture to its report %s", report.MadeAt.Sub(hot.End).Round(100*time.Millisecond))
	if len(hot.History.Local) < 3 || report.Picture == "" {
		t.Errorf("%d readings, picture %q", len(hot.History.Local), report.Picture)
	}
	if svg, err := c.api.bytes(ctx, http.MethodGet, api.PathPicture(report.ID), nil); err != nil || !strings.Contains(string(svg), "<svg") {
		t.Errorf("picture of %d bytes, %v", len(svg), err)
	}
}

func checkTarget(t *testing.T, target gopprof.Target, pod podOf) {
	t.Helper()
	want := gopprof.Target{
		Cluster: "e2e", Node: pod.Node, Namespace: shop, Pod: pod.Name, PodUID: pod.UID, Container: "checkout", Owner: "team-checkout",
		Workload: gopprof.Workload{Kind: "Deployment", Name: pod.Name[:strings.Index(pod.Name, "-")]},
	}
	got := target
	got.ContainerID, got.Image, got.Build, got.Endpoint = "", "", "", gopprof.Endpoint{}
	if got != want {
		t.Errorf("target %+v\nwant   %+v", got, want)
	}
	if target.ContainerID == "" || target.Image == "" || target.Build == "" || target.Endpoint.Port != 6060 {
		t.Errorf("target %+v", target)
	}
}

func checkEvidence(t *testing.T, capture gopprof.Capture, limit float64) {
	t.Helper()
	e := capture.Trigger.Evidence
	if e == nil || e.Rule != "cpu" || len(e.Windows) != 2 {
		t.Fatalf("evidence %+v, want two windows of the rule cpu", e)
	}
	for _, w := range e.Windows {
		if w.CPU.Limit != limit || w.CPU.Ratio <= 0.8 {
			t.Errorf("window %+v, want above 0.8 of %v cores", w, limit)
		}
	}
	// The series are the agents' own (component record): one witness, and said so.
	if a := capture.Agreement; a.Result != gopprof.AgreementSingle {
		t.Errorf("agreement %+v, want single", a)
	}
}

// resized changes a pod's limit in place: the same container is judged by the new one.
func (c *cluster) resized(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	c.awaitTargets(ctx, t, "larder", 2)
	pod := pods(ctx, t, shop, "app=larder")[1]
	before, limit := c.limitOf(ctx, t, pod.Name)
	if limit != 0.3 {
		t.Fatalf("the limit is %v cores, want 0.3", limit)
	}
	if _, err := kubectl(ctx, "-n", shop, "patch", "pod", pod.Name, "--subresource=resize",
		"-p", `{"spec":{"containers":[{"name":"checkout","resources":{"limits":{"cpu":"400m"}}}]}}`); err != nil {
		t.Skipf("this cluster cannot change the limits of a running pod (Kubernetes 1.33 can): %v", err)
	}
	poll(ctx, t, func() error {
		after, limit := c.limitOf(ctx, t, pod.Name)
		if after != before {
			t.Fatalf("container %s took the place of %s", after, before)
		}
		if limit != 0.4 {
			return fmt.Errorf("the limit is %v cores, want 0.4", limit)
		}
		return nil
	})
}

// limitOf returns a pod's container and the CPU limit of its newest window.
func (c *cluster) limitOf(ctx context.Context, t *testing.T, pod string) (container string, cores float64) {
	t.Helper()
	list, err := c.states(ctx)
	must(t, err)
	for _, node := range list.Nodes {
		for _, s := range node.Targets {
			if s.Target.Pod == pod && len(s.Local) > 0 {
				return s.Target.ContainerID, s.Local[len(s.Local)-1].CPU.Limit
			}
		}
	}
	t.Fatalf("no agent tells of pod %s", pod)
	return "", 0
}

// memory makes one pod grow to nine tenths of its limit.
func (c *cluster) memory(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	c.awaitTargets(ctx, t, "catalog", 2)
	hungry := pods(ctx, t, shop, "app=catalog")[0]
	ask(ctx, t, hungry.Name, "grow?mb=100") // of 128
	report := c.await(ctx, t, "?workload=catalog&kind=heap")
	checkTarget(t, report.Capture.Target, hungry)
	if e := report.Capture.Trigger.Evidence; e == nil || e.Resource != gopprof.ResourceMemory {
		t.Errorf("evidence %+v, want the memory rule's", e)
	}
	if _, ok := report.File(gopprof.KindHeap); !ok {
		t.Errorf("files %+v, want a heap profile", report.Files)
	}
}

// outage heats a pod while the aggregator is rescheduled, and evicts the agent that holds
// the capture: nothing is lost, and nothing stored twice.
func (c *cluster) outage(t *testing.T) {
	ctx := within(t, 8*time.Minute)
	c.awaitTargets(ctx, t, "basket", 2)
	hot := pods(ctx, t, shop, "app=basket")[0]
	agent := run(ctx, t, "-n", "gopprof", "get", "pods", "-l", "app.kubernetes.io/name=gopprof-agent",
		"--field-selector=spec.nodeName="+hot.Node, "-o", "jsonpath={.items[0].metadata.name}")
	before := spooled(ctx, t, agent)
	run(ctx, t, "-n", "gopprof", "scale", "statefulset/gopprof-aggregator", "--replicas=0")
	run(ctx, t, "-n", "gopprof", "wait", "--for=delete", "pod/gopprof-aggregator-0", "--timeout=120s")
	heat(ctx, t, hot.Name)
	poll(ctx, t, func() error {
		if len(spooled(ctx, t, agent)) == len(before) {
			return errors.New("the agent has spooled nothing")
		}
		return nil
	})
	capture := spooled(ctx, t, agent)[len(before)]
	evict(ctx, t, "gopprof", agent)
	run(ctx, t, "-n", "gopprof", "scale", "statefulset/gopprof-aggregator", "--replicas=1")
	run(ctx, t, "-n", "gopprof", "rollout", "status", "statefulset/gopprof-aggregator", "--timeout=180s")
	run(ctx, t, "-n", "gopprof", "rollout", "status", "daemonset/gopprof-agent", "--timeout=180s")
	report := c.await(ctx, t, "?workload=basket")
	checkTarget(t, report.Capture.Target, hot)
	if report.ID != capture {
		t.Errorf("report %s, want that of the spooled capture %s", report.ID, capture)
	}
	for _, workload := range []string{"basket", "checkout"} {
		if found, err := c.reports(ctx, "?workload="+workload); err != nil || len(found) != 1 {
			t.Errorf("%d reports of %s, %v; want 1", len(found), workload, err)
		}
	}
}

// spooled returns the captures that an agent has put into its spool, oldest first.
func spooled(ctx context.Context, t *testing.T, agent string) (captures []string) {
	t.Helper()
	for line := range strings.Lines(run(ctx, t, "-n", "gopprof", "logs", agent, "-c", "agent")) {
		var entry struct{ Msg, Capture string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "capture spooled" {
			captures = append(captures, entry.Capture)
		}
	}
	return captures
}

// storm makes thirty replicas of one workload hot at once.
func (c *cluster) storm(t *testing.T) {
	ctx := within(t, 10*time.Minute)
	run(ctx, t, "-n", shop, "scale", "deployment/storm", "--replicas=30")
	t.Cleanup(func() {
		_, _ = kubectl(context.WithoutCancel(t.Context()), "-n", shop, "scale", "deployment/storm", "--replicas=0")
	})
	run(ctx, t, "-n", shop, "rollout", "status", "deployment/storm", "--timeout=240s")
	c.awaitTargets(ctx, t, "storm", 30)
	c.await(ctx, t, "?workload=storm")
	// All of them have been hot for long then; whatever is taken comes within this time.
	quiet := time.Now().Add(2 * time.Minute)
	var found []api.ReportSummary
	poll(ctx, t, func() (err error) {
		if found, err = c.reports(ctx, "?workload=storm"); err != nil {
			return err
		}
		if len(found) <= budget && time.Now().Before(quiet) {
			return fmt.Errorf("%d reports so far", len(found))
		}
		return nil
	})
	incidents := map[string]bool{}
	for _, r := range found {
		incidents[r.Incident] = true
	}
	t.Logf("measured: thirty hot replicas gave %d captures in %d incident", len(found), len(incidents))
	if len(found) > budget || len(incidents) != 1 {
		t.Errorf("%d captures in %d incidents, want at most %d in 1", len(found), len(incidents), budget)
	}
}

// refusals looks at those that must not be profiled, and at the reasons.
func (c *cluster) refusals(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	want := map[string]gopprof.Reason{
		"unlimited": gopprof.ReasonNoLimit, "hostile": gopprof.ReasonInvalidEndpoint, "hostnet": gopprof.ReasonHostNetwork,
	}
	poll(ctx, t, func() error {
		list, err := c.states(ctx)
		if err != nil {
			return err
		}
		got := reasons(list)
		if _, seen := got["private"]; seen {
			t.Fatal("the agents know of a pod that has not opted in")
		}
		var missing []string
		for workload, reason := range want {
			if !slices.Contains(got[workload], reason) {
				missing = append(missing, fmt.Sprintf("%s is %q, want %s", workload, got[workload], reason))
			}
		}
		if len(missing) > 0 {
			return errors.New(strings.Join(missing, "; "))
		}
		return nil
	})
}

// reasons returns all reasons told, by workload.
func reasons(list api.TargetList) map[string][]gopprof.Reason {
	out := map[string][]gopprof.Reason{}
	for _, n := range list.Nodes {
		for _, s := range n.Targets {
			for _, r := range s.Rules {
				out[s.Target.Workload.Name] = append(out[s.Target.Workload.Name], r.Reason)
			}
		}
		for _, r := range n.Refused {
			out[r.Target.Workload.Name] = append(out[r.Target.Workload.Name], r.Reason)
		}
	}
	return out
}

// apiServer profiles what nobody here wrote.
func (c *cluster) apiServer(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	node := pods(ctx, t, "gopprof", "app.kubernetes.io/name=gopprof-agent")[0].Node
	request := api.CaptureRequest{Namespace: "kube-system", Pod: node, Kinds: []gopprof.Kind{gopprof.KindCPU, gopprof.KindHeap}, Seconds: 5}
	var operation gopprof.Operation
	poll(ctx, t, func() error { // until the agent has told of it
		return c.api.do(ctx, http.MethodPost, api.PathCaptures, request, &operation)
	})
	report := c.await(ctx, t, "?namespace=kube-system&workload=kube-apiserver")
	t.Logf("measured: %s", report.Explanation.Summary)
	heap := slices.IndexFunc(report.Explanation.Profiles, func(f gopprof.TopFunctions) bool { return f.Kind == gopprof.KindHeap })
	if heap < 0 || len(report.Explanation.Profiles[heap].Functions) == 0 {
		t.Errorf("explanation %+v, want the heap of the API server", report.Explanation)
	}
}
